//! The check value of the card data key.

use store::{KeptCardKey, Store, look_at_card_key};
use switch_core::TxnId;

use crate::fixture::{Home, Node, TODAY, change, insert, intent, is_applied, key, timed_out};

both! {
    of_two_keys_one_is_first,
    a_late_card_stands_for_a_key_that_left_no_check_value,
    looking_works_on_every_version,
}

async fn of_two_keys_one_is_first(home: &Home) {
    let (one, two) = (home.open().await, home.open().await);
    assert_eq!(one.card_key().await.expect("reads"), KeptCardKey::default());
    let (a, b) = tokio::join!(one.keep_card_key("AAAA"), two.keep_card_key("BBBB"));
    let kept = a.expect("kept");
    assert_eq!(b.expect("kept"), kept);
    assert!(["AAAA", "BBBB"].contains(&kept.as_str()));
    assert_eq!(one.keep_card_key("CCCC").await.expect("kept"), kept);
    assert_eq!(two.card_key().await.expect("reads").check, Some(kept));
}

async fn a_late_card_stands_for_a_key_that_left_no_check_value(home: &Home) {
    let mut node = Node::start(home, "a").await;
    node.store.draw_numbers(100).await.expect("drawn");
    for (stan, sealed) in [(1, "old"), (2, "new"), (3, "")] {
        let mut row = intent(&node.lease, 1, stan, stan.into());
        row.fixed_mut().card.sealed = sealed.into();
        assert!(is_applied(&node.write(insert(&row)).await));
        if stan == 1 {
            assert!(is_applied(&node.write(change(timed_out(&row, TODAY))).await));
        }
    }
    let kept = node.store.card_key().await.expect("reads");
    assert_eq!(kept, KeptCardKey { check: None, card: Some((key(1, 2), b"new".to_vec())) });
    // Long ago.
    home.execute("UPDATE number SET next = 50000000").await;
    let (of, _) = node.store.card_key().await.expect("reads").card.expect("one");
    assert!([key(1, 1), key(1, 2)].contains(&of));
    // Dropped with its day, and still owed.
    home.execute("DELETE FROM txn").await;
    let card = node.store.card_key().await.expect("reads").card;
    assert_eq!(card, Some((key(1, 1), b"old".to_vec())));
    assert_eq!(node.store.read_id(TxnId(1)).await.expect("reads"), None);
    node.stop().await;
}

async fn looking_works_on_every_version(home: &Home) {
    let look = async || look_at_card_key(&home.config()).await.expect("looks");
    assert_eq!(look().await, KeptCardKey::default(), "never migrated, or not there at all");
    let store = home.open().await;
    store.keep_card_key("AAAA").await.expect("kept");
    assert_eq!(look().await.check.as_deref(), Some("AAAA"));
    home.execute("ALTER TABLE meta DROP COLUMN card_key_check").await;
    assert_eq!(look().await, KeptCardKey::default(), "of a former version");
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_at_a_file_leaves_nothing_behind() {
    let home = Home::sqlite();
    let path = home.url.trim_start_matches("sqlite://").to_owned();
    let beside = || {
        let directory = std::path::Path::new(&path).parent().expect("a directory");
        let entries = std::fs::read_dir(directory)
            .expect("read")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    };
    look_at_card_key(&home.config()).await.expect("looks");
    assert_eq!(beside(), [""; 0], "it is not made");
    let Store::Sqlite(store) = home.open().await else { panic!("the other back end") };
    Store::Sqlite(store).keep_card_key("AAAA").await.expect("kept");
    // The last connection takes the log with it.
    crate::fixture::until(|| beside() == ["interlock.db"]).await;
    let kept = look_at_card_key(&home.config()).await.expect("looks");
    assert_eq!(kept.check.as_deref(), Some("AAAA"));
    assert_eq!(beside(), ["interlock.db"]);
}

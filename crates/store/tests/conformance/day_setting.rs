//! A person's word on the business day.

use std::time::Duration;

use store::{DayDoubt, DaySetError, DaySetting, Store};
use switch_core::{Day, Persisted, TxnId, Wall};

use crate::fixture::{
    Home, NOON, Node, TODAY, approved, change, hours, insert, intent, is_applied, key, lost,
};

both! {
    a_day_is_set_back_and_nothing_is_lost,
    a_day_is_set_forward_after_a_long_rest,
    what_is_no_good_day_is_refused,
    a_node_that_cannot_follow_is_named,
}

fn setting(day: Day) -> DaySetting {
    DaySetting { day, reason: "the clock was wrong".to_owned(), by: "a person".to_owned() }
}

/// The day and the time of a clock that ran ahead.
fn ahead() -> (Day, Wall) {
    (Day(TODAY.0 + 9), NOON.plus(hours(24 * 9)))
}

async fn a_day_is_set_back_and_nothing_is_lost(home: &Home) {
    let mut node = Node::start(home, "a").await;
    assert!(is_applied(&node.write(insert(&intent(&node.lease, 1, 1, 1))).await));
    node.store.draw_numbers(50_000).await.expect("drawn");
    let (wrong, then) = ahead();
    assert_eq!(node.keep_days(then).await.cut_over_to, Some(wrong));
    let spoiled = intent(&node.lease, 1, 2, 50_002);
    assert!(is_applied(&node.write(insert(&spoiled)).await));
    home.execute(BATCH).await;
    node.store.draw_numbers(50_000).await.expect("drawn");
    let now = NOON.plus(hours(1));
    assert_eq!(node.keep_days(now).await.doubt, Some(DayDoubt::Behind));

    let other = home.open().await;
    assert_eq!(other.set_day(setting(TODAY), now).await.expect("set"), wrong);
    // The running node follows, and no identity of either day is free.
    let flight = intent(&node.lease, 1, 3, 75_000);
    let Persisted::Applied(commit) = node.write(insert(&flight)).await else { panic!("a new one") };
    assert_eq!(commit.day, TODAY);
    for (stan, first) in [(1, 1), (2, 50_002)] {
        let copy = node.write(insert(&intent(&node.lease, 1, stan, 100_000 + first))).await;
        assert_eq!(lost(copy).expect("it stands").row.id.0, first);
    }
    assert!(is_applied(&node.write(change(approved(&spoiled, wrong))).await));
    assert_eq!(home.count("SELECT CAST(day AS bigint) FROM batch").await, i64::from(TODAY.0));
    assert_eq!(home.count("SELECT count(*) FROM day_change WHERE who = 'a person'").await, 1);
    let again = node.keep_days(now).await;
    assert_eq!((again.cut_over_to, again.doubt), (None, None));

    // After the overlap the identity is free, and the newest row under it is the newest one.
    let after = now.plus(hours(2));
    node.keep_days(after).await;
    let reused = intent(&node.lease, 1, 2, 76_000);
    assert!(is_applied(&node.write(insert(&reused)).await));
    let newest = node.store.read_any_day(key(1, 2)).await.expect("reads").expect("stands");
    assert_eq!(newest.row.id, TxnId(76_000));

    // The day ends once more, and is closed after its overlap.
    let cutover = NOON.plus(hours(11));
    assert_eq!(node.keep_days(cutover).await.cut_over_to, Some(Day(TODAY.0 + 1)));
    node.keep_days(cutover.plus(hours(2))).await;
    assert_eq!(home.count("SELECT count(*) FROM day WHERE closed IS NOT NULL").await, 2);
    node.stop().await;

    // A restart finds what is in flight of both lives of the day.
    home.execute("UPDATE node SET lowest_open = 70000").await;
    let node = Node::at(home, "a", cutover).await;
    let open = node.store.recover(node.lease.estates[0], TxnId(0), 10).await.expect("reads");
    let ids: Vec<u64> = open.iter().map(|found| found.row.id.0).collect();
    assert_eq!(ids, [75_000, 76_000]);
    node.stop().await;
}

const BATCH: &str = "INSERT INTO batch (terminal, number, day, opened) SELECT key, 7, day, 0 FROM txn WHERE id = 50002";

async fn a_day_is_set_forward_after_a_long_rest(home: &Home) {
    let mut node = Node::start(home, "a").await;
    assert!(is_applied(&node.write(insert(&intent(&node.lease, 1, 1, 1))).await));
    let now = NOON.plus(hours(24 * 20));
    assert_eq!(node.keep_days(now).await.doubt, Some(DayDoubt::TooFar));
    let today = Day(TODAY.0 + 20);
    assert_eq!(node.store.set_day(setting(today), now).await.expect("set"), TODAY);
    let Persisted::Applied(commit) = node.write(insert(&intent(&node.lease, 1, 2, 2))).await else {
        panic!("a new one")
    };
    assert_eq!(commit.day, today);
    let next = node.keep_days(now.plus(hours(11))).await;
    assert_eq!((next.cut_over_to, next.doubt), (Some(Day(today.0 + 1)), None));
    node.stop().await;
}

async fn what_is_no_good_day_is_refused(home: &Home) {
    let store = home.open().await;
    let refused =
        async |store: &Store, day, now| store.set_day(setting(day), now).await.expect_err("no");
    assert!(matches!(refused(&store, TODAY, NOON).await, DaySetError::NoDay));
    let node = Node::start(home, "a").await;
    let soon = NOON.plus(Duration::from_secs(60));
    let current = refused(&store, TODAY, soon).await;
    assert!(matches!(current, DaySetError::Current { .. }), "{current}");
    let far = refused(&store, Day(TODAY.0 + 11), soon).await;
    assert!(matches!(far, DaySetError::Far { .. }), "{far}");
    let settling = refused(&store, Day(TODAY.0 - 1), NOON).await;
    assert!(matches!(settling, DaySetError::Settling), "{settling}");
    node.keep_days(NOON.plus(hours(11))).await;
    let lost = refused(&store, Day(TODAY.0 + 2), NOON.plus(hours(12))).await;
    assert!(matches!(lost, DaySetError::Overlap { former: TODAY }), "{lost}");
    let count = "SELECT count(*) FROM day_change";
    assert_eq!(home.count(count).await, 0, "nothing was written");
    store.set_day(setting(TODAY), NOON.plus(hours(12))).await.expect("the former one");
    assert_eq!(home.count(count).await, 1);
    node.stop().await;
}

async fn a_node_that_cannot_follow_is_named(home: &Home) {
    let node = Node::start(home, "a").await;
    let now = NOON.plus(hours(1));
    // A binary of version 4 beats.
    home.execute("UPDATE node SET beat = beat + 1").await;
    let store = home.open().await;
    let refused = store.set_day(setting(Day(TODAY.0 - 1)), now).await.expect_err("it runs");
    assert!(refused.to_string().contains("node a runs an older version"), "{refused}");
    node.stop().await;
    // Nobody runs it any more.
    store.set_day(setting(Day(TODAY.0 - 1)), now).await.expect("set");
}

//! The embedded database while another process has its file locked (M15).

use std::time::{Duration, Instant};

use sqlx::{Connection as _, SqliteConnection};
use store::{Lane, Report};
use switch_core::Persisted;

use crate::fixture::{Home, NOON, Node, hours, insert, intent, is_applied, key};

/// A commit has not ended after so long: the store is down.
const BOUND: Duration = Duration::from_millis(3_500);

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_file_is_a_store_that_is_down() {
    let home = Home::sqlite();
    let mut node = Node::start(&home, "a").await;
    assert!(is_applied(&node.write(insert(&intent(&node.lease, 1, 1, 1))).await));
    let mut other = SqliteConnection::connect(&home.url).await.expect("connects");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("locked");

    let begun = Instant::now();
    let sent = node.send(insert(&intent(&node.lease, 1, 2, 2)));
    // Others that write wait beside it, not before it.
    let beat = tokio::spawn({
        let (store, lease) = (node.store.clone(), node.lease.clone());
        async move { store.beat(&lease, None).await }
    });
    let draw = tokio::spawn({
        let store = node.store.clone();
        async move { store.draw_numbers(10).await }
    });
    let (mut down, mut result) = (false, None);
    while !down || result.is_none() {
        match node.report().await {
            Report::Down(Lane::Intents) => down = true,
            Report::Persisted(id, persisted) => {
                assert_eq!(id, sent);
                result = Some(persisted);
            }
            Report::Up(_) if !down => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert_eq!(result, Some(Persisted::Failed), "certainly not written");
    let refused = beat.await.expect("no panic").expect_err("the file is locked");
    let said = with_causes(&refused);
    assert!(said.contains("locked by another process"), "{said}");
    draw.await.expect("no panic").expect_err("the file is locked");
    assert!(begun.elapsed() < BOUND * 2, "{:?}", begun.elapsed());
    assert_eq!(node.found(key(1, 1)).await.expect("reads go on").row.id.0, 1);
    node.store.keep_days(NOON.plus(hours(1))).await.expect("nothing is due");
    node.store.keep_days(NOON.plus(hours(11))).await.expect_err("a cut-over waits");

    sqlx::query("ROLLBACK").execute(&mut other).await.expect("let go");
    while !matches!(node.report().await, Report::Up(Lane::Intents)) {}
    assert!(is_applied(&node.write(insert(&intent(&node.lease, 1, 2, 3))).await));
    node.stop().await;
}

/// An error with its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

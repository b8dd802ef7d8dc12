//! What keeps a node from going on with a wrong key, a wrong clock, or a database that another process has locked.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use keystore::CardKeys;
use sqlx::{Connection as _, SqliteConnection};
use store::{DayConfig, DaySetting, Store, StoreConfig};
use switch::{StartError, Switch, clock};
use switch_core::{Day, Wall};
use tokio_util::sync::CancellationToken;

use crate::{
    host::{Deed, Host, approval},
    node::{Node, settings, until},
    terminal::{code, purchase},
};

async fn connect(dir: &Path) -> SqliteConnection {
    let url = format!("sqlite://{}", dir.join("interlock.db").display());
    SqliteConnection::connect(&url).await.expect("connects")
}

async fn run(connection: &mut SqliteConnection, statement: &'static str) {
    sqlx::query(statement).execute(connection).await.expect(statement);
}

/// Why a node does not start on what this directory holds.
async fn refusal(dir: &Path) -> StartError {
    let host = Host::start();
    let started = Box::pin(Switch::start(settings(dir, host.address))).await;
    started.map(|_| ()).expect_err("it must not start")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_a_locked_file_is_96_at_once_and_all_goes_on_afterwards() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "00");
    let mut other = connect(node.dir.path()).await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    let begun = Instant::now();
    assert_eq!(code(&terminal.ask(&purchase(2, 100)).await), "96");
    assert!(begun.elapsed() < Duration::from_millis(3_500), "{:?}", begun.elapsed());
    let watch = node.running.watch();
    until("the node is not ready", || async { !watch.is_ready() }).await;
    assert_eq!(watch.hindrance().as_deref(), Some("the store is down"));
    let begun = Instant::now();
    assert_eq!(code(&terminal.ask(&purchase(3, 100)).await), "96");
    assert!(begun.elapsed() < Duration::from_millis(500), "at once: {:?}", begun.elapsed());

    run(&mut other, "ROLLBACK").await;
    until("the node is ready", || async { watch.is_ready() }).await;
    assert_eq!(code(&terminal.ask(&purchase(4, 100)).await), "00");
    assert_eq!(node.host.seen("0200").len(), 2, "what got 96 was never sent");
    assert!(node.host.seen("0400").is_empty());
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_waits_for_a_locked_file_is_given_in_time() {
    let node = Node::start_with(|settings| {
        settings.issuers[0].timeout = Duration::from_secs(4);
        settings.listeners[0].response_deadline = Duration::from_secs(15);
    })
    .await;
    let mut other = connect(node.dir.path()).await;
    let answer = CancellationToken::new();
    let when = answer.clone();
    node.host.conduct(move |message| match message.mti().class() {
        2 => Deed::AnswerWhen(when.clone(), vec![approval(message)]),
        _ => Deed::Answer(vec![approval(message)]),
    });
    let mut terminal = node.terminal().await;
    // Its time-out is far: what waits is only the commit.
    terminal.send(&purchase(1, 100)).await;
    until("it was forwarded", || async { !node.host.seen("0200").is_empty() }).await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    answer.cancel();
    let watch = node.running.watch();
    until("the store is down", || async { watch.hindrance().is_some() }).await;
    run(&mut other, "ROLLBACK").await;
    assert_eq!(code(&terminal.receive().await.expect("an answer")), "00");
    assert!(node.host.seen("0400").is_empty());
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_is_refused_also_by_a_database_without_a_check_value() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "00");
    node.running.drain().await.expect("a good end");
    let dir = node.dir;
    let file = dir.path().join("card-data.key");
    let kept = dir.path().join("kept.key");
    std::fs::rename(&file, &kept).expect("put away");
    CardKeys::init(&file).expect("another one");
    let text = |path: &Path| CardKeys::load(path).expect("a key").check_text();
    let StartError::OtherKey(other) = refusal(dir.path()).await else { panic!("another reason") };
    let said = other.to_string();
    for part in [file.display().to_string(), text(&file), text(&kept)] {
        assert!(said.contains(&part), "{part} is not in {said}");
    }

    // As a database of a former version is: then a stored card decides, and the right key leaves its check value.
    let mut connection = connect(dir.path()).await;
    run(&mut connection, "UPDATE meta SET card_key_check = NULL").await;
    let StartError::OtherKey(other) = refusal(dir.path()).await else { panic!("another reason") };
    assert!(other.to_string().contains(&text(&file)) && other.kept.is_none(), "{other}");
    std::fs::rename(&kept, &file).expect("put back");
    let node = Node::start_in(dir, |_| {}).await;
    let now: Option<String> = sqlx::query_scalar("SELECT card_key_check FROM meta")
        .fetch_one(&mut connection)
        .await
        .expect("read");
    assert_eq!(now, Some(text(&file)));
    node.running.drain().await.expect("a good end");
}

/// A database whose day was opened so many days from now.
async fn opened(days: i64) -> (tempfile::TempDir, Store, Wall) {
    let dir = tempfile::tempdir().expect("a directory");
    CardKeys::init(&dir.path().join("card-data.key")).expect("a key file");
    let url = format!("sqlite://{}", dir.path().join("interlock.db").display());
    let config = StoreConfig { day: DayConfig::default(), ..StoreConfig::new(url) };
    let now = clock::now().wall;
    let then = Wall(now.0 + days * 86_400_000_000);
    let store = Store::open(&config).await.expect("opens");
    store.migrate().await.expect("migrates");
    store.lease("test", "here", then).await.expect("free");
    drop(store);
    (dir, Store::open(&config).await.expect("opens"), now)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_more_than_ten_ahead_waits_for_a_person() {
    let (dir, store, now) = opened(-20).await;
    let StartError::Day(said) = refusal(dir.path()).await else { panic!("another reason") };
    let due =
        said.split("interlock day set ").nth(1).and_then(|rest| rest.get(..10)).expect("a day");
    assert!(said.contains("more than 10 days later"), "{said}");
    let day = day_at(now);
    assert_eq!(due, switch::date(day));
    let reason = "a long rest".to_owned();
    let setting = DaySetting { day, reason, by: "a test".to_owned() };
    store.set_day(setting, now).await.expect("set");
    let node = Node::start_in(dir, |_| {}).await;
    assert_eq!(node.running.watch().day(), Some(day));
    node.running.drain().await.expect("a good end");

    let (dir, ..) = opened(-9).await;
    let node = Node::start_in(dir, |_| {}).await;
    assert_eq!(node.running.watch().day(), Some(day_at(now)), "a few days of rest");
    node.running.drain().await.expect("a good end");
}

fn day_at(now: Wall) -> Day {
    store::Calendar::new(&DayConfig::default()).expect("good").day_at(now)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoiled_day_is_told_and_a_running_node_follows_it_back() {
    let (dir, store, now) = opened(400).await;
    let host = Host::start();
    let running =
        Box::pin(Switch::start(settings(dir.path(), host.address))).await.expect("started");
    let watch = running.watch();
    until("the day is told", || async {
        watch.hindrance().is_some_and(|why| why.contains("interlock day set "))
    })
    .await;
    let day = day_at(now);
    let setting = DaySetting { day, reason: "a test".to_owned(), by: "a test".to_owned() };
    store.set_day(setting, clock::now().wall).await.expect("set");
    until("the node is ready", || async { watch.is_ready() }).await;
    assert_eq!(watch.day(), Some(day));
    running.drain().await.expect("a good end");
}

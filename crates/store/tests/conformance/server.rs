//! What only the server can do: end backends, crash, deadlock, count heap-only updates.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use interlock_tests::postgres::Postgres;
use sqlx::{Connection as _, PgConnection};
use store::{Lane, Report, Store, StoreConfig, StoreError};
use switch_core::{Key, Persisted, Progress, Record, RecordId, Row};

use crate::fixture::{
    Home, NOON, Node, TODAY, approved, change, insert, intent, is_applied, key, timed_out,
};
use crate::proxy::Proxy;

#[tokio::test(flavor = "multi_thread")]
async fn updates_of_a_normal_mix_are_heap_only() {
    let home = Home::postgres();
    let mut node = Node::start(&home, "a").await;
    let mut first = 1_u32;
    for _ in 0..40 {
        let rows: Vec<Row> = (first..first + 100)
            .map(|n| intent(&node.lease, (n % 97).try_into().expect("small"), n, n.into()))
            .collect();
        first += 100;
        assert!(node.write_all(rows.iter().map(insert).collect()).await.iter().all(is_applied));
        let outcomes = rows.iter().zip(0_u32..).map(|(row, n)| {
            change(if n % 20 == 0 { timed_out(row, TODAY) } else { approved(row, TODAY) })
        });
        assert!(node.write_all(outcomes.collect()).await.iter().all(is_applied));
        let copies = rows.iter().filter(|row| row.stan % 10 == 3).map(|row| {
            let mut copy = approved(row, TODAY);
            (copy.row.version, copy.row.copies) = (2, 1);
            change(copy)
        });
        assert!(node.write_all(copies.collect()).await.iter().all(is_applied));
    }
    node.stop().await;
    home.execute("SELECT pg_stat_force_next_flush()").await;
    let updates = "SELECT coalesce(sum(n_tup_upd), 0)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'txn_2%'";
    let hot = "SELECT coalesce(sum(n_tup_hot_upd), 0)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'txn_2%'";
    while home.count(updates).await < 4_400 {
        tokio::task::yield_now().await;
    }
    assert_eq!(home.count(hot).await, home.count(updates).await);
}

/// Two nodes insert and change the same identities in opposite orders, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn crossed_identities_of_two_nodes_do_not_deadlock() {
    let home = Home::postgres();
    let mut a = Node::start(&home, "a").await;
    let mut b = Node::start(&home, "b").await;
    for round in 0..20_u8 {
        let of = |node: &Node, offset: u64| -> Vec<Row> {
            let first = u64::from(round) * 1_000 + offset;
            (1..=60_u32).map(|n| intent(&node.lease, round, n, first + u64::from(n))).collect()
        };
        let (up, mut down) = (of(&a, 1), of(&b, 500));
        down.reverse();
        let (one, two) = tokio::join!(
            a.write_all(up.iter().map(insert).collect()),
            b.write_all(down.iter().map(insert).collect())
        );
        let won = one.iter().chain(&two).filter(|result| is_applied(result)).count();
        assert_eq!(won, 60, "each identity once");
        let rows: Vec<Row> =
            (1..=60).map(|n| key(round, n)).map(|key| stands(&up, &down, key, &one)).collect();
        let mut other = rows.clone();
        other.reverse();
        let (one, two) = tokio::join!(
            a.write_all(rows.iter().map(|row| change(timed_out(row, TODAY))).collect()),
            b.write_all(other.iter().map(|row| change(timed_out(row, TODAY))).collect())
        );
        let won = one.iter().chain(&two).filter(|result| is_applied(result)).count();
        assert_eq!(won, 60, "each change once");
        let progress = |row: &Row| {
            Record::Progress(Progress {
                id: row.id,
                key: row.key,
                attempts: 1,
                parked: false,
                answered: None,
                at: NOON,
            })
        };
        let (one, two) = tokio::join!(
            a.write_all(rows.iter().map(progress).collect()),
            b.write_all(other.iter().map(progress).collect())
        );
        assert!(one.iter().chain(&two).all(is_applied));
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(home.count(deadlocks).await, 0);
    a.stop().await;
    b.stop().await;
}

fn stands(up: &[Row], down: &[Row], key: Key, one: &[Persisted]) -> Row {
    let place = up.iter().position(|row| row.key == key).expect("sent by A");
    if is_applied(&one[place]) {
        up[place].clone()
    } else {
        down.iter().find(|row| row.key == key).expect("sent by B").clone()
    }
}

/// Backends are ended, and answers lost, while batches run: each record is applied, certainly not applied, or unknown; and
/// what was unknown is told by a fenced read, whatever it was.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_commit_is_known_after_a_fenced_read() {
    let server = Postgres::shared().expect("a server");
    let direct = server.create_next().expect("a database");
    let proxy = Proxy::before(server.port()).await;
    let home = Home::at(direct.replace(&server.port().to_string(), &proxy.port.to_string()));
    let mut node = Node::start(&home, "a").await;
    let killer = tokio::spawn(end_backends(direct));
    let (mut applied, mut missing) = (0, 0);
    let mut next = 1_u32;
    while applied < 30 || missing < 30 {
        let rows: Vec<Row> = (next..next + 50)
            .map(|n| intent(&node.lease, (n % 97).try_into().expect("small"), n, n.into()))
            .collect();
        next += 50;
        if proxy.has_lost() {
            proxy.lose_an_answer();
        }
        let (there, gone) = write_and_confirm(&mut node, &rows).await;
        applied += there;
        missing += gone;
    }
    println!("unknown commits: {applied} were applied, {missing} were not");
    killer.abort();
    let _ = killer.await;
    node.stop().await;
}

/// Ends the writers' sessions, again and again.
async fn end_backends(url: String) {
    let mut connection = PgConnection::connect(&url).await.expect("connects");
    for round in 0..u64::MAX {
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'interlock' AND query LIKE 'WITH me%' AND state = 'active'",
        )
        .execute(&mut connection)
        .await
        .expect("ends them");
        tokio::time::sleep(Duration::from_millis(1 + round % 7)).await;
    }
}

/// Writes the rows; asks for those of which nobody knows; gives how many of these stood there, and how many did not.
async fn write_and_confirm(node: &mut Node, rows: &[Row]) -> (u32, u32) {
    let mut sent: BTreeMap<RecordId, &Row> = BTreeMap::new();
    for row in rows {
        sent.insert(node.send(insert(row)), row);
    }
    let mut unknown: BTreeMap<Key, u64> = BTreeMap::new();
    let (mut applied, mut missing) = (0, 0);
    while !sent.is_empty() || !unknown.is_empty() {
        match node.report().await {
            Report::Persisted(record, result) => {
                let row = sent.remove(&record).expect("one result a record");
                match result {
                    Persisted::Unknown => {
                        node.intents.confirm(row.key);
                        unknown.insert(row.key, row.id.0);
                    }
                    Persisted::Applied(_) => assert!(stands_now(node, row.key).await.is_some()),
                    Persisted::Failed => assert_eq!(stands_now(node, row.key).await, None),
                    Persisted::Lost(found) => panic!("{found:?}"),
                }
            }
            Report::Confirmed(key, found) => {
                let id = unknown.remove(&key).expect("asked for");
                let found = found.map(|found| found.row.id.0);
                assert_eq!(found, stands_now(node, key).await, "it stays as it was told");
                assert!(found.is_none_or(|found| found == id));
                if found.is_some() { applied += 1 } else { missing += 1 }
            }
            Report::Fatal(lane, error) => panic!("{lane:?}: {error}"),
            Report::Down(_) | Report::Up(_) => {}
        }
    }
    (applied, missing)
}

/// The number of the row under a key; asked again where the connection was cut.
async fn stands_now(node: &Node, key: Key) -> Option<u64> {
    loop {
        if let Ok(found) = node.store.read_keys(&[key]).await {
            return found.first().map(|found| found.row.id.0);
        }
    }
}

/// The whole server crashes under both lanes and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_server_is_told_and_survived() {
    let mut server = Postgres::start().expect("a server");
    let url = server.create("crash").expect("a database");
    let home = Home::at(url);
    let mut node = Node::start(&home, "a").await;
    let kept = intent(&node.lease, 1, 1, 1);
    assert!(is_applied(&node.write(insert(&kept)).await));
    server.crash().expect("crashes");
    node.send(insert(&intent(&node.lease, 1, 2, 2)));
    node.send(change(approved(&kept, TODAY)));
    let mut down = BTreeSet::new();
    let mut results = 0;
    while down.len() < 2 || results < 2 {
        match node.report().await {
            Report::Down(lane) => assert!(down.insert(lane), "told once"),
            // connected again before the last of the server was gone
            Report::Up(lane) => assert!(down.remove(&lane), "told once"),
            Report::Persisted(_, result) => {
                assert!(matches!(result, Persisted::Unknown | Persisted::Failed), "{result:?}");
                results += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    node.send(insert(&intent(&node.lease, 1, 3, 3)));
    let (_, result) = node.result().await;
    assert_eq!(result, Persisted::Failed, "at once, while the store is down");
    node.intents.confirm(key(1, 2));
    server.resume().expect("comes back");
    let mut up = BTreeSet::new();
    let mut confirmed = false;
    while up.len() < 2 || !confirmed {
        match node.report().await {
            Report::Up(lane) => assert!(up.insert(lane), "told once"),
            Report::Confirmed(asked, found) => {
                assert!(up.contains(&Lane::Intents), "after the fence was updated");
                assert_eq!((asked, found), (key(1, 2), None));
                confirmed = true;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(is_applied(&node.write(insert(&intent(&node.lease, 1, 2, 4))).await));
    assert!(is_applied(&node.write(change(approved(&kept, TODAY))).await));
    node.stop().await;
}

/// The next report that is not of the lane of outcomes, which looks for itself whether its session lives.
async fn intents(node: &mut Node) -> Report {
    loop {
        match node.report().await {
            Report::Down(Lane::Outcomes) | Report::Up(Lane::Outcomes) => {}
            report => return report,
        }
    }
}

/// The server's host says nothing any more: the writer closes the socket, and says that the store is down.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_down() {
    let server = Postgres::shared().expect("a server");
    let direct = server.create_next().expect("a database");
    let proxy = Proxy::before(server.port()).await;
    let home = Home::at(direct.replace(&server.port().to_string(), &proxy.port.to_string()));
    let mut node = Node::start(&home, "a").await;
    let row = intent(&node.lease, 1, 1, 1);
    assert!(is_applied(&node.write(insert(&row)).await));
    assert!(is_applied(&node.write(change(approved(&row, TODAY))).await), "both lanes are up");
    proxy.stall(true);
    let lost = intent(&node.lease, 1, 2, 2);
    let record = node.send(insert(&lost));
    let down = intents(&mut node).await;
    assert!(matches!(down, Report::Down(Lane::Intents)), "while it still waits: {down:?}");
    let Report::Persisted(id, became) = intents(&mut node).await else { panic!("told") };
    // A session that was idle for a moment is asked for a sign of life first: then the row certainly did not go out.
    let went_out = became == Persisted::Unknown;
    assert!(id == record && (went_out || became == Persisted::Failed), "{became:?}");
    assert!(matches!(intents(&mut node).await, Report::Down(Lane::Intents)));
    node.intents.confirm(lost.key);
    proxy.stall(false);
    assert!(matches!(intents(&mut node).await, Report::Up(Lane::Intents)));
    let Report::Confirmed(_, found) = intents(&mut node).await else { panic!("told") };
    let there = found.map(|found| found.row.id);
    assert_eq!(there, went_out.then_some(lost.id), "the answer was lost, not the row");
    node.stop().await;
}

/// A copy whose first insert hangs in another session fails after `lock_timeout`, alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_lock_holds_up_only_its_own_record() {
    let home = Home::postgres();
    let mut node = Node::start(&home, "a").await;
    let rows: Vec<Row> = (1..=8).map(|n| intent(&node.lease, 1, n, n.into())).collect();
    assert!(node.write_all(rows.iter().map(insert).collect()).await.iter().all(is_applied));
    let mut other = PgConnection::connect(&home.url).await.expect("connects");
    let mut transaction = other.begin().await.expect("begins");
    sqlx::query("UPDATE txn SET late = 0 WHERE key = $1")
        .bind(rows[4].key.0.as_slice())
        .execute(&mut *transaction)
        .await
        .expect("locks");
    let changes = rows.iter().map(|row| change(approved(row, TODAY))).collect();
    let results = node.write_all(changes).await;
    for (index, result) in results.iter().enumerate() {
        assert_eq!(is_applied(result), index != 4, "{index}: {result:?}");
    }
    assert_eq!(results[4], Persisted::Failed);
    transaction.rollback().await.expect("ends");
    assert!(is_applied(&node.write(change(approved(&rows[4], TODAY))).await));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgets_is_refused() {
    for (set, named) in [
        ("off", "synchronous_commit = off"),
        ("local", "synchronous_commit = local"),
        ("remote_write", "synchronous_commit = remote_write"),
    ] {
        let home = Home::postgres();
        home.set("synchronous_commit", set).await;
        let refused = Store::open(&home.config()).await.expect_err("it would forget");
        assert!(
            matches!(&refused, StoreError::Unsafe { setting: "synchronous_commit", .. }),
            "{refused}"
        );
        assert!(refused.to_string().contains(named), "{refused}");
        let told = StoreConfig { allow_unsafe_server: true, ..home.config() };
        Store::open(&told).await.expect("told that it may");
    }
}

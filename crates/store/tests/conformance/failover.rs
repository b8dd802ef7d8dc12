//! A server that is not the one it was: cut, read-only, weaker, or back with commits that no replica has.

use std::time::{Duration, Instant};

use interlock_tests::postgres::Postgres;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use store::{Lane, Report, Store, StoreError};
use switch_core::{Persisted, TerminalKey};

use crate::fixture::{Home, NOON, Node, TODAY, approved, change, insert, intent, is_applied, key};

/// Runs statements on a session of the server's owner that waits for no replica.
async fn alter(url: &str, statements: &[&str]) {
    let mut connection = PgConnection::connect(url).await.expect("connects");
    let free = ["SET synchronous_commit = local", "SET default_transaction_read_only = off"];
    for statement in free.iter().chain(statements) {
        let statement = AssertSqlSafe((*statement).to_owned());
        sqlx::query(statement).execute(&mut connection).await.expect("a good statement");
    }
}

/// Waits until this question about the server is answered by true.
async fn wait_for(url: &str, question: &str) {
    let mut connection = PgConnection::connect(url).await.expect("connects");
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let holds: bool = sqlx::query_scalar(AssertSqlSafe(question.to_owned()))
            .fetch_one(&mut connection)
            .await
            .expect("an answer");
        if holds {
            return;
        }
        assert!(Instant::now() < until, "waited in vain for: {question}");
        tokio::task::yield_now().await;
    }
}

/// A commit waits for a replica when the primary crashes. The primary comes back and shows it, though no replica has it: at
/// the next failover it would be gone. So nobody may be told of it before the replica has it.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_replica_has_is_not_shown_after_a_crash() {
    let mut server = Postgres::start().expect("a server");
    let url = server.create("failover").expect("a database");
    let home = Home::at(url.clone());
    let mut node = Node::start(&home, "a").await;
    let first = intent(&node.lease, 1, 1, 1);
    assert!(is_applied(&node.write(insert(&first)).await));
    assert!(node.found(first.key).await.is_some(), "a session of the pool was there before");

    let nobody = "ALTER SYSTEM SET synchronous_standby_names = 'nobody'";
    alter(&url, &[nobody, "SELECT pg_reload_conf()"]).await;
    // A transaction of the test's own shows when commits begin to wait; then the node's does.
    let waiting = tokio::spawn({
        let url = url.clone();
        async move {
            let mut connection = PgConnection::connect(&url).await?;
            loop {
                sqlx::query("UPDATE node SET beat = beat").execute(&mut connection).await?;
            }
            #[expect(unreachable_code, reason = "the type of the block")]
            Ok::<(), sqlx::Error>(())
        }
    });
    let one_waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')";
    wait_for(&url, one_waits).await;
    let row = intent(&node.lease, 1, 2, 2);
    node.send(insert(&row));
    let two_wait = "SELECT count(*) > 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    wait_for(&url, two_wait).await;
    server.crash().expect("crashes");
    assert!(waiting.await.expect("no panic").is_err(), "its commit was never confirmed");
    server.resume().expect("comes back");
    let shown = "SELECT EXISTS (SELECT FROM txn WHERE id = 2)";
    wait_for(&url, shown).await;

    let (reader, other, keys) = (node.store.clone(), home.open().await, [row.key]);
    node.intents.confirm(row.key);
    let (by_key, by_id, of_terminals, lease) = tokio::join!(
        reader.read_keys(&keys),
        reader.read_id(row.id),
        reader.terminal(TerminalKey([1; 8])),
        other.lease("a", "here", NOON),
    );
    assert!(by_key.is_err() && by_id.is_err() && of_terminals.is_err(), "{by_key:?} {by_id:?}");
    assert!(lease.is_err(), "nor is a life begun on it: {lease:?}");
    while let Ok(report) = node.reports.try_recv() {
        assert!(!matches!(report, Report::Confirmed(..)), "told of {report:?}");
    }

    drop(other);
    alter(&url, &["ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"]).await;
    let found = loop {
        if let Report::Confirmed(_, found) = node.report().await {
            break found;
        }
    };
    assert_eq!(found.expect("it stayed").row.id, row.id);
    while reader.read_keys(&[row.key]).await.is_err() {}
    node.stop().await;
}

/// A read-only server, such as a standby, wrote nothing: that is certain, and is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_certainly_wrote_nothing() {
    let server = Postgres::start().expect("a server");
    let url = server.create("standby").expect("a database");
    let home = Home::at(url.clone());
    let mut node = Node::start(&home, "a").await;
    let row = intent(&node.lease, 1, 1, 1);
    assert!(is_applied(&node.write(insert(&row)).await));
    assert!(is_applied(&node.write(change(approved(&row, TODAY))).await));
    let set = "ALTER SYSTEM SET default_transaction_read_only = on";
    alter(&url, &[set, "SELECT pg_reload_conf()"]).await;
    wait_for(&url, "SELECT current_setting('default_transaction_read_only') = 'on'").await;
    // A session takes the new setting at its next statement; until then it writes.
    let mut number = 2;
    let refused = loop {
        let result = node.write(insert(&intent(&node.lease, 1, number, number.into()))).await;
        if !is_applied(&result) {
            break result;
        }
        number += 1;
    };
    assert_eq!(refused, Persisted::Failed, "not unknown");
    while !matches!(node.report().await, Report::Down(Lane::Intents)) {}
    alter(&url, &["ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"])
        .await;
    while !matches!(node.report().await, Report::Up(Lane::Intents)) {}
    assert!(is_applied(&node.write(insert(&intent(&node.lease, 1, number, number.into()))).await));
    node.stop().await;
}

/// Sessions that were ended while nothing was under way cost no batch: none began on them.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_of_idle_sessions_loses_no_batch() {
    let home = Home::postgres();
    let mut node = Node::start(&home, "a").await;
    let mut row = intent(&node.lease, 1, 1, 1);
    assert!(is_applied(&node.write(insert(&row)).await));
    for number in 2..5_u32 {
        home.cut_sessions().await;
        assert!(is_applied(&node.write(change(approved(&row, TODAY))).await), "{number}");
        row = intent(&node.lease, 1, number, number.into());
        assert!(is_applied(&node.write(insert(&row)).await), "{number}");
        assert!(node.found(row.key).await.is_some());
    }
    while let Ok(report) = node.reports.try_recv() {
        assert!(!matches!(report, Report::Down(_)), "{report:?}");
    }
    node.stop().await;
}

/// Commits are made to promise less while the node runs: its next sessions are refused, and it writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_promises_less_is_not_used() {
    let home = Home::postgres();
    let mut node = Node::start(&home, "a").await;
    assert!(is_applied(&node.write(insert(&intent(&node.lease, 1, 1, 1))).await));
    home.set("synchronous_commit", "local").await;
    home.cut_sessions().await;
    let result = node.write(insert(&intent(&node.lease, 1, 2, 2))).await;
    assert_eq!(result, Persisted::Failed);
    node.store.read_keys(&[key(1, 1)]).await.expect_err("nor is anything read");
    home.set("synchronous_commit", "on").await;
    while !matches!(node.report().await, Report::Up(Lane::Intents)) {}
    assert!(is_applied(&node.write(insert(&intent(&node.lease, 1, 2, 3))).await));
    node.stop().await;
}

/// The session of the lease was lost, and the server has not noticed: the node keeps its name and tries again.
#[tokio::test(flavor = "multi_thread")]
async fn ones_own_lost_session_is_not_another_process() {
    let home = Home::postgres();
    let node = Node::start(&home, "a").await;
    node.store.beat(&node.lease, None).await.expect("beats");
    // What stands for the lost session takes its lock as soon as it is free.
    let mut lost = PgConnection::connect(&home.url).await.expect("connects");
    let lock = format!("SELECT pg_advisory_lock({}, {})", 0x494c_4e4f, node.lease.node.0);
    let pid: i32 =
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut lost).await.expect("its pid");
    let locking = tokio::spawn(async move {
        sqlx::query(AssertSqlSafe(lock)).execute(&mut lost).await.map(|_| lost)
    });
    let waits = format!(
        "SELECT wait_event IS NOT NULL AND state = 'active' FROM pg_stat_activity WHERE pid = {pid}"
    );
    wait_for(&home.url, &waits).await;
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND classid = {} AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        0x494c_4e4f
    );
    alter(&home.url, &[&end]).await;
    let lost = locking.await.expect("no panic").expect("locked");
    node.store.beat(&node.lease, None).await.expect_err("its session is gone");
    let refused = node.store.beat(&node.lease, None).await.expect_err("the lock is taken");
    assert!(matches!(refused, StoreError::LeaseLingers { .. }), "{refused}");
    assert!(!refused.to_string().contains("in use by"), "{refused}");
    let other = home.open().await;
    let refused = other.lease("a", "another host", NOON).await.expect_err("it is taken");
    assert!(matches!(refused, StoreError::Leased { .. }), "another process is told who has it");
    lost.close().await.expect("ends");
    while node.store.beat(&node.lease, None).await.is_err() {}
    node.stop().await;
}

/// Version 4 numbers changes by `max(seq) + 1`: two transactions of it, or of both versions, never share a number, and a
/// later change of a terminal has the higher one.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_terminals_never_share_a_number() {
    let home = Home::postgres();
    let node = Node::start(&home, "a").await;
    let openings: Vec<_> = (1..=3_u8).map(|n| crate::batches::brought(n, 7)).collect();
    node.store.open_batches(&openings).await.expect("opened");
    let states = node.store.terminals(None, 10).await.expect("reads");
    let newest = states.iter().map(|state| state.seq).max().expect("some");
    let old = "UPDATE terminal SET seq = (SELECT max(seq) + 1 FROM terminal) WHERE terminal = $1";
    let mut one = PgConnection::connect(&home.url).await.expect("connects");
    let mut two = PgConnection::connect(&home.url).await.expect("connects");
    let (mut first, mut second) =
        (one.begin().await.expect("begins"), two.begin().await.expect("begins"));
    for (transaction, terminal) in [(&mut first, 1_u8), (&mut second, 2)] {
        let done = sqlx::query(old).bind(vec![terminal; 8]).execute(&mut **transaction).await;
        assert_eq!(done.expect("updates").rows_affected(), 1);
    }
    second.commit().await.expect("commits");
    let seen = node.store.terminals_changed(newest).await.expect("reads");
    assert_eq!(seen.len(), 1);
    node.store.open_batches(&[crate::batches::brought(4, 7)]).await.expect("opened");
    first.commit().await.expect("commits late");
    let mut numbers: Vec<u64> = (node.store.terminals(None, 10).await.expect("reads").iter())
        .map(|state| state.seq)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 4, "each its own: {numbers:?}");
    let changed = node.store.terminals_changed(newest).await.expect("reads");
    assert_eq!(changed.len(), 3, "a poller that looks back sees the late one");
    node.stop().await;
}

/// The first life of a node on a server whose clock of changes began with an earlier version's numbers.
#[tokio::test(flavor = "multi_thread")]
async fn the_sequence_goes_on_where_version_4_ended() {
    let home = Home::postgres();
    let store = Store::open(&home.config()).await.expect("opens");
    store.migrate().await.expect("migrates");
    for statement in [
        "DROP TRIGGER terminal_change ON terminal",
        "DROP FUNCTION terminal_change",
        "DROP SEQUENCE terminal_change",
        "DROP INDEX obligation_open_stan",
        "DELETE FROM _sqlx_migrations WHERE version = 6",
        "INSERT INTO terminal (terminal, merchant, name, domain, listener, last, seq) \
         VALUES ('\\x0101010101010101', '', '', '', '', 0, 812)",
    ] {
        home.execute(statement).await;
    }
    store.migrate().await.expect("migrates");
    drop(store);
    let node = Node::start(&home, "a").await;
    node.store.open_batches(&[crate::batches::brought(2, 7)]).await.expect("opened");
    let changed = node.store.terminals_changed(812).await.expect("reads");
    assert_eq!(changed.len(), 1);
    node.stop().await;
}

//! A store of either kind, a node on it, and rows to write.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant as Clock},
};

use bytes::Bytes;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use store::{
    DayConfig, DaysKept, Lane, Lease, Report, Store, StoreConfig, StoreError, Writer, WriterHandle,
};
use switch_core::{
    Card, Cause, Change, Code, Day, Digest, Fixed, Found, Instant, Key, Kind, Note, NoteKind,
    ObligationCause, ObligationStatus, ObligationWrite, Persisted, Record, RecordId, Row, RowState,
    TerminalKey, TxnId, Wall,
};
use tokio::sync::mpsc;

/// Noon of 2026-11-23 in Shanghai.
pub(crate) const NOON: Wall = Wall(1_795_406_400_000_000);
/// The business day of `NOON`.
pub(crate) const TODAY: Day = Day(20_780);

pub(crate) fn hours(count: u64) -> Duration {
    Duration::from_secs(3600 * count)
}

/// The monotonic clock of the tests.
pub(crate) fn clock() -> Instant {
    static ZERO: OnceLock<Clock> = OnceLock::new();
    let zero = ZERO.get_or_init(Clock::now);
    Instant(u64::try_from(zero.elapsed().as_nanos()).expect("a short run"))
}

/// Where a database of a test is.
pub(crate) struct Home {
    pub(crate) url: String,
    _dir: Option<tempfile::TempDir>,
}

impl Home {
    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}/interlock.db", dir.path().display());
        Self { url, _dir: Some(dir) }
    }

    pub(crate) fn postgres() -> Self {
        let server = interlock_tests::postgres::Postgres::shared().expect("a server");
        Self { url: server.create_next().expect("a database"), _dir: None }
    }

    pub(crate) fn at(url: String) -> Self {
        Self { url, _dir: None }
    }

    /// Runs one statement behind the store's back.
    pub(crate) async fn execute(&self, statement: &'static str) -> u64 {
        if self.url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(&self.url).await.expect("connects");
            let done = sqlx::query(statement).execute(&mut connection).await;
            done.expect("a good statement").rows_affected()
        } else {
            let mut connection = PgConnection::connect(&self.url).await.expect("connects");
            let done = sqlx::query(statement).execute(&mut connection).await;
            done.expect("a good statement").rows_affected()
        }
    }

    /// One number behind the store's back.
    pub(crate) async fn count(&self, statement: &'static str) -> i64 {
        if self.url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(&self.url).await.expect("connects");
            sqlx::query_scalar(statement).fetch_one(&mut connection).await.expect("a number")
        } else {
            let mut connection = PgConnection::connect(&self.url).await.expect("connects");
            sqlx::query_scalar(statement).fetch_one(&mut connection).await.expect("a number")
        }
    }

    /// Changes a setting of this database on the server, for sessions that begin from now on.
    pub(crate) async fn set(&self, setting: &str, value: &str) {
        let database = self.url.rsplit('/').next().expect("a name");
        let statement = format!("ALTER DATABASE {database} SET {setting} = {value}");
        let mut connection = PgConnection::connect(&self.url).await.expect("connects");
        // where it would be read-only itself
        sqlx::query("SET default_transaction_read_only = off")
            .execute(&mut connection)
            .await
            .expect("may write");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.expect("set");
    }

    /// Ends all other sessions of this database, and waits until they are gone.
    pub(crate) async fn cut_sessions(&self) {
        const OTHERS: &str = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
             AND backend_type = 'client backend'";
        let begun = Clock::now();
        let mut connection = PgConnection::connect(&self.url).await.expect("connects");
        let end = format!("SELECT count(pg_terminate_backend(pid)) {OTHERS}");
        let count = format!("SELECT count(*) {OTHERS}");
        let _: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(end))
            .fetch_one(&mut connection)
            .await
            .expect("ends them");
        loop {
            let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count.clone()))
                .fetch_one(&mut connection)
                .await
                .expect("counts");
            // A session counts as idle a little after its last statement.
            if left == 0 && begun.elapsed() > Duration::from_millis(50) {
                return;
            }
        }
    }

    pub(crate) fn config(&self) -> StoreConfig {
        StoreConfig { day: DayConfig::default(), ..StoreConfig::new(self.url.clone()) }
    }

    /// Another connection to the database, as another process has it.
    pub(crate) async fn open(&self) -> Store {
        let store = Store::open(&self.config()).await.expect("opens");
        store.migrate().await.expect("migrates");
        store.check_version().await.expect("is at this version");
        store
    }
}

/// A node with both its writers.
pub(crate) struct Node {
    pub(crate) store: Store,
    pub(crate) lease: Lease,
    pub(crate) intents: WriterHandle,
    pub(crate) outcomes: WriterHandle,
    pub(crate) reports: mpsc::UnboundedReceiver<Report>,
    next_record: u64,
}

impl Node {
    pub(crate) async fn start(home: &Home, name: &str) -> Self {
        Self::at(home, name, NOON).await
    }

    pub(crate) async fn at(home: &Home, name: &str, now: Wall) -> Self {
        let store = home.open().await;
        let lease = store.lease(name, "here", now).await.expect("the lease is free");
        let (sender, reports) = mpsc::unbounded_channel();
        let intents = Writer::spawn(&store, &lease, Lane::Intents, sender.clone(), clock);
        let outcomes = Writer::spawn(&store, &lease, Lane::Outcomes, sender, clock);
        Self { store, lease, intents, outcomes, reports, next_record: 0 }
    }

    pub(crate) fn send(&mut self, record: Record) -> RecordId {
        self.next_record += 1;
        let id = RecordId(self.next_record);
        match record {
            Record::Intent(_) | Record::Claim(_) => self.intents.send(id, record),
            Record::Change(_) | Record::Progress(_) | Record::Case(_) | Record::Note(_) => {
                self.outcomes.send(id, record);
            }
        }
        id
    }

    pub(crate) async fn report(&mut self) -> Report {
        self.reports.recv().await.expect("writers report")
    }

    /// What a writer ended with.
    pub(crate) async fn fatal(&mut self) -> StoreError {
        loop {
            match self.report().await {
                Report::Fatal(_, error) => return error,
                Report::Persisted(id, result) => panic!("{id:?} was reported: {result:?}"),
                Report::Confirmed(..) | Report::Down(_) | Report::Up(_) => {}
            }
        }
    }

    /// The result of the next record, past whatever else is reported.
    pub(crate) async fn result(&mut self) -> (RecordId, Persisted) {
        loop {
            match self.report().await {
                Report::Persisted(id, result) => return (id, result),
                Report::Fatal(lane, error) => panic!("{lane:?} ended: {error}"),
                Report::Confirmed(..) | Report::Down(_) | Report::Up(_) => {}
            }
        }
    }

    /// Writes one record and waits for its result.
    pub(crate) async fn write(&mut self, record: Record) -> Persisted {
        let sent = self.send(record);
        let (id, result) = self.result().await;
        assert_eq!(id, sent);
        result
    }

    /// Writes them and gives the results in the order of the records.
    pub(crate) async fn write_all(&mut self, records: Vec<Record>) -> Vec<Persisted> {
        let ids: Vec<RecordId> = records.into_iter().map(|record| self.send(record)).collect();
        let mut results = std::collections::BTreeMap::new();
        for _ in &ids {
            let (id, result) = self.result().await;
            assert!(results.insert(id, result).is_none(), "one result a record");
        }
        ids.iter().map(|id| results.remove(id).expect("a result")).collect()
    }

    pub(crate) async fn found(&self, key: Key) -> Option<Found> {
        self.store.read_keys(&[key]).await.expect("reads").pop()
    }

    /// The node as it is, at a later time of the wall clock.
    pub(crate) async fn keep_days(&self, now: Wall) -> DaysKept {
        self.store.keep_days(now).await.expect("keeps the days")
    }

    /// The last step of many, none of which goes further than a clock is trusted.
    pub(crate) async fn pass_days(&self, from: Wall, to: Wall) -> DaysKept {
        let mut now = from;
        while to > now.plus(hours(9 * 24)) {
            now = now.plus(hours(9 * 24));
            self.keep_days(now).await;
        }
        self.keep_days(to).await
    }

    /// Ends the node in order; its lease stays until the store is dropped.
    pub(crate) async fn stop(self) {
        self.intents.finish().await;
        self.outcomes.finish().await;
    }
}

pub(crate) fn key(terminal: u8, stan: u32) -> Key {
    Key::new(TerminalKey([terminal; 8]), 1, stan, Kind::Purchase)
}

/// An intent of terminal and STAN under this number.
pub(crate) fn intent(lease: &Lease, terminal: u8, stan: u32, id: u64) -> Row {
    Row {
        fixed: Arc::new(Fixed {
            key: key(terminal, stan),
            id: TxnId(id),
            kind: Kind::Purchase,
            node: lease.node,
            epoch: lease.epoch,
            created: NOON,
            listener: "pos".into(),
            merchant: Bytes::from_static(b"1234\x00567"),
            terminal: Bytes::from_static(b"\xff0000001"),
            stan,
            amount: 12_345,
            currency: *b"156",
            digest: Digest([7; 16]),
            issuer: Some("unionpay".into()),
            card: Card {
                hash: [terminal; 16],
                first6: *b"621234",
                last4: *b"1232",
                sealed: Bytes::from_static(b"sealed"),
            },
            carried: Bytes::from_static(b"\0carried"),
        }),
        day: Day(0),
        version: 0,
        change: id,
        state: RowState::InFlight,
        cause: Cause::Issuer,
        code: None,
        approved: 0,
        answer: Bytes::new(),
        copies: 0,
        late: 0,
        concluded: None,
        claimed: 0,
        claiming: None,
    }
}

pub(crate) fn approved(row: &Row, day: Day) -> Change {
    let row = Row {
        day,
        version: row.version + 1,
        change: row.change + 1_000_000,
        state: RowState::Approved,
        code: Some(Code::APPROVED),
        approved: row.amount,
        answer: Bytes::from_static(b"38=123456"),
        concluded: Some(NOON.plus(Duration::from_secs(1))),
        ..row.clone()
    };
    Change { row, obligation: None, note: None, case: None, claim: None }
}

pub(crate) fn timed_out(row: &Row, day: Day) -> Change {
    let at = NOON.plus(Duration::from_secs(15));
    let note =
        Note { id: row.id, day, kind: NoteKind::Recovered, at, detail: "silence\0".to_owned() };
    let row = Row {
        day,
        version: row.version + 1,
        change: row.change + 2_000_000,
        state: RowState::TimedOut,
        cause: Cause::NoAnswer,
        concluded: Some(at),
        ..row.clone()
    };
    let obligation = ObligationWrite {
        status: ObligationStatus::Owed,
        cause: ObligationCause::Silence,
        at,
        due: at,
        said: None,
    };
    Change { row, obligation: Some(obligation), note: Some(note), case: None, claim: None }
}

pub(crate) fn change(change: Change) -> Record {
    Record::Change(Box::new(change))
}

pub(crate) fn insert(row: &Row) -> Record {
    Record::Intent(Box::new(row.clone()))
}

pub(crate) fn is_applied(result: &Persisted) -> bool {
    matches!(result, Persisted::Applied(_))
}

pub(crate) fn lost(result: Persisted) -> Option<Found> {
    match result {
        Persisted::Lost(found) => found.map(|found| *found),
        other @ (Persisted::Applied(_) | Persisted::Failed | Persisted::Unknown) => {
            panic!("expected a lost race, got {other:?}")
        }
    }
}

/// Waits until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let end = Clock::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Clock::now() < end, "waited in vain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

//! The one writing connection: who has it, and how a transaction on it begins and ends.
//!
//! A batch that is ready while the other lane's batch already waits for its turn leaves its transaction open for it: one
//! commit, and one wait for the disk, then serves both.

use std::{
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{
    Mutex, OwnedMutexGuard,
    oneshot::{self, error::TryRecvError},
};

use crate::{StoreError, fault::Fault};

/// What a shared commit came to; the text is the database's.
type Committed = Result<(), String>;

/// The writing connection, or the place for it.
#[derive(Debug, Default)]
struct Held {
    connection: Option<SqliteConnection>,
    /// Those whose batches are in the transaction that is open, and who wait for its commit.
    company: Vec<oneshot::Sender<Committed>>,
}

impl Held {
    /// Commits what others left open, and tells them.
    async fn commit(&mut self) -> Result<(), sqlx::Error> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let committed = sqlx::query("COMMIT").execute(connection).await;
        for other in self.company.drain(..) {
            let told = committed.as_ref().map(drop).map_err(ToString::to_string);
            let _ = other.send(told);
        }
        if committed.is_err() {
            self.connection = None;
        }
        committed.map(drop)
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        let Some(connection) = &mut self.connection else {
            return Err(sqlx::Error::WorkerCrashed);
        };
        sqlx::query(statement).execute(connection).await.map(drop)
    }
}

/// Where the writing connection is had.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    options: SqliteConnectOptions,
    held: Arc<Mutex<Held>>,
    /// Batches that wait for their turn.
    batches: Arc<AtomicUsize>,
}

/// One's turn at the writing connection. A transaction is ended with [`Turn::settle`]; where it is not, because the
/// holder was dropped in the middle, the connection is closed, and with it the transaction is rolled back.
#[derive(Debug)]
pub(crate) struct Turn {
    guard: OwnedMutexGuard<Held>,
    open: bool,
}

/// A slot that does not keep its connection open.
#[derive(Debug)]
pub(super) struct WeakSlot {
    options: SqliteConnectOptions,
    held: Weak<Mutex<Held>>,
    batches: Weak<AtomicUsize>,
}

impl WeakSlot {
    /// None when nobody has the slot any more.
    pub(super) fn slot(&self) -> Option<Slot> {
        let (held, batches) = (self.held.upgrade()?, self.batches.upgrade()?);
        Some(Slot { options: self.options.clone(), held, batches })
    }
}

/// One's turn to write a batch.
#[derive(Debug)]
pub(super) struct BatchTurn {
    turn: Turn,
    slot: Slot,
    /// Whether another's batch is in the same transaction.
    joined: bool,
}

impl Slot {
    pub(crate) fn new(options: SqliteConnectOptions) -> Self {
        Self { options, held: Arc::default(), batches: Arc::default() }
    }

    /// The same slot for who must not keep its connection open.
    pub(super) fn weak(&self) -> WeakSlot {
        WeakSlot {
            options: self.options.clone(),
            held: Arc::downgrade(&self.held),
            batches: Arc::downgrade(&self.batches),
        }
    }

    /// Waits for one's turn; connects where there is no connection.
    pub(crate) async fn connected(&self) -> Result<Turn, sqlx::Error> {
        let mut guard = Arc::clone(&self.held).lock_owned().await;
        if !guard.company.is_empty() {
            guard.commit().await?;
        }
        self.connect(&mut guard).await?;
        Ok(Turn { guard, open: false })
    }

    async fn connect(&self, held: &mut Held) -> Result<(), sqlx::Error> {
        if held.connection.is_none() {
            held.company.clear();
            let mut connection = self.options.connect().await?;
            sqlx::query(AT_ONCE).execute(&mut connection).await?;
            held.connection = Some(connection);
        }
        Ok(())
    }

    /// One's turn with a transaction begun that no other process's writing can disturb.
    pub(crate) async fn begin(&self) -> Result<Turn, Fault> {
        let patience = Patience::new();
        loop {
            let mut turn = self.connected().await.map_err(Fault::Down)?;
            match turn.guard.run(BEGIN).await {
                Ok(()) => {
                    turn.open = true;
                    return Ok(turn);
                }
                Err(error) => {
                    drop(turn);
                    patience.wait(error).await?;
                }
            }
        }
    }

    /// One's turn to write a batch, in a transaction of its own or in one that another batch left open.
    pub(super) async fn begin_batch(&self) -> Result<BatchTurn, Fault> {
        let patience = Patience::new();
        loop {
            let waits = Waits::new(&self.batches);
            let mut guard = Arc::clone(&self.held).lock_owned().await;
            drop(waits);
            self.connect(&mut guard).await.map_err(Fault::Down)?;
            let joined = !guard.company.is_empty();
            if joined {
                let mut turn = Turn { guard, open: true };
                turn.guard.run("SAVEPOINT batch").await.map_err(classify)?;
                return Ok(BatchTurn { turn, slot: self.clone(), joined });
            }
            match guard.run(BEGIN).await {
                Ok(()) => {
                    let turn = Turn { guard, open: true };
                    return Ok(BatchTurn { turn, slot: self.clone(), joined });
                }
                Err(error) => {
                    drop(guard);
                    patience.wait(error).await?;
                }
            }
        }
    }
}

/// Statements on the writing connection fail at once where another process has the file: the wait for it is here, so that
/// nobody waits behind somebody who waits.
pub(super) const AT_ONCE: &str = "PRAGMA busy_timeout = 0";
/// So long a transaction waits for another process before the store counts as down (M15).
pub(crate) const LOCKED: Duration = Duration::from_secs(3);
/// The file is tried so often meanwhile.
const TRY_EVERY: Duration = Duration::from_millis(10);

/// The wait of one transaction for another process that has the file.
struct Patience {
    since: Instant,
}

impl Patience {
    fn new() -> Self {
        Self { since: Instant::now() }
    }

    /// Waits a moment before the next try, if the file is locked and was not for too long.
    async fn wait(&self, error: sqlx::Error) -> Result<(), Fault> {
        match classify(error) {
            Fault::Repeat(_) if self.since.elapsed() < LOCKED => {
                tokio::time::sleep(TRY_EVERY).await;
                Ok(())
            }
            Fault::Repeat(_) => Err(Fault::Down(sqlx::Error::Io(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "the database file is locked by another process",
            )))),
            other => Err(other),
        }
    }
}

const BEGIN: &str = "BEGIN IMMEDIATE";

/// Counts who waits, also where the waiting is given up.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Turn {
    /// The connection.
    #[expect(clippy::expect_used, reason = "`connect` filled it, and only `drop` empties it")]
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        self.guard.connection.as_mut().expect("a turn has a connection")
    }

    /// Commits what was done, or rolls it back where it failed.
    pub(crate) async fn settle<T>(mut self, done: Result<T, sqlx::Error>) -> Result<T, Fault> {
        match done {
            Ok(value) => self.commit().await.map(|()| value),
            Err(error) => {
                self.open = self.guard.run("ROLLBACK").await.is_err();
                Err(classify(error))
            }
        }
    }

    async fn commit(&mut self) -> Result<(), Fault> {
        match self.guard.commit().await {
            Ok(()) => {
                self.open = false;
                Ok(())
            }
            // Whether a failed write reached the disk cannot be known: a start reads what is there.
            Err(error) => Err(Fault::Fatal(StoreError::CommitFailed(error))),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.open {
            self.guard.connection = None;
            // Their part is rolled back with this one, and they learn it from the closed channel.
            self.guard.company.clear();
        }
    }
}

impl BatchTurn {
    /// The connection.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        self.turn.connection()
    }

    /// Takes back what this batch wrote; the transaction stays open.
    pub(super) async fn undo(&mut self) -> Result<(), sqlx::Error> {
        if self.joined {
            return self.turn.guard.run("ROLLBACK TO batch").await;
        }
        self.turn.guard.run("ROLLBACK").await?;
        self.turn.guard.run(BEGIN).await
    }

    /// Commits what was done, together with the batch that waits if one does; or takes it back where it failed.
    pub(super) async fn settle<T>(mut self, done: Result<T, sqlx::Error>) -> Result<T, Fault> {
        match done {
            Ok(value) if !self.joined && self.slot.batches.load(Ordering::Acquire) > 0 => {
                self.leave_open().await.map(|()| value)
            }
            Ok(value) => self.turn.commit().await.map(|()| value),
            Err(error) if self.joined => {
                // The other's batch is good. If even this fails, both are rolled back.
                if self.undo().await.is_ok() {
                    self.turn.commit().await?;
                }
                Err(classify(error))
            }
            Err(error) => self.turn.settle(Err(error)).await,
        }
    }

    /// Hands the open transaction to who comes next, and waits for the commit; commits itself if nobody came.
    async fn leave_open(mut self) -> Result<(), Fault> {
        let (sender, mut committed) = oneshot::channel();
        self.turn.guard.company.push(sender);
        self.turn.open = false;
        let Self { turn, slot, .. } = self;
        drop(turn);
        tokio::select! {
            biased;
            committed = &mut committed => told(committed),
            mut held = Arc::clone(&slot.held).lock_owned() => {
                match committed.try_recv() {
                    // Who had the turn in between told it.
                    Ok(done) => return told(Ok(done)),
                    // Rolled back with another's; what is open now is not this one's.
                    Err(TryRecvError::Closed) => return Err(Fault::Down(sqlx::Error::WorkerCrashed)),
                    // Nobody had the turn.
                    Err(TryRecvError::Empty) => {}
                }
                held.commit().await.map_err(|error| Fault::Fatal(StoreError::CommitFailed(error)))
            }
        }
    }
}

fn told(committed: Result<Committed, oneshot::error::RecvError>) -> Result<(), Fault> {
    match committed {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => Err(Fault::Fatal(StoreError::CommitFailed(sqlx::Error::Protocol(why)))),
        // It was dropped untold: the connection was closed with the transaction open.
        Err(_) => Err(Fault::Down(sqlx::Error::WorkerCrashed)),
    }
}

/// What a failed statement inside a transaction means: the transaction is rolled back, so nothing was written.
pub(crate) fn classify(error: sqlx::Error) -> Fault {
    const BUSY: i64 = 5;
    const LOCKED: i64 = 6;
    const TOO_BIG: i64 = 18;
    const CONSTRAINT: i64 = 19;
    const MISMATCH: i64 = 20;
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<i64>().ok())
        .map(|code| code & 0xff);
    match code {
        Some(BUSY | LOCKED) => Fault::Repeat(error),
        Some(TOO_BIG | CONSTRAINT | MISMATCH) => Fault::Bad(error),
        Some(_) | None => Fault::Down(error),
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Bad(error)
            | Fault::Repeat(error)
            | Fault::Down(error)
            | Fault::Unknown(error) => Self::Database(error),
            Fault::Fatal(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tempfile::TempDir;
    use tokio::task::JoinHandle;

    use super::*;

    const INSERT: &str = "INSERT INTO t (n) VALUES (?)";

    async fn slot() -> (TempDir, Slot) {
        let dir = TempDir::new().expect("a directory");
        let options = SqliteConnectOptions::new()
            .filename(dir.path().join("test.db"))
            .create_if_missing(true);
        let slot = Slot::new(options);
        let mut turn = slot.connected().await.expect("connected");
        sqlx::query("CREATE TABLE t (n INTEGER PRIMARY KEY)")
            .execute(turn.connection())
            .await
            .expect("a table");
        drop(turn);
        (dir, slot)
    }

    async fn wrote(slot: &Slot, n: i64) -> BatchTurn {
        let mut turn = slot.begin_batch().await.expect("a turn");
        sqlx::query(INSERT).bind(n).execute(turn.connection()).await.expect("written");
        turn
    }

    /// The rows, as another connection sees them.
    async fn rows(slot: &Slot) -> Vec<i64> {
        let mut other = slot.options.connect().await.expect("connected");
        sqlx::query_scalar("SELECT n FROM t ORDER BY n").fetch_all(&mut other).await.expect("read")
    }

    /// A second batch that does `work` once the first one's turn is over.
    async fn second<F>(slot: &Slot, work: impl FnOnce(Slot) -> F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let task = tokio::spawn(work(slot.clone()));
        while slot.batches.load(Ordering::Acquire) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        task
    }

    #[tokio::test]
    async fn two_batches_share_a_commit() {
        let (_dir, slot) = slot().await;
        let first = wrote(&slot, 1).await;
        let (joined, told) = oneshot::channel();
        let (go, gone) = oneshot::channel::<()>();
        let task = second(&slot, |slot| async move {
            let turn = wrote(&slot, 2).await;
            let _ = joined.send(turn.joined);
            let _ = gone.await;
            turn.settle(Ok(())).await
        })
        .await;
        let first = tokio::spawn(first.settle(Ok(())));
        assert_eq!(told.await, Ok(true));
        assert!(rows(&slot).await.is_empty());
        assert!(!first.is_finished());
        go.send(()).expect("it waits");
        assert!(first.await.expect("no panic").is_ok());
        assert!(task.await.expect("no panic").is_ok());
        assert_eq!(rows(&slot).await, [1, 2]);
    }

    #[tokio::test]
    async fn a_bad_second_batch_leaves_the_first() {
        let (_dir, slot) = slot().await;
        let first = wrote(&slot, 1).await;
        let task = second(&slot, |slot| async move {
            let mut turn = wrote(&slot, 2).await;
            let done = sqlx::query(INSERT).bind(2_i64).execute(turn.connection()).await;
            turn.settle(done).await
        })
        .await;
        assert!(first.settle(Ok(())).await.is_ok());
        assert!(matches!(task.await.expect("no panic"), Err(Fault::Bad(_))));
        assert_eq!(rows(&slot).await, [1]);
    }

    #[tokio::test]
    async fn a_second_batch_takes_back_only_its_own() {
        let (_dir, slot) = slot().await;
        let first = wrote(&slot, 1).await;
        let task = second(&slot, |slot| async move {
            let mut turn = wrote(&slot, 2).await;
            turn.undo().await.expect("undone");
            sqlx::query(INSERT).bind(3_i64).execute(turn.connection()).await.expect("written");
            turn.settle(Ok(())).await
        })
        .await;
        assert!(first.settle(Ok(())).await.is_ok());
        assert!(task.await.expect("no panic").is_ok());
        assert_eq!(rows(&slot).await, [1, 3]);
    }

    #[tokio::test]
    async fn a_second_batch_that_is_dropped_takes_the_first_with_it() {
        let (_dir, slot) = slot().await;
        let first = wrote(&slot, 1).await;
        let task = second(&slot, |slot| async move { drop(wrote(&slot, 2).await) }).await;
        assert!(matches!(first.settle(Ok(())).await, Err(Fault::Down(_))));
        task.await.expect("no panic");
        assert!(rows(&slot).await.is_empty());
        assert!(wrote(&slot, 3).await.settle(Ok(())).await.is_ok());
        assert_eq!(rows(&slot).await, [3]);
    }

    #[tokio::test]
    async fn who_waits_and_goes_away_holds_nobody_up() {
        let (_dir, slot) = slot().await;
        let first = wrote(&slot, 1).await;
        let task = second(&slot, |slot| async move { drop(slot.begin_batch().await) }).await;
        // The first still sees it waiting, and leaves the transaction open for nobody.
        let settled = first.settle(Ok(()));
        task.abort();
        assert!(settled.await.is_ok());
        assert_eq!(rows(&slot).await, [1]);
    }

    #[tokio::test]
    async fn who_is_no_batch_finds_nothing_open() {
        let (_dir, slot) = slot().await;
        let first = wrote(&slot, 1).await;
        let other = tokio::spawn({
            let slot = slot.clone();
            async move {
                let mut turn = slot.connected().await.expect("a turn");
                sqlx::query_scalar::<_, i64>("SELECT count(*) FROM t")
                    .fetch_one(turn.connection())
                    .await
            }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        let task =
            second(&slot, |slot| async move { wrote(&slot, 2).await.settle(Ok(())).await }).await;
        assert!(first.settle(Ok(())).await.is_ok());
        assert_eq!(other.await.expect("no panic").expect("read"), 1);
        assert!(task.await.expect("no panic").is_ok());
        assert_eq!(rows(&slot).await, [1, 2]);
    }
}

//! The one writing connection: who has it, and how a transaction on it begins and ends.

use std::sync::Arc;

use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{StoreError, fault::Fault};

/// The writing connection, or the place for it.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    options: SqliteConnectOptions,
    held: Arc<Mutex<Option<SqliteConnection>>>,
}

/// One's turn at the writing connection. A transaction is ended with [`Turn::settle`]; where it is not, because the
/// holder was dropped in the middle, the connection is closed, and with it the transaction is rolled back.
#[derive(Debug)]
pub(crate) struct Turn {
    guard: OwnedMutexGuard<Option<SqliteConnection>>,
    open: bool,
}

impl Slot {
    pub(crate) fn new(options: SqliteConnectOptions) -> Self {
        Self { options, held: Arc::default() }
    }

    /// Waits for one's turn; connects where there is no connection.
    pub(crate) async fn connected(&self) -> Result<Turn, sqlx::Error> {
        let mut guard = Arc::clone(&self.held).lock_owned().await;
        if guard.is_none() {
            *guard = Some(self.options.connect().await?);
        }
        Ok(Turn { guard, open: false })
    }

    /// One's turn with a transaction begun that no other process's writing can disturb.
    pub(crate) async fn begin(&self) -> Result<Turn, Fault> {
        let mut turn = self.connected().await.map_err(Fault::Down)?;
        turn.open = true;
        match sqlx::query("BEGIN IMMEDIATE").execute(turn.connection()).await {
            Ok(_) => Ok(turn),
            Err(error) => Err(classify(error)),
        }
    }
}

impl Turn {
    /// The connection.
    #[expect(clippy::expect_used, reason = "`connected` filled it, and only `drop` empties it")]
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        self.guard.as_mut().expect("a turn has a connection")
    }

    /// Commits what was done, or rolls it back where it failed.
    pub(crate) async fn settle<T>(mut self, done: Result<T, sqlx::Error>) -> Result<T, Fault> {
        match done {
            Ok(value) => match sqlx::query("COMMIT").execute(self.connection()).await {
                Ok(_) => {
                    self.open = false;
                    Ok(value)
                }
                // Whether a failed write reached the disk cannot be known: a start reads what is there.
                Err(error) => Err(Fault::Fatal(StoreError::CommitFailed(error))),
            },
            Err(error) => {
                self.open = sqlx::query("ROLLBACK").execute(self.connection()).await.is_err();
                Err(classify(error))
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.open {
            *self.guard = None;
        }
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

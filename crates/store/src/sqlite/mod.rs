//! The embedded back end: one file, one writing connection, one process.

mod batch;
mod card_key;
mod checkpoint;
mod claims;
mod counter;
mod days;
mod find;
mod follow;
mod node;
mod read;
mod resolve;
mod session;
mod thread;

use std::{
    fs::File,
    path::PathBuf,
    str::FromStr,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, SqliteConnection, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub(crate) use self::{batch::WriterConnection, session::Slot, thread::Thread};
use crate::{StoreConfig, StoreError, bound::Bound, horizon::SharedHorizon, schema};

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// The store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    pub(crate) config: StoreConfig,
    pub(crate) horizon: SharedHorizon,
    bound: Bound,
    path: PathBuf,
    /// The one connection that writes; its holders take turns.
    writer: Slot,
    thread: Arc<Thread>,
    readers: SqlitePool,
    /// Locked while this process has the lease.
    lock: Mutex<Option<File>>,
}

impl SqliteStore {
    pub(crate) async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let bad = |why: &str| StoreError::Url { url: config.url.clone(), why: why.to_owned() };
        let options = SqliteConnectOptions::from_str(&config.url)
            .map_err(|error| bad(&error.to_string()))?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            // the text of a statement is nothing for a warning
            .log_slow_statements(log::LevelFilter::Debug, Duration::from_secs(1))
            .foreign_keys(false);
        let path = options.get_filename().to_path_buf();
        if config.url.contains(":memory:") || path.as_os_str().is_empty() {
            return Err(bad("a file is needed: what is in memory is not durable"));
        }
        let writer = Slot::new(checkpoint::left_to_task(options.clone()).create_if_missing(true));
        drop(writer.connected().await?);
        let thread = Arc::new(Thread::start().map_err(sqlx::Error::Io)?);
        checkpoint::start(&thread, &writer, options.clone());
        let readers = SqlitePoolOptions::new()
            .max_connections(config.connections.max(1))
            .acquire_slow_level(log::LevelFilter::Debug)
            .connect_with(options.create_if_missing(false).pragma("query_only", "on"))
            .await?;
        Ok(Self {
            config: config.clone(),
            horizon: SharedHorizon::default(),
            bound: Bound::default(),
            path,
            writer,
            thread,
            readers,
            lock: Mutex::new(None),
        })
    }

    pub(crate) fn writer_connection(&self) -> WriterConnection {
        WriterConnection::new(self.writer.clone(), self.horizon.clone(), Arc::clone(&self.thread))
    }

    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        let mut turn = self.writer.connected().await?;
        let tables = tables(turn.connection()).await?;
        schema::not_too_new(&MIGRATOR, min_version(turn.connection(), tables).await?)?;
        // Another process may migrate at the same time.
        sqlx::query("PRAGMA busy_timeout = 5000").execute(turn.connection()).await?;
        let done = schema::tolerant(&MIGRATOR).run_direct(None, turn.connection(), false).await;
        sqlx::query(session::AT_ONCE).execute(turn.connection()).await?;
        Ok(done?)
    }

    pub(crate) async fn check_version(&self) -> Result<(), StoreError> {
        let mut turn = self.writer.connected().await?;
        let tables = tables(turn.connection()).await?;
        schema::not_too_new(&MIGRATOR, min_version(turn.connection(), tables).await?)?;
        let applied = if tables {
            sqlx::query_scalar(schema::APPLIED).fetch_one(turn.connection()).await?
        } else {
            0
        };
        schema::migrated(&MIGRATOR, applied)
    }
}

/// Whether anything was ever migrated.
async fn tables(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar::<_, i64>(
        "SELECT count(*) FROM sqlite_master WHERE name IN ('meta', '_sqlx_migrations')",
    )
    .fetch_one(connection)
    .await
    .map(|count| count == 2)
}

async fn min_version(
    connection: &mut SqliteConnection,
    tables: bool,
) -> Result<Option<i64>, sqlx::Error> {
    if !tables {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT min_version FROM meta").fetch_optional(connection).await
}

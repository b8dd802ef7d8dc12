//! The store: one of two back ends with the same functions.

use std::sync::Arc;

use switch_core::{Day, Epoch, Found, Key, NodeNo, NumberBlock, TxnId, Wall};

use crate::{
    Beat, DayClock, DaySetError, DaySetting, DaysKept, Estate, Lease, StoreConfig, StoreError,
    TakenOver, connection::Connection, horizon::SharedHorizon, node::READS,
    postgres::PostgresStore, sqlite::SqliteStore,
};

/// The database of one or several nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Store {
    /// Production, one or several nodes.
    Postgres(Arc<PostgresStore>),
    /// Embedded, one node.
    Sqlite(Arc<SqliteStore>),
}

/// Calls the back end's function of the same name.
macro_rules! either {
    ($store:expr, $own:ident => $call:expr) => {
        match $store {
            Store::Postgres($own) => $call.await,
            Store::Sqlite($own) => $call.await,
        }
    };
}

/// Calls it in a task of its own, so that a caller who goes away in the middle leaves no transaction open.
macro_rules! uncancelled {
    ($store:expr, $own:ident => $call:expr) => {{
        let store = $store.clone();
        let task = tokio::spawn(async move { either!(&store, $own => $call) });
        match task.await {
            Ok(done) => done,
            Err(error) => Err(sqlx::Error::Io(std::io::Error::other(error)).into()),
        }
    }};
}

pub(crate) use {either, uncancelled};

impl Store {
    /// Connects. A missing SQLite file is created.
    ///
    /// # Errors
    /// The address is unknown, the database cannot be reached, or the server would forget what it confirms.
    pub async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let scheme = config.url.split_once(':').map_or("", |(scheme, _)| scheme);
        match scheme {
            "postgres" | "postgresql" => {
                Ok(Self::Postgres(Arc::new(PostgresStore::open(config).await?)))
            }
            "sqlite" => Ok(Self::Sqlite(Arc::new(SqliteStore::open(config).await?))),
            _ => Err(StoreError::Url {
                url: scheme.to_owned(),
                why: "the scheme is unknown".to_owned(),
            }),
        }
    }

    /// Brings the database to this binary's version. Idempotent; several processes may call it at once.
    ///
    /// # Errors
    /// The database needs a newer binary, or a migration failed.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        uncancelled!(self, own => own.migrate())
    }

    /// Whether this binary may serve the database as it is.
    ///
    /// # Errors
    /// The database needs a newer binary, or was not migrated.
    pub async fn check_version(&self) -> Result<(), StoreError> {
        either!(self, own => own.check_version())
    }

    /// Takes the lease of the node of this name, waits for the last statements of its former life, and raises its epoch.
    /// `host` is what another process is told that asks for the same name. The lease lasts as long as the process.
    ///
    /// # Errors
    /// Another process has it; the business day is configured otherwise than the database has it.
    pub async fn lease(&self, name: &str, host: &str, now: Wall) -> Result<Lease, StoreError> {
        let (name, host) = (name.to_owned(), host.to_owned());
        uncancelled!(self, own => own.lease(&name, &host, now))
    }

    /// Shows that this node lives. `lowest_open`: no transaction of this node below this number is open or will be made;
    /// none keeps what was said before. It is not stored until `recover` gave the last of the node's own estate, since
    /// it bounds the next recovery.
    ///
    /// # Errors
    /// The database failed; or the process must end, since it was taken over or another has its lease
    /// ([`StoreError::is_fatal`]).
    pub async fn beat(&self, lease: &Lease, lowest_open: Option<TxnId>) -> Result<(), StoreError> {
        let lease = lease.clone();
        uncancelled!(self, own => own.beat(&lease, lowest_open))
    }

    /// All nodes' beats.
    ///
    /// # Errors
    /// The database failed.
    pub async fn beats(&self) -> Result<Vec<Beat>, StoreError> {
        either!(self, own => own.beats())
    }

    /// Whether every node that lives, by these beats, reads the stored numbers of this version. A node that was taken over
    /// does not count until it returns. One process serves an embedded database: it is this one.
    #[must_use]
    pub fn all_read(&self, beats: &[Beat], version: i64) -> bool {
        match self {
            Self::Postgres(_) => beats.iter().all(|beat| beat.taken || beat.reads >= version),
            Self::Sqlite(_) => version <= READS,
        }
    }

    /// Takes over a node whose beat stood still: raises its epoch, which waits for its open batches, and makes its owed
    /// reversals this node's. None where its epoch is no longer `seen`: it returned, or another node was first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_over(
        &self,
        lease: &Lease,
        node: NodeNo,
        seen: Epoch,
    ) -> Result<Option<TakenOver>, StoreError> {
        let taker = lease.node;
        uncancelled!(self, own => own.take_over(taker, node, seen))
    }

    /// In-flight rows of an estate with numbers above `after`, by number, at most `limit`; fewer mean that there are no
    /// more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn recover(
        &self,
        estate: Estate,
        after: TxnId,
        limit: u32,
    ) -> Result<Vec<Found>, StoreError> {
        either!(self, own => own.recover(estate, after, limit))
    }

    /// Rows whose reversal is owed or marked, and owned by this node, as `recover` gives them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn owed(
        &self,
        owner: NodeNo,
        after: TxnId,
        limit: u32,
    ) -> Result<Vec<Found>, StoreError> {
        either!(self, own => own.owed(owner, after, limit))
    }

    /// Those of these transactions whose reversal is owed or marked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read_owed(&self, ids: &[TxnId]) -> Result<Vec<Found>, StoreError> {
        either!(self, own => own.read_owed(ids))
    }

    /// One step of the keeper of days, every few seconds and once before the node takes traffic: makes leaves ahead, cuts
    /// over when the day is due and the clock is good, turns deliveries that stayed unknown into cases after the overlap, drops days that are too
    /// old and have nothing open. Of several nodes one does it; each learns the current day.
    ///
    /// # Errors
    /// The database failed, or somebody held a lock too long: the next step tries again.
    pub async fn keep_days(&self, clock: impl Into<DayClock>) -> Result<DaysKept, StoreError> {
        let clock = clock.into();
        uncancelled!(self, own => own.keep_days(clock))
    }

    /// The clock that judges the business day for all nodes: the server's. None for an embedded database, where it is this
    /// machine's.
    ///
    /// # Errors
    /// The database failed.
    pub async fn clock(&self) -> Result<Option<Wall>, StoreError> {
        match self {
            Self::Postgres(own) => own.clock().await,
            Self::Sqlite(_) => Ok(None),
        }
    }

    /// Makes a day the current one by a person's word, forward or back, in one transaction as a cut-over does, and keeps
    /// who said so and why. Needs no lease: running nodes follow. Gives the day that was current.
    ///
    /// # Errors
    /// The day is far from that of `now` or the current one, identities of a former day would be lost, a running node
    /// cannot follow, or the database failed.
    pub async fn set_day(&self, setting: DaySetting, now: Wall) -> Result<Day, DaySetError> {
        uncancelled!(self, own => own.set_day(setting, now))
    }

    /// Draws numbers that no other node and no other life draws (I20).
    ///
    /// # Errors
    /// The database failed, or all numbers are used up.
    pub async fn draw_numbers(&self, count: u32) -> Result<NumberBlock, StoreError> {
        uncancelled!(self, own => own.draw_numbers(count))
    }

    /// The rows under these keys in the horizon.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read_keys(&self, keys: &[Key]) -> Result<Vec<Found>, StoreError> {
        either!(self, own => own.read_keys(keys))
    }

    /// The newest row under this key of any day that is kept.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read_any_day(&self, key: Key) -> Result<Option<Found>, StoreError> {
        either!(self, own => own.read_any_day(key))
    }

    /// The row with this number.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read_id(&self, id: TxnId) -> Result<Option<Found>, StoreError> {
        either!(self, own => own.read_id(id))
    }

    pub(crate) fn writer_connection(&self) -> Connection {
        match self {
            Self::Postgres(own) => Connection::Postgres(own.writer_connection()),
            Self::Sqlite(own) => Connection::Sqlite(own.writer_connection()),
        }
    }

    pub(crate) fn horizon(&self) -> &SharedHorizon {
        match self {
            Self::Postgres(own) => &own.horizon,
            Self::Sqlite(own) => &own.horizon,
        }
    }
}

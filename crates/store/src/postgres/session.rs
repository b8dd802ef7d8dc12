//! Sessions on the server: what it must promise, how a writer's is set, and what its errors mean.

use std::{io, time::Duration};

use sqlx::{
    ConnectOptions as _, PgConnection,
    postgres::{PgConnectOptions, PgDatabaseError, PgSeverity},
};

use crate::{StoreError, fault::Fault};

/// A writer's session: its plans are pinned, since a plan made for a young table is kept when the table has grown; it
/// waits for locks a bounded time, so that one hanging commit of a copy holds up only that copy.
const PINNED: [(&str, &str); 13] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_material", "off"),
    ("max_parallel_workers_per_gather", "0"),
    ("plan_cache_mode", "force_generic_plan"),
    ("statement_timeout", "0"),
    ("lock_timeout", "1s"),
    VANISHED[0],
    VANISHED[1],
    VANISHED[2],
    VANISHED[3],
];

/// The server lets go of a client whose host vanished, and of its locks.
const VANISHED: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "10s"),
];

/// A server that says nothing for so long is down: its host vanished, its disk hangs, or its commit waits for a replica
/// that is gone.
const SILENCE: Duration = Duration::from_secs(5);

/// The columns of a [`Promises`], of the session that asks.
macro_rules! promised {
    () => {
        "current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes, \
         current_setting('synchronous_commit') AS synchronous_commit"
    };
}
pub(super) use promised;

/// What a commit promises on a session, as the server, the database and the role have it.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Promises {
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
}

impl Promises {
    /// Reads them on this session: `ALTER ROLE` and `ALTER DATABASE` count for it.
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let asked = sqlx::query_as(concat!("SELECT ", promised!()));
        watched(asked.fetch_one(connection)).await
    }

    /// Refuses a server that would forget what it confirms: after a crash, or, where a commit does not wait for its replica
    /// (`local`) or for the replica's disk (`remote_write`), at a failover. These two are refused without a replica too: one
    /// may be added while the node runs.
    pub(super) fn kept(self) -> Result<(), StoreError> {
        let Self { fsync, full_page_writes, synchronous_commit } = self;
        let weak = |value: &str| matches!(value, "off" | "local" | "remote_write");
        let settings = [
            ("fsync", fsync == "off", fsync),
            ("full_page_writes", full_page_writes == "off", full_page_writes),
            ("synchronous_commit", weak(&synchronous_commit), synchronous_commit),
        ];
        match settings.into_iter().find(|(_, weak, _)| *weak) {
            Some((setting, _, value)) => Err(StoreError::Unsafe { setting, value }),
            None => Ok(()),
        }
    }
}

/// A writer's connection.
pub(super) async fn pinned(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    watched(options.clone().options(PINNED).connect()).await
}

/// The session that holds a lease.
pub(super) async fn leasing(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    watched(options.clone().options(VANISHED).connect()).await
}

/// Ends the wait for a silent server. Whoever gets this error must drop the connection, which closes its socket: it may
/// stand in the middle of a statement, whose result is unknown.
pub(super) async fn watched<T>(
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(SILENCE, asked)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

/// The same for a read of several statements. What could not be read in that time will not be read soon either.
pub(super) async fn watched_read<T>(
    asked: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let silent = || sqlx::Error::Io(io::ErrorKind::TimedOut.into());
    tokio::time::timeout(SILENCE, asked).await.unwrap_or_else(|_| Err(silent().into()))
}

/// Whether a row stands in the way that was not seen before (23505).
pub(super) fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// What a failed statement of a writer means. Only an ordinary error ends a statement for certain without effect: a
/// backend that was ended (57P01 to 57P03 are fatal, not ordinary) may have committed before.
pub(super) fn classify(error: sqlx::Error) -> Fault {
    let Some(refused) =
        error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
    else {
        return match error {
            sqlx::Error::Encode(_) => Fault::Bad(error),
            _ => Fault::Unknown(error),
        };
    };
    let ordinary = refused.severity() == PgSeverity::Error;
    match meaning(ordinary, refused.code()) {
        Meaning::Bad => Fault::Bad(error),
        Meaning::Repeat => Fault::Repeat(error),
        Meaning::Down => Fault::Down(error),
        Meaning::Unknown => Fault::Unknown(error),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Bad,
    Repeat,
    Down,
    Unknown,
}

/// The meaning of an SQLSTATE.
fn meaning(ordinary: bool, code: &str) -> Meaning {
    if !ordinary {
        return Meaning::Unknown;
    }
    match (code.get(..2).unwrap_or_default(), code) {
        // data, constraints, one row twice in an upsert, a lock that could not be had: one record's fault
        ("22" | "23", _) | (_, "21000" | "55P03") => Meaning::Bad,
        // a deadlock, or a serialisation failure where the database's default is stricter than READ COMMITTED
        (_, "40P01" | "40001") => Meaning::Repeat,
        // a server that takes no writes, such as a standby: it wrote nothing, and another may stand at its address by now
        (_, "25006") | ("08" | "53" | "57", _) => Meaning::Down,
        _ => Meaning::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sqlstate_means_one_thing() {
        for (code, expected) in [
            ("22001", Meaning::Bad),
            ("23514", Meaning::Bad),
            ("21000", Meaning::Bad),
            ("55P03", Meaning::Bad),
            ("40P01", Meaning::Repeat),
            ("40001", Meaning::Repeat),
            ("25006", Meaning::Down),
            ("53100", Meaning::Down),
            ("57014", Meaning::Down),
            ("08006", Meaning::Down),
            ("42P01", Meaning::Unknown),
            ("25P02", Meaning::Unknown),
            ("XX000", Meaning::Unknown),
        ] {
            assert_eq!(meaning(true, code), expected, "{code}");
            assert_eq!(meaning(false, code), Meaning::Unknown, "{code}, and the backend ended");
        }
        for code in ["57P01", "57P02", "57P03"] {
            assert_eq!(meaning(false, code), Meaning::Unknown, "{code}");
        }
    }

    #[test]
    fn a_commit_that_waits_for_too_little_is_refused() {
        let of = |fsync: &str, pages: &str, commit: &str| {
            let promises = Promises {
                fsync: fsync.to_owned(),
                full_page_writes: pages.to_owned(),
                synchronous_commit: commit.to_owned(),
            };
            promises.kept().err().map(|error| error.to_string())
        };
        assert_eq!(of("on", "on", "on"), None);
        assert_eq!(of("on", "on", "remote_apply"), None);
        for (fsync, pages, commit, named) in [
            ("off", "on", "on", "fsync = off"),
            ("on", "off", "on", "full_page_writes = off"),
            ("on", "on", "off", "synchronous_commit = off"),
            ("on", "on", "local", "synchronous_commit = local"),
            ("on", "on", "remote_write", "synchronous_commit = remote_write"),
        ] {
            let refused = of(fsync, pages, commit).expect("unsafe");
            assert!(refused.contains(named), "{refused}");
        }
    }
}

//! Sessions on the server: what it must promise, how a writer's is set, and what its errors mean.

use std::{io, time::Duration};

use sqlx::{
    ConnectOptions as _, PgConnection, PgPool,
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

/// Refuses a server that would forget what it confirms.
pub(super) async fn refuse_unsafe(pool: &PgPool) -> Result<(), StoreError> {
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(pool).await?;
        if value == "off" {
            return Err(StoreError::Unsafe { setting, value });
        }
    }
    Ok(())
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

/// Whether a row stands in the way that was not seen before (23505).
pub(super) fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// What a failed statement of a writer means. Only an ordinary error ends a statement for certain without effect: a
/// backend that was ended may have committed before.
pub(super) fn classify(error: sqlx::Error) -> Fault {
    let Some(refused) =
        error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
    else {
        return match error {
            sqlx::Error::Encode(_) => Fault::Bad(error),
            _ => Fault::Unknown(error),
        };
    };
    let code = refused.code().to_owned();
    let class = code.get(..2).unwrap_or_default();
    match (refused.severity(), class, code.as_str()) {
        (PgSeverity::Error, "22" | "23", _) | (PgSeverity::Error, _, "55P03") => Fault::Bad(error),
        (PgSeverity::Error, _, "40P01" | "40001") => Fault::Repeat(error),
        (PgSeverity::Error, "08" | "53" | "57", _) => Fault::Down(error),
        _ => Fault::Unknown(error),
    }
}

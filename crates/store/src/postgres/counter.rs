//! Terminals, batches and settlements on the server.

use sqlx::{PgConnection, Postgres};

use super::PostgresStore;
use crate::counter::{fetch_queries, settlement_queries, terminal_queries};

/// Runs it in a transaction; one that fails is rolled back.
macro_rules! within {
    ($store:expr, $connection:ident => $done:expr) => {{
        let mut transaction = $store.pool.begin().await?;
        let $connection: &mut PgConnection = &mut transaction;
        let done = $done.await?;
        transaction.commit().await?;
        Ok::<_, crate::StoreError>(done)
    }};
}

/// A trigger numbers each change, whatever a statement says (migration 6).
macro_rules! next {
    () => {
        "0::bigint"
    };
}

terminal_queries!(PostgresStore, pool, Postgres, PgConnection, within, " FOR UPDATE", next);
settlement_queries!(
    PostgresStore,
    pool,
    Postgres,
    PgConnection,
    within,
    " FOR UPDATE",
    next,
    "txn t WHERE t.day >= $1"
);
fetch_queries!(PostgresStore, PgConnection, within, next);

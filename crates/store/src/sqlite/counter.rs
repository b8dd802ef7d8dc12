//! Terminals, batches and settlements of the embedded back end.

use sqlx::{Sqlite, SqliteConnection};

use super::SqliteStore;
use crate::counter::{fetch_queries, settlement_queries, terminal_queries};

/// Runs it in a transaction of the one connection that writes; one that fails is rolled back.
macro_rules! within {
    ($store:expr, $connection:ident => $done:expr) => {{
        let mut turn = $store.writer.begin().await?;
        let $connection: &mut SqliteConnection = turn.connection();
        let done = $done.await;
        Ok::<_, crate::StoreError>(turn.settle(done).await?)
    }};
}

/// One connection writes, and no terminal is ever deleted: the numbers grow, and no two changes share one.
macro_rules! next {
    () => {
        "(SELECT coalesce(max(seq), 0) + 1 FROM terminal)"
    };
}

terminal_queries!(SqliteStore, readers, Sqlite, SqliteConnection, within, "", next);
settlement_queries!(
    SqliteStore,
    readers,
    Sqlite,
    SqliteConnection,
    within,
    "",
    next,
    "day d CROSS JOIN txn t WHERE d.day >= $1 AND t.day = d.day"
);
fetch_queries!(SqliteStore, SqliteConnection, within, next);

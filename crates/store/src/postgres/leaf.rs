//! The leaf of a business day: its name, and how it is made and dropped without holding anybody up.

use sqlx::{AssertSqlSafe, PgConnection};
use switch_core::Day;

use crate::calendar::compact_date;

/// The table that holds this day's transactions. Writers name it; only readers of many days use the parent.
pub(super) fn name(day: Day) -> String {
    format!("txn_{}", compact_date(day))
}

/// Makes the leaf where it is missing. `CREATE` and `ATTACH`, since `CREATE … PARTITION OF` waits for whoever reads the
/// parent, and all writers then wait behind it.
pub(super) async fn make(connection: &mut PgConnection, day: Day) -> Result<(), sqlx::Error> {
    let leaf = name(day);
    let attached: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass($1) AND inhparent = 'txn'::regclass)",
    )
    .bind(&leaf)
    .fetch_one(&mut *connection)
    .await?;
    if !attached {
        // Once for each statement, so that what a crash left half made is finished.
        for statement in [
            format!(
                "CREATE TABLE IF NOT EXISTS {leaf} (LIKE txn INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE) \
                 WITH (fillfactor = 40)"
            ),
            format!("CREATE UNIQUE INDEX IF NOT EXISTS {leaf}_key ON {leaf} (key)"),
            format!(
                "CREATE INDEX IF NOT EXISTS {leaf}_brin ON {leaf} \
                 USING brin (id, created, card_hash bytea_bloom_ops) WITH (pages_per_range = 64)"
            ),
            // Pre-authorisations (kind 5) are looked for by their card; neither column ever changes.
            format!("CREATE INDEX IF NOT EXISTS {leaf}_held ON {leaf} (card_hash) WHERE kind = 5"),
            format!("ALTER TABLE txn ATTACH PARTITION {leaf} FOR VALUES IN ({})", day.0),
        ] {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut *connection).await?;
        }
    }
    sqlx::query("INSERT INTO day (day) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(day.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes the leaf out from under the parent without waiting for readers of it, and drops it. Finishes what an earlier
/// attempt began.
pub(super) async fn drop_leaf(connection: &mut PgConnection, day: Day) -> Result<(), sqlx::Error> {
    let leaf = name(day);
    let pending: Option<bool> = sqlx::query_scalar(
        "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass($1) AND inhparent = 'txn'::regclass",
    )
    .bind(&leaf)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(pending) = pending {
        let how = if pending { "FINALIZE" } else { "CONCURRENTLY" };
        let statement = format!("ALTER TABLE txn DETACH PARTITION {leaf} {how}");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    let statement = format!("DROP TABLE IF EXISTS {leaf}");
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

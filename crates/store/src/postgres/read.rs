//! Reads of the production back end.

use std::{collections::BTreeSet, sync::LazyLock};

use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow};
use switch_core::{Day, Found, Key, TxnId};

use super::{PostgresStore, leaf};
use crate::{
    LedgerRow, StoreError,
    horizon::{Horizon, SharedHorizon},
    image::{AFTER_FOUND, BESIDE, FOUND, array, image_of, long},
    ledger,
};

image_of!(PgRow);

const DAYS: &str = "SELECT day FROM day WHERE opened IS NOT NULL ORDER BY day";

static ANY_DAY: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {FOUND} FROM txn t {BESIDE} WHERE t.key = $1 ORDER BY t.id DESC LIMIT 1")
});
static BY_ID: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {FOUND} FROM txn t {BESIDE} WHERE t.id = $1"));

pub(super) fn found(rows: &[PgRow], horizon: Option<Horizon>) -> Result<Vec<Found>, StoreError> {
    rows.iter().map(|row| image_of(row)?.found(horizon)).collect()
}

async fn rows_of(
    connection: &mut PgConnection,
    horizon: Horizon,
    day: Day,
    keys: &[Key],
) -> Result<Vec<Found>, StoreError> {
    let leaf = leaf::name(day);
    let statement = format!("SELECT {FOUND} FROM {leaf} t {BESIDE} WHERE t.key = ANY($1)");
    let keys: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
    let rows = sqlx::query(AssertSqlSafe(statement)).bind(keys).fetch_all(connection).await?;
    found(&rows, Some(horizon))
}

/// The rows of the horizon under these keys. The day is read after them: if it did not move, no row can stand in a later
/// leaf; if it did, they are read again.
pub(super) async fn newest(
    connection: &mut PgConnection,
    shared: &SharedHorizon,
    mut horizon: Horizon,
    keys: &[Key],
) -> Result<Vec<Found>, StoreError> {
    loop {
        let mut rows = rows_of(connection, horizon, horizon.day, keys).await?;
        if let Some(former) = horizon.former {
            let today: BTreeSet<Key> = rows.iter().map(|found| found.row.key).collect();
            let older = rows_of(connection, horizon, former, keys).await?;
            rows.extend(older.into_iter().filter(|found| !today.contains(&found.row.key)));
        }
        let day =
            Day(sqlx::query_scalar("SELECT day FROM meta").fetch_one(&mut *connection).await?);
        if day == horizon.day {
            return Ok(rows);
        }
        horizon = shared.moved_to(day);
    }
}

pub(super) async fn any_day(
    connection: &mut PgConnection,
    horizon: Option<Horizon>,
    key: Key,
) -> Result<Option<Found>, StoreError> {
    let rows = sqlx::query(ANY_DAY.as_str()).bind(key.0.as_slice()).fetch_all(connection).await?;
    Ok(found(&rows, horizon)?.pop())
}

pub(super) async fn rows_at(
    connection: &mut PgConnection,
    horizon: Horizon,
    places: &[(Day, Key)],
) -> Result<Vec<Found>, StoreError> {
    let days: BTreeSet<Day> = places.iter().map(|(day, _)| *day).collect();
    let mut rows = Vec::new();
    for day in days {
        let keys: Vec<Key> =
            places.iter().filter(|place| place.0 == day).map(|place| place.1).collect();
        rows.extend(rows_of(connection, horizon, day, &keys).await?);
    }
    Ok(rows)
}

pub(super) async fn obligation_places(
    connection: &mut PgConnection,
    ids: &[TxnId],
) -> Result<Vec<(Day, Key)>, StoreError> {
    let ids: Vec<i64> = ids.iter().map(|id| long(id.0)).collect();
    let rows: Vec<(i32, Vec<u8>)> =
        sqlx::query_as("SELECT day, key FROM obligation WHERE id = ANY($1)")
            .bind(ids)
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(|(day, key)| Ok((Day(day), Key(array(&key, "identity")?)))).collect()
}

impl PostgresStore {
    pub(crate) async fn read_keys(&self, keys: &[Key]) -> Result<Vec<Found>, StoreError> {
        let horizon = self.horizon.get().ok_or(StoreError::NoDay)?;
        let mut connection = self.pool.acquire().await?;
        newest(&mut connection, &self.horizon, horizon, keys).await
    }

    pub(crate) async fn read_any_day(&self, key: Key) -> Result<Option<Found>, StoreError> {
        let rows =
            sqlx::query(ANY_DAY.as_str()).bind(key.0.as_slice()).fetch_all(&self.pool).await?;
        Ok(found(&rows, self.horizon.get())?.pop())
    }

    pub(crate) async fn read_id(&self, id: TxnId) -> Result<Option<Found>, StoreError> {
        let horizon = self.horizon.get();
        // Numbers grow with the days: its day is the last that was opened at or below it, or the next where its block
        // was drawn before the cut-over.
        let likely: Vec<i32> = sqlx::query_scalar(
            "SELECT day FROM day WHERE opened IS NOT NULL AND day >= \
             (SELECT max(day) FROM day WHERE number <= $1) ORDER BY day LIMIT 2",
        )
        .bind(long(id.0))
        .fetch_all(&self.pool)
        .await?;
        for day in likely {
            let leaf = leaf::name(Day(day));
            let statement = format!("SELECT {FOUND} FROM {leaf} t {BESIDE} WHERE t.id = $1");
            let rows = sqlx::query(AssertSqlSafe(statement))
                .bind(long(id.0))
                .fetch_all(&self.pool)
                .await?;
            if let Some(found) = found(&rows, horizon)?.pop() {
                return Ok(Some(found));
            }
        }
        let rows = sqlx::query(BY_ID.as_str()).bind(long(id.0)).fetch_all(&self.pool).await?;
        Ok(found(&rows, horizon)?.pop())
    }

    pub(crate) async fn days(&self) -> Result<Vec<Day>, StoreError> {
        let days: Vec<i32> = sqlx::query_scalar(DAYS).fetch_all(&self.pool).await?;
        Ok(days.into_iter().map(Day).collect())
    }

    pub(crate) async fn ledger(
        &self,
        day: Day,
        after: Option<Key>,
        limit: u32,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(ledger::page(&leaf::name(day), "")))
            .bind(ledger::above(after))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        let found = found(&rows, self.horizon.get())?;
        let unknown = rows.iter().map(|row| row.try_get(AFTER_FOUND));
        found
            .into_iter()
            .zip(unknown)
            .map(|(found, unknown)| Ok(LedgerRow { found, delivery_unknown: unknown? }))
            .collect()
    }
}

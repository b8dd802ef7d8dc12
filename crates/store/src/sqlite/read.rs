//! Reads of the embedded back end.

use std::{collections::BTreeSet, sync::LazyLock};

use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use switch_core::{Day, Found, Key, TxnId};

use super::{SqliteStore, batch::pieces};
use crate::{
    LedgerRow, StoreError,
    horizon::{Horizon, SharedHorizon},
    image::{AFTER_FOUND, BESIDE, FOUND, array, image_of, long},
    ledger,
};

image_of!(SqliteRow);

const DAYS: &str = "SELECT day FROM day WHERE opened IS NOT NULL ORDER BY day";

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

fn widths(make: impl Fn(String) -> String) -> Vec<String> {
    (0..=6).map(|power| make(marks(1 << power))).collect()
}

static ROWS: LazyLock<Vec<String>> = LazyLock::new(|| {
    widths(|marks| {
        format!("SELECT {FOUND} FROM txn t {BESIDE} WHERE t.day = ? AND t.key IN ({marks})")
    })
});
static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| {
    widths(|marks| format!("SELECT key FROM txn WHERE day = ? AND key IN ({marks})"))
});
static PLACES: LazyLock<Vec<String>> = LazyLock::new(|| {
    widths(|marks| format!("SELECT day, key FROM obligation WHERE id IN ({marks})"))
});
static ANY_DAY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {FOUND} FROM day d CROSS JOIN txn t ON t.day = d.day AND t.key = ? \
         {BESIDE} ORDER BY t.id DESC LIMIT 1"
    )
});
static BY_ID: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {FOUND} FROM txn t {BESIDE} WHERE t.id = ?"));

pub(super) fn found(
    rows: &[SqliteRow],
    horizon: Option<Horizon>,
) -> Result<Vec<Found>, StoreError> {
    rows.iter().map(|row| image_of(row)?.found(horizon)).collect()
}

async fn rows_of(
    connection: &mut SqliteConnection,
    horizon: Horizon,
    day: Day,
    keys: &[Key],
) -> Result<Vec<Found>, StoreError> {
    let mut rows = Vec::new();
    for (statement, piece) in pieces(&ROWS, keys) {
        let mut query = sqlx::query(statement).bind(day.0);
        for key in piece {
            query = query.bind(key.0.to_vec());
        }
        rows.extend(found(&query.fetch_all(&mut *connection).await?, Some(horizon))?);
    }
    Ok(rows)
}

/// Which of these keys have a row of this day.
pub(super) async fn keys_of(
    connection: &mut SqliteConnection,
    day: Day,
    keys: &[Key],
) -> Result<BTreeSet<Key>, sqlx::Error> {
    let mut taken = BTreeSet::new();
    for (statement, piece) in pieces(&KEYS, keys) {
        let mut query = sqlx::query_scalar::<_, Vec<u8>>(statement).bind(day.0);
        for key in piece {
            query = query.bind(key.0.to_vec());
        }
        let rows = query.fetch_all(&mut *connection).await?;
        taken.extend(rows.iter().filter_map(|key| Some(Key(key.as_slice().try_into().ok()?))));
    }
    Ok(taken)
}

/// The rows of the horizon under these keys. Where the day turns out to have moved on meanwhile, they are read again.
pub(super) async fn newest(
    connection: &mut SqliteConnection,
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
    connection: &mut SqliteConnection,
    horizon: Option<Horizon>,
    key: Key,
) -> Result<Option<Found>, StoreError> {
    let rows = sqlx::query(ANY_DAY.as_str()).bind(key.0.to_vec()).fetch_all(connection).await?;
    Ok(found(&rows, horizon)?.pop())
}

pub(super) async fn rows_at(
    connection: &mut SqliteConnection,
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
    connection: &mut SqliteConnection,
    ids: &[TxnId],
) -> Result<Vec<(Day, Key)>, StoreError> {
    let mut places = Vec::new();
    for (statement, piece) in pieces(&PLACES, ids) {
        let mut query = sqlx::query_as::<_, (i32, Vec<u8>)>(statement);
        for id in piece {
            query = query.bind(long(id.0));
        }
        for (day, key) in query.fetch_all(&mut *connection).await? {
            places.push((Day(day), Key(array(&key, "identity")?)));
        }
    }
    Ok(places)
}

impl SqliteStore {
    pub(crate) async fn read_keys(&self, keys: &[Key]) -> Result<Vec<Found>, StoreError> {
        let horizon = self.horizon.get().ok_or(StoreError::NoDay)?;
        let mut connection = self.readers.acquire().await?;
        newest(&mut connection, &self.horizon, horizon, keys).await
    }

    pub(crate) async fn read_any_day(&self, key: Key) -> Result<Option<Found>, StoreError> {
        any_day(&mut *self.readers.acquire().await?, self.horizon.get(), key).await
    }

    pub(crate) async fn read_id(&self, id: TxnId) -> Result<Option<Found>, StoreError> {
        let rows = sqlx::query(BY_ID.as_str()).bind(long(id.0)).fetch_all(&self.readers).await?;
        Ok(found(&rows, self.horizon.get())?.pop())
    }

    pub(crate) async fn days(&self) -> Result<Vec<Day>, StoreError> {
        let days: Vec<i32> = sqlx::query_scalar(DAYS).fetch_all(&self.readers).await?;
        Ok(days.into_iter().map(Day).collect())
    }

    pub(crate) async fn ledger(
        &self,
        day: Day,
        after: Option<Key>,
        limit: u32,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        static PAGE: LazyLock<String> = LazyLock::new(|| ledger::page("txn", "t.day = $3 AND"));
        let rows = sqlx::query(PAGE.as_str())
            .bind(ledger::above(after))
            .bind(limit)
            .bind(day.0)
            .fetch_all(&self.readers)
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

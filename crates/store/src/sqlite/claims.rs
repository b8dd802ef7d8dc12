//! Claims on the embedded back end (M11): written with the intent that makes them, ended with its outcome.

use std::{collections::BTreeSet, sync::LazyLock};

use sqlx::SqliteConnection;
use switch_core::{Change, ClaimEnd, ClaimIntent, Key, Record};

use super::{
    batch::{WIDTH, bind_row, fenced, places},
    follow::run,
    read,
};
use crate::{
    connection::Fence,
    fault::Written,
    horizon::Horizon,
    image::{COLUMNS, long, signed},
};

static INSERT: LazyLock<String> =
    LazyLock::new(|| format!("INSERT INTO txn ({COLUMNS}) VALUES {}", places(WIDTH, 1)));

/// Only an approved original at the version that was judged, on which no claim is open.
const CLAIM: &str = "UPDATE txn SET claiming = ?, version = version + 1, change = ? \
     WHERE id = ? AND key = ? AND version = ? AND state = 3 AND claiming IS NULL";

/// Intents that claim their originals: neither without the other.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    fence: Fence,
    horizon: Horizon,
    records: &[&Record],
) -> Result<Written, sqlx::Error> {
    if !fenced(connection, fence, horizon.day).await? {
        return Ok(Written::Missed);
    }
    let claims: Vec<&ClaimIntent> = records.iter().filter_map(|one| one.claim()).collect();
    let keys: Vec<Key> = claims.iter().map(|claim| claim.row.key).collect();
    let mut taken: BTreeSet<Key> = read::keys_of(connection, horizon.day, &keys).await?;
    if let Some(former) = horizon.former {
        taken.extend(read::keys_of(connection, former, &keys).await?);
    }
    let mut done = Vec::with_capacity(claims.len());
    for claim in claims {
        let free = !taken.contains(&claim.row.key);
        done.push(free && one(connection, horizon, claim).await?);
    }
    Ok(Written::Done(done))
}

async fn one(
    connection: &mut SqliteConnection,
    horizon: Horizon,
    claim: &ClaimIntent,
) -> Result<bool, sqlx::Error> {
    let row = &claim.row;
    let original = sqlx::query(CLAIM)
        .bind(long(row.id.0))
        .bind(row.change.cast_signed())
        .bind(long(claim.original.0))
        .bind(claim.key.0.to_vec())
        .bind(signed(claim.version));
    if run(connection, original).await? != 1 {
        return Ok(false);
    }
    run(connection, bind_row(sqlx::query(INSERT.as_str()), row, horizon.day)).await?;
    let taken = sqlx::query(
        "INSERT INTO claim (id, original, key, day, amount, status, opened) VALUES (?, ?, ?, ?, ?, 1, ?)",
    )
    .bind(long(row.id.0))
    .bind(long(claim.original.0))
    .bind(claim.key.0.to_vec())
    .bind(claim.day.0)
    .bind(claim.amount)
    .bind(row.created.0);
    run(connection, taken).await?;
    Ok(true)
}

/// The end of the claim of a change that was applied, and its original's row with it.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    change: &Change,
    end: &ClaimEnd,
) -> Result<(), sqlx::Error> {
    let taker = long(change.row.id.0);
    let claim = sqlx::query("UPDATE claim SET status = ?, closed = ? WHERE id = ? AND status = ?")
        .bind(i16::from(end.to.number()))
        .bind(end.at.0)
        .bind(taker)
        .bind(i16::from(end.from.number()));
    if run(connection, claim).await? != 1 {
        return Ok(());
    }
    let original = sqlx::query(
        "UPDATE txn SET claimed = claimed + ?1, claiming = CASE WHEN claiming = ?2 THEN NULL ELSE claiming END, \
         version = version + 1, change = ?3 WHERE id = ?4 AND key = ?5",
    )
    .bind(end.taken)
    .bind(taker)
    .bind(change.row.change.cast_signed())
    .bind(long(end.original.0))
    .bind(end.key.0.to_vec());
    run(connection, original).await.map(drop)
}

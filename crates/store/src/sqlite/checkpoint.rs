//! Moves what was committed from the write-ahead log into the database, beside the traffic.
//!
//! SQLite's own way is to do it inside a commit, each thousand pages: the same pages of the index then go to the disk many
//! times a second, and a request waits for it. Here a second connection moves the bulk while batches go on, and only the
//! rest is moved in a turn of the writing connection, since the log begins anew only when all of it was moved.

use std::time::Duration;

use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    session::{Slot, WeakSlot},
    thread::Thread,
};

/// The log is moved so often.
const EVERY: Duration = Duration::from_millis(500);
/// With so many pages of 4 KiB the log is to begin anew.
const PAGES: i64 = 8_192;
/// Where the task cannot keep up, a commit moves the log as SQLite's own way is.
const BACKSTOP: &str = "65536";
/// Bytes to which the log's file is cut when it begins anew: a reader that stays for long lets it grow without bound.
const LONGEST_FILE: &str = "67108864";
/// Kibibytes of pages that the writing connection keeps; negative, as SQLite wants it for a size.
const CACHE: &str = "-32768";

/// The writing connection's options: the task checkpoints.
pub(super) fn left_to_task(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .pragma("wal_autocheckpoint", BACKSTOP)
        .pragma("journal_size_limit", LONGEST_FILE)
        .pragma("cache_size", CACHE)
}

/// Starts the task, which ends when the slot's last holder does.
pub(super) fn start(thread: &Thread, slot: &Slot, options: SqliteConnectOptions) {
    drop(thread.spawn(run(slot.weak(), options)));
}

async fn run(weak: WeakSlot, options: SqliteConnectOptions) {
    let mut own = None;
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(slot) = weak.slot() else { return };
        if let Err(error) = step(&slot, &mut own, &options).await {
            // Nothing is lost: the log only grows until it works, and commits say what is wrong with the disk.
            tracing::warn!(%error, "the write-ahead log could not be moved into the database");
            own = None;
        }
    }
}

async fn step(
    slot: &Slot,
    own: &mut Option<SqliteConnection>,
    options: &SqliteConnectOptions,
) -> Result<(), sqlx::Error> {
    let connection = match own {
        Some(connection) => connection,
        None => own.insert(options.connect().await?),
    };
    if move_pages(connection).await? >= PAGES {
        let mut turn = slot.connected().await?;
        move_pages(turn.connection()).await?;
    }
    Ok(())
}

/// Moves what no reader and no writer stands in the way of; the pages that the log has.
async fn move_pages(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let (_busy, log, _moved): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(connection).await?;
    Ok(log)
}

//! What follows from a change on the embedded back end, and what changes no row.

use std::sync::LazyLock;

use sqlx::{Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};
use switch_core::{Case, Change, NodeNo, Note, ObligationWrite, Progress, TxnId};

use super::claims;
use crate::image::{COPIED, long, signed};

static OBLIGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO obligation AS b (opened, due, owner, status, cause, attempts, parked, answered, {COPIED}) \
         SELECT ?, ?, ?, ?, ?, ?, 0, ?, {COPIED} FROM txn WHERE id = ? ON CONFLICT (id) DO UPDATE \
         SET status = excluded.status, cause = excluded.cause, owner = excluded.owner, due = excluded.due, \
         attempts = max(b.attempts, excluded.attempts), answered = coalesce(excluded.answered, b.answered)"
    )
});

/// What follows from a change that was applied.
pub(super) async fn follow(
    connection: &mut SqliteConnection,
    owner: NodeNo,
    change: &Change,
) -> Result<(), sqlx::Error> {
    if let Some(write) = &change.obligation {
        oblige(connection, owner, change.row.id, write).await?;
    }
    if let Some(end) = &change.claim {
        claims::end(connection, change, end).await?;
    }
    if let Some(note) = &change.note {
        write_note(connection, note).await?;
    }
    if let Some(case) = &change.case {
        open_case(connection, case).await?;
    }
    Ok(())
}

pub(super) async fn run(
    connection: &mut SqliteConnection,
    query: Query<'_, Sqlite, SqliteArguments>,
) -> Result<u64, sqlx::Error> {
    query.execute(connection).await.map(|done| done.rows_affected())
}

async fn oblige(
    connection: &mut SqliteConnection,
    owner: NodeNo,
    id: TxnId,
    write: &ObligationWrite,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(OBLIGE.as_str())
        .bind(write.at.0)
        .bind(write.due.0)
        .bind(owner.0)
        .bind(i16::from(write.status.number()))
        .bind(i16::from(write.cause.number()))
        .bind(write.said.map_or(0, |said| signed(said.attempts)))
        .bind(write.said.and_then(|said| said.answered).map(|code| code.to_string()))
        .bind(long(id.0));
    run(connection, query).await.map(drop)
}

pub(super) async fn write_note(
    connection: &mut SqliteConnection,
    note: &Note,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query("INSERT INTO note (id, day, at, kind, detail) VALUES (?, ?, ?, ?, ?)")
        .bind(long(note.id.0))
        .bind(note.day.0)
        .bind(note.at.0)
        .bind(i16::from(note.kind.number()))
        .bind(note.detail.as_bytes().to_vec());
    run(connection, query).await.map(drop)
}

pub(super) async fn open_case(
    connection: &mut SqliteConnection,
    case: &Case,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "INSERT INTO cases (id, kind, opened) VALUES (?, ?, ?) ON CONFLICT (id, kind) DO UPDATE SET resolved = NULL",
    )
    .bind(long(case.id.0))
    .bind(i16::from(case.kind.number()))
    .bind(case.at.0);
    run(connection, query).await.map(drop)
}

pub(super) async fn progress(
    connection: &mut SqliteConnection,
    owner: NodeNo,
    owed: &Progress,
) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(
        "UPDATE obligation SET attempts = ?, parked = ?, owner = ?, answered = coalesce(?, answered) \
         WHERE id = ? AND status = 3",
    )
    .bind(signed(owed.attempts))
    .bind(owed.parked)
    .bind(owner.0)
    .bind(owed.answered.map(|code| code.to_string()))
    .bind(long(owed.id.0));
    run(connection, query).await.map(|changed| changed == 1)
}

//! Batches on the embedded back end: one transaction each, with statements of up to 64 rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use sqlx::{Row as _, Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};
use switch_core::{Change, Day, Found, Key, Record, Row, TxnId};

use super::{claims, follow, read, session::Slot, thread::Thread};
use crate::{
    StoreError,
    connection::Fence,
    fault::{Fault, Written},
    horizon::{Horizon, SharedHorizon},
    image::{COLUMNS, long, signed},
};

/// Rows a statement.
const WIDEST: usize = 64;
/// Columns of `txn`.
pub(super) const WIDTH: usize = 30;

/// `count` times `(?, ?, ...)` with `width` places.
pub(super) fn places(width: usize, count: usize) -> String {
    let row = format!("({})", vec!["?"; width].join(", "));
    vec![row; count].join(", ")
}

/// The statements for 1, 2, 4, ... 64 rows, so that few are prepared.
fn widths(make: impl Fn(usize) -> String) -> Vec<String> {
    (0..=WIDEST.ilog2()).map(|power| make(1 << power)).collect()
}

/// How a statement of several rows tells which of them it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// By their count, which says all where it is the number of rows, and else nothing: nearly every statement writes
    /// all its rows, and a row that is given back costs a message between two threads.
    Counts,
    /// By the numbers of the transactions.
    Numbers,
}

/// Statements of 1, 2, 4, ... 64 rows.
struct Statements {
    counting: Vec<String>,
    giving: Vec<String>,
}

impl Statements {
    fn new(returning: &str, make: impl Fn(usize) -> String) -> Self {
        let counting = widths(make);
        let giving = counting.iter().map(|text| format!("{text} {returning}")).collect();
        Self { counting, giving }
    }
}

static INSERT: LazyLock<Statements> = LazyLock::new(|| {
    Statements::new("RETURNING id", |count| {
        format!(
            "INSERT INTO txn ({COLUMNS}) VALUES {} ON CONFLICT (day, key) DO NOTHING",
            places(WIDTH, count)
        )
    })
});

static UPDATE: LazyLock<Statements> = LazyLock::new(|| {
    Statements::new("RETURNING txn.id", |count| {
        format!(
            "UPDATE txn SET version = u.version, change = u.change, state = u.state, cause = u.cause, code = u.code, \
             approved = u.approved, answer = u.answer, copies = u.copies, late = u.late, concluded = u.concluded \
             FROM (SELECT column1 AS id, column2 AS key, column3 AS version, column4 AS change, column5 AS state, \
             column6 AS cause, column7 AS code, column8 AS approved, column9 AS answer, column10 AS copies, \
             column11 AS late, column12 AS concluded FROM (VALUES {})) AS u \
             WHERE txn.id = u.id AND txn.key = u.key AND txn.version = u.version - 1",
            places(12, count)
        )
    })
});

/// `items` in pieces of 64, 32, ... 1, each with the statement for its width.
pub(super) fn pieces<'a, T>(
    statements: &'static [String],
    mut items: &'a [T],
) -> impl Iterator<Item = (&'static str, &'a [T])> {
    std::iter::from_fn(move || {
        let power = items.len().checked_ilog2()?.min(WIDEST.ilog2());
        let statement = statements.get(usize::try_from(power).ok()?)?;
        let (piece, rest) = items.split_at_checked(1 << power)?;
        items = rest;
        Some((statement.as_str(), piece))
    })
}

/// A lane's hold on the one writing connection.
#[derive(Debug)]
pub(crate) struct WriterConnection {
    slot: Slot,
    horizon: SharedHorizon,
    thread: Arc<Thread>,
}

impl WriterConnection {
    pub(super) const fn new(slot: Slot, horizon: SharedHorizon, thread: Arc<Thread>) -> Self {
        Self { slot, horizon, thread }
    }

    /// Where this connection's writer is to run. It lives as long as the connection.
    pub(crate) fn thread(&self) -> Arc<Thread> {
        Arc::clone(&self.thread)
    }

    pub(crate) async fn intents(
        &self,
        fence: Fence,
        horizon: Horizon,
        records: &[&Record],
    ) -> Result<Written, Fault> {
        if let Some(Record::Claim(_)) = records.first() {
            let mut turn = self.slot.begin_batch().await?;
            let done = claims::insert(turn.connection(), fence, horizon, records).await;
            return turn.settle(done).await;
        }
        let mut turn = self.slot.begin_batch().await?;
        let mut done = insert(turn.connection(), fence, horizon, records, Told::Counts).await;
        if let Ok(None) = done {
            done = match turn.undo().await {
                Ok(()) => insert(turn.connection(), fence, horizon, records, Told::Numbers).await,
                Err(error) => Err(error),
            };
        }
        turn.settle(done.map(|written| written.unwrap_or(Written::Missed))).await
    }

    pub(crate) async fn outcomes(
        &self,
        fence: Fence,
        day: Day,
        records: &[&Record],
    ) -> Result<Written, Fault> {
        let mut turn = self.slot.begin_batch().await?;
        let mut done = change(turn.connection(), fence, day, records, Told::Counts).await;
        if let Ok(None) = done {
            done = match turn.undo().await {
                Ok(()) => change(turn.connection(), fence, day, records, Told::Numbers).await,
                Err(error) => Err(error),
            };
        }
        turn.settle(done.map(|written| written.unwrap_or(Written::Missed))).await
    }

    pub(crate) async fn reaffirm(&self, fence: Fence) -> Result<Option<Day>, StoreError> {
        let mut turn = self.slot.begin().await?;
        let day = sqlx::query_scalar(
            "UPDATE fence SET epoch = epoch WHERE node = ? AND lane = ? AND epoch = ? RETURNING day",
        )
        .bind(fence.node.0)
        .bind(fence.lane.number())
        .bind(fence.epoch.0)
        .fetch_optional(turn.connection())
        .await;
        Ok(turn.settle(day).await?.map(Day))
    }

    pub(crate) async fn newest(
        &self,
        horizon: Horizon,
        keys: &[Key],
    ) -> Result<Vec<Found>, StoreError> {
        let mut turn = self.slot.connected().await?;
        read::newest(turn.connection(), &self.horizon, horizon, keys).await
    }

    pub(crate) async fn any_day(
        &self,
        horizon: Horizon,
        key: Key,
    ) -> Result<Option<Found>, StoreError> {
        let mut turn = self.slot.connected().await?;
        read::any_day(turn.connection(), Some(horizon), key).await
    }

    pub(crate) async fn rows_at(
        &self,
        horizon: Horizon,
        places: &[(Day, Key)],
    ) -> Result<Vec<Found>, StoreError> {
        let mut turn = self.slot.connected().await?;
        read::rows_at(turn.connection(), horizon, places).await
    }

    pub(crate) async fn obligation_places(
        &self,
        ids: &[TxnId],
    ) -> Result<Vec<(Day, Key)>, StoreError> {
        let mut turn = self.slot.connected().await?;
        read::obligation_places(turn.connection(), ids).await
    }
}

/// Whether the lane's fence stands at this epoch and day.
pub(super) async fn fenced(
    connection: &mut SqliteConnection,
    fence: Fence,
    day: Day,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar::<_, i64>(
        "SELECT 1 FROM fence WHERE node = ? AND lane = ? AND epoch = ? AND day = ?",
    )
    .bind(fence.node.0)
    .bind(fence.lane.number())
    .bind(fence.epoch.0)
    .bind(day.0)
    .fetch_optional(connection)
    .await
    .map(|marker| marker.is_some())
}

async fn insert(
    connection: &mut SqliteConnection,
    fence: Fence,
    horizon: Horizon,
    records: &[&Record],
    told: Told,
) -> Result<Option<Written>, sqlx::Error> {
    if !fenced(connection, fence, horizon.day).await? {
        return Ok(Some(Written::Missed));
    }
    let mut rows: Vec<&Row> = records.iter().filter_map(|record| row_of(record)).collect();
    if let Some(former) = horizon.former {
        let keys: Vec<Key> = rows.iter().map(|row| row.key).collect();
        let taken = read::keys_of(connection, former, &keys).await?;
        rows.retain(|row| !taken.contains(&row.key));
    }
    let day = horizon.day;
    let bind = |query, row: &Row| bind_row(query, row, day);
    let Some(applied) = write(connection, &INSERT, &rows, told, bind).await? else {
        return Ok(None);
    };
    let done = records
        .iter()
        .map(|record| row_of(record).is_some_and(|row| applied.contains(&long(row.id.0))))
        .collect();
    Ok(Some(Written::Done(done)))
}

/// Writes rows; the numbers of those that were written, or none where only a count is told and it is not all of them.
async fn write(
    connection: &mut SqliteConnection,
    statements: &'static Statements,
    rows: &[&Row],
    told: Told,
    bind: impl Fn(Bound, &Row) -> Bound,
) -> Result<Option<BTreeSet<i64>>, sqlx::Error> {
    let texts = match told {
        Told::Counts => &statements.counting,
        Told::Numbers => &statements.giving,
    };
    let mut given = BTreeSet::new();
    for (statement, piece) in pieces(texts, rows) {
        let query = piece.iter().fold(sqlx::query(statement), |query, row| bind(query, row));
        match told {
            Told::Counts => {
                let written = query.execute(&mut *connection).await?.rows_affected();
                if usize::try_from(written) != Ok(piece.len()) {
                    return Ok(None);
                }
            }
            Told::Numbers => {
                for row in query.fetch_all(&mut *connection).await? {
                    given.insert(row.try_get::<i64, _>(0)?);
                }
            }
        }
    }
    Ok(Some(match told {
        Told::Counts => rows.iter().map(|row| long(row.id.0)).collect(),
        Told::Numbers => given,
    }))
}

fn row_of(record: &Record) -> Option<&Row> {
    match record {
        Record::Intent(row) => Some(row),
        Record::Claim(_)
        | Record::Change(_)
        | Record::Progress(_)
        | Record::Case(_)
        | Record::Note(_) => None,
    }
}

pub(super) type Bound = Query<'static, Sqlite, SqliteArguments>;

pub(super) fn bind_row(query: Bound, row: &Row, day: Day) -> Bound {
    query
        .bind(long(row.id.0))
        .bind(row.created.0)
        .bind(row.amount)
        .bind(day.0)
        .bind(row.node.0)
        .bind(row.epoch.0)
        .bind(signed(row.stan))
        .bind(i16::from(row.kind.number()))
        .bind(row.key.0.to_vec())
        .bind(Arc::clone(&row.listener))
        .bind(row.merchant.to_vec())
        .bind(row.terminal.to_vec())
        .bind(row.currency.to_vec())
        .bind(row.digest.0.to_vec())
        .bind(row.issuer.clone())
        .bind(row.card.hash.to_vec())
        .bind(row.card.first6.to_vec())
        .bind(row.card.last4.to_vec())
        .bind(row.card.sealed.to_vec())
        .bind(row.carried.to_vec())
        .bind(signed(row.version))
        .bind(row.change.cast_signed())
        .bind(i16::from(row.state.number()))
        .bind(i16::from(row.cause.number()))
        .bind(row.code.map(|code| code.to_string()))
        .bind(row.approved)
        .bind(row.answer.to_vec())
        .bind(signed(row.copies))
        .bind(signed(row.late))
        .bind(row.concluded.map(|at| at.0))
}

fn bind_change(query: Bound, row: &Row) -> Bound {
    query
        .bind(long(row.id.0))
        .bind(row.key.0.to_vec())
        .bind(signed(row.version))
        .bind(row.change.cast_signed())
        .bind(i16::from(row.state.number()))
        .bind(i16::from(row.cause.number()))
        .bind(row.code.map(|code| code.to_string()))
        .bind(row.approved)
        .bind(row.answer.to_vec())
        .bind(signed(row.copies))
        .bind(signed(row.late))
        .bind(row.concluded.map(|at| at.0))
}

async fn change(
    connection: &mut SqliteConnection,
    fence: Fence,
    day: Day,
    records: &[&Record],
    told: Told,
) -> Result<Option<Written>, sqlx::Error> {
    if !fenced(connection, fence, day).await? {
        return Ok(Some(Written::Missed));
    }
    let changes: BTreeMap<i64, &Change> =
        records.iter().filter_map(|record| change_of(record)).collect();
    let rows: Vec<&Row> = changes.values().map(|change| &change.row).collect();
    let Some(applied) = write(connection, &UPDATE, &rows, told, bind_change).await? else {
        return Ok(None);
    };
    for change in applied.iter().filter_map(|id| changes.get(id)) {
        follow::follow(connection, fence.node, change).await?;
    }
    let mut done = Vec::with_capacity(records.len());
    for record in records {
        done.push(match record {
            Record::Change(change) => applied.contains(&long(change.row.id.0)),
            Record::Progress(owed) => follow::progress(connection, fence.node, owed).await?,
            Record::Case(case) => follow::open_case(connection, case).await.map(|()| true)?,
            Record::Note(note) => follow::write_note(connection, note).await.map(|()| true)?,
            Record::Intent(_) | Record::Claim(_) => false,
        });
    }
    Ok(Some(Written::Done(done)))
}

fn change_of<'a>(record: &&'a Record) -> Option<(i64, &'a Change)> {
    match record {
        Record::Change(change) => Some((long(change.row.id.0), change)),
        Record::Intent(_)
        | Record::Claim(_)
        | Record::Progress(_)
        | Record::Case(_)
        | Record::Note(_) => None,
    }
}

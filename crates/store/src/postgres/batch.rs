//! A lane's connection to the server: each batch is one statement without `BEGIN`, under the fence.

use std::{collections::BTreeSet, sync::Arc};

use sqlx::{
    AssertSqlSafe, PgConnection, Postgres,
    postgres::{PgArguments, PgConnectOptions},
    query::QueryScalar,
};
use switch_core::{Case, Change, Day, Found, Key, Note, Progress, Record, Row, TxnId};

use super::{read, session, statements};
use crate::{
    StoreError,
    connection::Fence,
    fault::{Fault, Written},
    horizon::{Horizon, SharedHorizon},
    image::{long, signed},
};

/// A lane's own connection.
#[derive(Debug)]
pub(crate) struct WriterConnection {
    options: PgConnectOptions,
    horizon: SharedHorizon,
    connection: Option<PgConnection>,
    intents: Prepared<(Day, Option<Day>)>,
    plain: Prepared<Day>,
    full: Prepared<Day>,
}

/// A statement's text, made once for each leaf; the connection prepares it once.
#[derive(Debug, Default)]
struct Prepared<T>(Option<(T, Arc<str>)>);

impl<T: Copy + PartialEq> Prepared<T> {
    fn text(&mut self, of: T, make: impl FnOnce(T) -> String) -> Arc<str> {
        match &self.0 {
            Some((made_for, text)) if *made_for == of => Arc::clone(text),
            Some(_) | None => {
                let text: Arc<str> = make(of).into();
                self.0 = Some((of, Arc::clone(&text)));
                text
            }
        }
    }
}

type Answer<'q, T> = QueryScalar<'q, Postgres, Option<T>, PgArguments>;

impl WriterConnection {
    pub(super) fn new(options: PgConnectOptions, horizon: SharedHorizon) -> Self {
        Self {
            options,
            horizon,
            connection: None,
            intents: Prepared::default(),
            plain: Prepared::default(),
            full: Prepared::default(),
        }
    }

    async fn connected(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        match &mut self.connection {
            Some(connection) => Ok(connection),
            none @ None => Ok(none.insert(session::pinned(&self.options).await?)),
        }
    }

    pub(crate) async fn intents(
        &mut self,
        fence: Fence,
        horizon: Horizon,
        records: &[&Record],
    ) -> Result<Written, Fault> {
        let text = self
            .intents
            .text((horizon.day, horizon.former), |(day, former)| statements::intents(day, former));
        let rows: Vec<&Row> = records.iter().filter_map(|record| row_of(record)).collect();
        let query = under::<Vec<u8>>(text, fence, horizon.day);
        let query = bind_outcome(bind_intent(query, &rows), &rows);
        let connection = self.connected().await.map_err(Fault::Down)?;
        let answer =
            session::watched(query.fetch_all(connection)).await.map_err(session::classify)?;
        if answer.iter().all(Option::is_some) {
            return Ok(Written::Missed);
        }
        let applied: BTreeSet<Vec<u8>> = answer.into_iter().flatten().collect();
        let done = records
            .iter()
            .map(|record| row_of(record).is_some_and(|row| applied.contains(row.key.0.as_slice())));
        Ok(Written::Done(done.collect()))
    }

    pub(crate) async fn outcomes(
        &mut self,
        fence: Fence,
        day: Day,
        records: &[&Record],
    ) -> Result<Written, Fault> {
        let outcomes = Outcomes::of(records);
        let leaf = outcomes.changes.first().map_or(day, |(_, change)| change.row.day);
        let rows: Vec<&Row> = outcomes.changes.iter().map(|(_, change)| &change.row).collect();
        let text = if outcomes.is_plain() {
            self.plain.text(leaf, statements::plain)
        } else {
            self.full.text(leaf, statements::full)
        };
        let mut query = under::<i32>(text, fence, day)
            .bind(outcomes.changes.iter().map(|(place, _)| *place).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.key.0.as_slice()).collect::<Vec<_>>());
        query = bind_outcome(query, &rows);
        if !outcomes.is_plain() {
            query = bind_follows(query, &outcomes.changes);
            query = bind_beside(query, &outcomes);
        }
        let connection = self.connected().await.map_err(Fault::Down)?;
        let answer =
            session::watched(query.fetch_all(connection)).await.map_err(session::classify)?;
        if answer.iter().all(Option::is_some) {
            return Ok(Written::Missed);
        }
        let applied: BTreeSet<i32> = answer.into_iter().flatten().collect();
        let done = records.iter().zip(0..).map(|(record, place)| match record {
            Record::Case(_) | Record::Note(_) => true,
            Record::Change(_) | Record::Progress(_) | Record::Intent(_) => applied.contains(&place),
        });
        Ok(Written::Done(done.collect()))
    }

    pub(crate) async fn reaffirm(&mut self, fence: Fence) -> Result<Option<Day>, StoreError> {
        let connection = self.connected().await?;
        // It waits behind the lane's former statement. `lock_timeout` ends the wait, not that statement: the writer then
        // tries again, for as long as it takes.
        let day = sqlx::query_scalar(
            "UPDATE fence SET epoch = epoch WHERE node = $1 AND lane = $2 AND epoch = $3 RETURNING day",
        )
        .bind(fence.node.0)
        .bind(fence.lane.number())
        .bind(fence.epoch.0)
        .fetch_optional(connection);
        match session::watched(day).await {
            Ok(day) => Ok(day.map(Day)),
            Err(error) => {
                self.connection = None;
                Err(error.into())
            }
        }
    }

    pub(crate) async fn newest(
        &mut self,
        horizon: Horizon,
        keys: &[Key],
    ) -> Result<Vec<Found>, StoreError> {
        let shared = self.horizon.clone();
        read::newest(self.connected().await?, &shared, horizon, keys).await
    }

    pub(crate) async fn any_day(
        &mut self,
        horizon: Horizon,
        key: Key,
    ) -> Result<Option<Found>, StoreError> {
        read::any_day(self.connected().await?, Some(horizon), key).await
    }

    pub(crate) async fn rows_at(
        &mut self,
        horizon: Horizon,
        places: &[(Day, Key)],
    ) -> Result<Vec<Found>, StoreError> {
        read::rows_at(self.connected().await?, horizon, places).await
    }

    pub(crate) async fn obligation_places(
        &mut self,
        ids: &[TxnId],
    ) -> Result<Vec<(Day, Key)>, StoreError> {
        read::obligation_places(self.connected().await?, ids).await
    }

    pub(crate) fn abandon(&mut self) {
        self.connection = None;
    }
}

fn row_of(record: &Record) -> Option<&Row> {
    match record {
        Record::Intent(row) => Some(row),
        Record::Change(_) | Record::Progress(_) | Record::Case(_) | Record::Note(_) => None,
    }
}

/// The records of a batch by kind, with their places in it.
#[derive(Default)]
struct Outcomes<'a> {
    changes: Vec<(i32, &'a Change)>,
    progress: Vec<(i32, &'a Progress)>,
    notes: Vec<&'a Note>,
    cases: Vec<&'a Case>,
}

impl<'a> Outcomes<'a> {
    fn of(records: &[&'a Record]) -> Self {
        let mut outcomes = Self::default();
        for (record, place) in records.iter().zip(0..) {
            match record {
                Record::Change(change) => outcomes.changes.push((place, change)),
                Record::Progress(progress) => outcomes.progress.push((place, progress)),
                Record::Note(note) => outcomes.notes.push(note),
                Record::Case(case) => outcomes.cases.push(case),
                Record::Intent(_) => {}
            }
        }
        outcomes
    }

    /// Whether nothing follows from any change, and there is nothing else.
    fn is_plain(&self) -> bool {
        self.progress.is_empty()
            && self.notes.is_empty()
            && self.cases.is_empty()
            && self.changes.iter().all(|(_, change)| {
                change.obligation.is_none() && change.note.is_none() && change.case.is_none()
            })
    }
}

fn under<'q, T>(text: Arc<str>, fence: Fence, day: Day) -> Answer<'q, T>
where
    (Option<T>,): for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
{
    sqlx::query_scalar(AssertSqlSafe(text))
        .bind(fence.node.0)
        .bind(fence.epoch.0)
        .bind(day.0)
        .bind(fence.lane.number())
}

/// One array for each column: the values of all rows.
macro_rules! columns {
    ($query:expr, $rows:expr, $($row:ident => $value:expr),+ $(,)?) => {
        $query$(.bind($rows.iter().map(|$row| $value).collect::<Vec<_>>()))+
    };
}

fn bind_intent<'q, T>(query: Answer<'q, T>, rows: &[&'q Row]) -> Answer<'q, T> {
    columns!(
        query, rows,
        row => long(row.id.0),
        row => row.created.0,
        row => row.amount,
        row => row.node.0,
        row => row.epoch.0,
        row => signed(row.stan),
        row => i16::from(row.kind.number()),
        row => row.key.0.as_slice(),
        row => &*row.listener,
        row => &*row.merchant,
        row => &*row.terminal,
        row => row.currency.as_slice(),
        row => row.digest.0.as_slice(),
        row => row.issuer.as_deref(),
        row => row.card.hash.as_slice(),
        row => row.card.first6.as_slice(),
        row => row.card.last4.as_slice(),
        row => &*row.card.sealed,
        row => &*row.carried,
    )
}

/// The columns from `version` on, which intents and changes share.
fn bind_outcome<'q, T>(query: Answer<'q, T>, rows: &[&'q Row]) -> Answer<'q, T> {
    columns!(
        query, rows,
        row => signed(row.version),
        row => row.change.cast_signed(),
        row => i16::from(row.state.number()),
        row => i16::from(row.cause.number()),
        row => row.code.map(|code| code.to_string()),
        row => row.approved,
        row => &*row.answer,
        row => signed(row.copies),
        row => signed(row.late),
        row => row.concluded.map(|at| at.0),
    )
}

fn bind_follows<'q>(query: Answer<'q, i32>, changes: &[(i32, &'q Change)]) -> Answer<'q, i32> {
    columns!(
        query, changes,
        c => c.1.obligation.map(|write| i16::from(write.status.number())),
        c => c.1.obligation.map(|write| i16::from(write.cause.number())),
        c => c.1.obligation.map(|write| write.at.0),
        c => c.1.obligation.map(|write| write.due.0),
        c => c.1.note.as_ref().map(|note| i16::from(note.kind.number())),
        c => c.1.note.as_ref().map(|note| note.at.0),
        c => c.1.note.as_ref().map(|note| note.detail.as_bytes()),
        c => c.1.case.as_ref().map(|case| i16::from(case.kind.number())),
        c => c.1.case.as_ref().map(|case| case.at.0),
    )
}

fn bind_beside<'q>(query: Answer<'q, i32>, outcomes: &Outcomes<'q>) -> Answer<'q, i32> {
    let query = columns!(
        query, outcomes.progress,
        p => p.0,
        p => long(p.1.id.0),
        p => signed(p.1.attempts),
        p => p.1.parked,
    );
    let query = columns!(
        query, outcomes.notes,
        note => long(note.id.0),
        note => note.day.0,
        note => note.at.0,
        note => i16::from(note.kind.number()),
        note => note.detail.as_bytes(),
    );
    columns!(
        query, outcomes.cases,
        case => long(case.id.0),
        case => i16::from(case.kind.number()),
        case => case.at.0,
    )
}

//! A lane's connection to the server: each batch is one statement without `BEGIN`, under the fence.

use std::{io, sync::Arc};

use sqlx::{
    AssertSqlSafe, Postgres,
    postgres::{PgArguments, PgConnectOptions},
    query::QueryScalar,
};
use switch_core::{Case, Change, ClaimIntent, Day, Found, Key, Note, Progress, Record, Row, TxnId};

use super::{fenced_session::FencedSession, read, session, statements};
use crate::{
    StoreError,
    connection::Fence,
    fault::{Fault, Written},
    horizon::{Horizon, SharedHorizon},
    image::{long, signed},
};

/// One array for each column: the values of all rows.
macro_rules! columns {
    ($query:expr, $rows:expr, $($row:ident => $value:expr),+ $(,)?) => {
        $query$(.bind($rows.iter().map(|$row| $value).collect::<Vec<_>>()))+
    };
}

/// A lane's own connection.
#[derive(Debug)]
pub(crate) struct WriterConnection {
    options: PgConnectOptions,
    allow_unsafe: bool,
    horizon: SharedHorizon,
    /// None until [`WriterConnection::reaffirm`] made it: nothing is asked of any other.
    session: Option<FencedSession>,
    intents: Prepared<(Day, Option<Day>)>,
    plain: Prepared<Day>,
    full: Prepared<Day>,
    claims: Prepared<(Day, Option<Day>, Day)>,
    ends: Prepared<(Day, Day)>,
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
    pub(super) fn new(
        options: PgConnectOptions,
        allow_unsafe: bool,
        horizon: SharedHorizon,
    ) -> Self {
        Self {
            options,
            allow_unsafe,
            horizon,
            session: None,
            intents: Prepared::default(),
            plain: Prepared::default(),
            full: Prepared::default(),
            claims: Prepared::default(),
            ends: Prepared::default(),
        }
    }

    /// The session, if it was reaffirmed since it was made.
    fn session(&mut self) -> Result<&mut FencedSession, sqlx::Error> {
        self.session.as_mut().ok_or_else(|| sqlx::Error::Io(io::ErrorKind::NotConnected.into()))
    }

    /// The session for a batch, made anew where it was cut while it was idle: the batch certainly did not begin on it.
    async fn ready(&mut self, fence: Fence) -> Result<&mut FencedSession, Fault> {
        if !self.session().map_err(Fault::Down)?.is_alive().await {
            self.session = None;
            // Boxed, since it is rare and its connecting is large.
            match Box::pin(self.reaffirm(fence)).await {
                Ok(Some(_day)) => tracing::info!(
                    lane = fence.lane.name(),
                    "a database session that was cut while idle was made anew"
                ),
                // The epoch moved on: there is no session for this lane any more.
                Ok(None) => {}
                Err(StoreError::Database(error)) => return Err(Fault::Down(error)),
                Err(error) => return Err(Fault::Down(sqlx::Error::Configuration(error.into()))),
            }
        }
        self.session().map_err(Fault::Down)
    }

    pub(crate) async fn intents(
        &mut self,
        fence: Fence,
        horizon: Horizon,
        records: &[&Record],
    ) -> Result<Written, Fault> {
        if let Some(Record::Claim(first)) = records.first() {
            return self.claims(fence, horizon, first.day, records).await;
        }
        let text = self
            .intents
            .text((horizon.day, horizon.former), |(day, former)| statements::intents(day, former));
        let rows: Vec<&Row> = records.iter().filter_map(|record| row_of(record)).collect();
        debug_assert!(rows.iter().all(|row| is_intent(row, fence)), "the statement sends no more");
        let query = bind_intent(under::<i64>(text, fence, horizon.day), &rows);
        let connection = self.ready(fence).await?.connection();
        let answer =
            session::watched(query.fetch_all(connection)).await.map_err(session::classify)?;
        let Some(applied) = Applied::of(answer) else { return Ok(Written::Missed) };
        let done = records
            .iter()
            .map(|record| row_of(record).is_some_and(|row| applied.has(long(row.id.0))));
        Ok(Written::Done(done.collect()))
    }

    /// Intents that claim originals of the day `of` (M11).
    async fn claims(
        &mut self,
        fence: Fence,
        horizon: Horizon,
        of: Day,
        records: &[&Record],
    ) -> Result<Written, Fault> {
        let text = self.claims.text((horizon.day, horizon.former, of), |(day, former, of)| {
            statements::claims(day, former, of)
        });
        let claims: Vec<&ClaimIntent> = records.iter().filter_map(|one| one.claim()).collect();
        let rows: Vec<&Row> = claims.iter().map(|claim| &claim.row).collect();
        let query = bind_intent(under::<i64>(text, fence, horizon.day), &rows);
        let query = columns!(
            query, claims,
            claim => long(claim.original.0),
            claim => claim.key.0.as_slice(),
            claim => signed(claim.version),
            claim => claim.amount,
        );
        let connection = self.ready(fence).await?.connection();
        let answer = session::watched(query.fetch_all(connection)).await.map_err(|error| {
            match session::classify(error) {
                // another inserted the identity meanwhile: seen from the start, it is merely lost
                Fault::Bad(error) if session::is_unique_violation(&error) => Fault::Repeat(error),
                fault => fault,
            }
        })?;
        let Some(applied) = Applied::of(answer) else { return Ok(Written::Missed) };
        let done = claims.iter().map(|claim| applied.has(long(claim.row.id.0)));
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
        let of = outcomes.changes.first().and_then(|(_, change)| change.claim).map(|end| end.day);
        let text = match of {
            Some(of) => self.ends.text((leaf, of), |(day, of)| statements::full(day, Some(of))),
            None if outcomes.is_plain() => self.plain.text(leaf, statements::plain),
            None => self.full.text(leaf, |day| statements::full(day, None)),
        };
        let mut query = bind_changes(under::<i32>(text, fence, day), &outcomes.changes);
        if of.is_some() || !outcomes.is_plain() {
            query = bind_follows(query, &outcomes.changes);
            if of.is_some() {
                query = bind_ends(query, &outcomes.changes);
            }
            query = bind_beside(query, &outcomes);
        }
        let connection = self.ready(fence).await?.connection();
        let answer =
            session::watched(query.fetch_all(connection)).await.map_err(session::classify)?;
        let Some(applied) = Applied::of(answer) else { return Ok(Written::Missed) };
        let done = records.iter().zip(0..).map(|(record, place)| match record {
            Record::Case(_) | Record::Note(_) => true,
            Record::Change(_) | Record::Progress(_) | Record::Intent(_) | Record::Claim(_) => {
                applied.has(place)
            }
        });
        Ok(Written::Done(done.collect()))
    }

    pub(crate) async fn look(&mut self, fence: Fence) -> Result<(), StoreError> {
        self.ready(fence).await.map(drop).map_err(StoreError::from)
    }

    pub(crate) async fn reaffirm(&mut self, fence: Fence) -> Result<Option<Day>, StoreError> {
        let affirmed = match self.session.take() {
            Some(session) => session.again(self.allow_unsafe, fence).await?,
            None => FencedSession::open(&self.options, self.allow_unsafe, fence).await?,
        };
        let Some((session, day)) = affirmed else { return Ok(None) };
        self.session = Some(session);
        Ok(Some(day))
    }

    pub(crate) async fn newest(
        &mut self,
        horizon: Horizon,
        keys: &[Key],
    ) -> Result<Vec<Found>, StoreError> {
        let shared = self.horizon.clone();
        let connection = self.session()?.connection();
        session::watched_read(read::newest(connection, &shared, horizon, keys)).await
    }

    pub(crate) async fn any_day(
        &mut self,
        horizon: Horizon,
        key: Key,
    ) -> Result<Option<Found>, StoreError> {
        let connection = self.session()?.connection();
        session::watched_read(read::any_day(connection, Some(horizon), key)).await
    }

    pub(crate) async fn rows_at(
        &mut self,
        horizon: Horizon,
        places: &[(Day, Key)],
    ) -> Result<Vec<Found>, StoreError> {
        let connection = self.session()?.connection();
        session::watched_read(read::rows_at(connection, horizon, places)).await
    }

    pub(crate) async fn obligation_places(
        &mut self,
        ids: &[TxnId],
    ) -> Result<Vec<(Day, Key)>, StoreError> {
        let connection = self.session()?.connection();
        session::watched_read(read::obligation_places(connection, ids)).await
    }

    pub(crate) fn abandon(&mut self) {
        self.session = None;
    }
}

/// What a statement says that it applied.
struct Applied<T>(Vec<T>);

impl<T: Ord> Applied<T> {
    /// Nothing where the mark is missing that says that the statement stood under its fence.
    fn of(answer: Vec<Option<T>>) -> Option<Self> {
        let rows = answer.len();
        let mut applied: Vec<T> = answer.into_iter().flatten().collect();
        applied.sort_unstable();
        (applied.len() < rows).then_some(Self(applied))
    }

    fn has(&self, what: T) -> bool {
        self.0.binary_search(&what).is_ok()
    }
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
                Record::Intent(_) | Record::Claim(_) => {}
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

/// Whether the row is as rows are inserted: nothing of it has changed, and it is the fence's node's.
fn is_intent(row: &Row, fence: Fence) -> bool {
    (row.node, row.epoch) == (fence.node, fence.epoch)
        && (row.version, row.copies, row.late, row.approved, row.code) == (0, 0, 0, 0, None)
        && row.answer.is_empty()
}

/// The arrays of `statements::INTENT`.
fn bind_intent<'q, T>(query: Answer<'q, T>, rows: &[&'q Row]) -> Answer<'q, T> {
    columns!(
        query, rows,
        row => long(row.id.0),
        row => row.created.0,
        row => row.amount,
        row => i64::from(row.stan) << 24
            | i64::from(row.kind.number()) << 16
            | i64::from(row.state.number()) << 8
            | i64::from(row.cause.number()),
        row => fixed(row),
        row => &*row.listener,
        row => &*row.merchant,
        row => &*row.terminal,
        row => row.issuer.as_deref(),
        row => &*row.card.sealed,
        row => &*row.carried,
        row => row.change.cast_signed(),
        row => row.concluded.map(|at| at.0),
    )
}

/// The columns of `statements::FIXED`.
fn fixed(row: &Row) -> Vec<u8> {
    let card = &row.card;
    let parts: [&[u8]; 6] =
        [&row.key.0, &row.digest.0, &card.hash, &card.first6, &card.last4, &row.currency];
    parts.concat()
}

/// The arrays of `statements::CHANGE`.
fn bind_changes<'q, T>(query: Answer<'q, T>, changes: &[(i32, &'q Change)]) -> Answer<'q, T> {
    columns!(
        query, changes,
        c => i64::from(signed(c.1.row.version)) << 32
            | i64::from(c.0) << 16
            | i64::from(c.1.row.state.number()) << 8
            | i64::from(c.1.row.cause.number()),
        c => c.1.row.key.0.as_slice(),
        c => c.1.row.change.cast_signed(),
        c => c.1.row.code.map(|code| code.to_string()),
        c => c.1.row.approved,
        c => &*c.1.row.answer,
        c => i64::from(signed(c.1.row.copies)) << 32 | i64::from(signed(c.1.row.late)),
        c => c.1.row.concluded.map(|at| at.0),
    )
}

fn bind_follows<'q>(query: Answer<'q, i32>, changes: &[(i32, &'q Change)]) -> Answer<'q, i32> {
    columns!(
        query, changes,
        c => c.1.obligation.map(|write| i16::from(write.status.number())),
        c => c.1.obligation.map(|write| i16::from(write.cause.number())),
        c => c.1.obligation.map(|write| write.at.0),
        c => c.1.obligation.map(|write| write.due.0),
        c => c.1.obligation.and_then(|write| write.said).map(|said| signed(said.attempts)),
        c => c.1.obligation.and_then(|write| write.said?.answered).map(|code| code.to_string()),
        c => c.1.note.as_ref().map(|note| i16::from(note.kind.number())),
        c => c.1.note.as_ref().map(|note| note.at.0),
        c => c.1.note.as_ref().map(|note| note.detail.as_bytes()),
        c => c.1.case.as_ref().map(|case| i16::from(case.kind.number())),
        c => c.1.case.as_ref().map(|case| case.at.0),
    )
}

fn bind_ends<'q>(query: Answer<'q, i32>, changes: &[(i32, &'q Change)]) -> Answer<'q, i32> {
    columns!(
        query, changes,
        c => c.1.claim.map(|end| i16::from(end.from.number())),
        c => c.1.claim.map(|end| i16::from(end.to.number())),
        c => c.1.claim.map(|end| end.taken),
        c => c.1.claim.map(|end| end.at.0),
    )
}

fn bind_beside<'q>(query: Answer<'q, i32>, outcomes: &Outcomes<'q>) -> Answer<'q, i32> {
    let query = columns!(
        query, outcomes.progress,
        p => p.0,
        p => long(p.1.id.0),
        p => signed(p.1.attempts),
        p => p.1.parked,
        p => p.1.answered.map(|code| code.to_string()),
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

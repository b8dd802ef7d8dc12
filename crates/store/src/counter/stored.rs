//! What the statements about batches give back, made into types; and what they are asked with.

use std::collections::BTreeSet;

use switch_core::{Day, Key, Kind, RowState, TerminalKey, TxnId, Wall};

use super::{BatchFile, HeldRow, Line, Source, Totals};
use crate::{
    Horizon,
    image::{count, unsigned},
};

/// Numbers that are tried before a terminal is refused.
pub(crate) const MOST_TRIES: u32 = 1_000;
/// Batches opened in one transaction.
pub(crate) const AT_ONCE: usize = 200;

/// The oldest day whose identities hold.
pub(crate) fn oldest(horizon: Horizon) -> Day {
    horizon.former.unwrap_or(horizon.day)
}

/// All identities of a batch lie above the first of these and not above the second.
pub(crate) fn range(terminal: TerminalKey, batch: u32) -> [Vec<u8>; 2] {
    let [_, high, middle, low] = batch.to_be_bytes();
    let mut from = terminal.0.to_vec();
    from.extend([high, middle, low]);
    let mut to = from.clone();
    to.extend([0xff; 4]);
    [from, to]
}

/// The batch of an identity.
pub(crate) fn batch_of(key: &[u8]) -> Result<u32, sqlx::Error> {
    let wrong = |_error| sqlx::Error::Decode("a stored identity has another length".into());
    <[u8; 15]>::try_from(key).map(|key| Key(key).batch()).map_err(wrong)
}

fn corrupt(what: &str, value: i64) -> sqlx::Error {
    sqlx::Error::Decode(format!("a stored {what} is {value}").into())
}

pub(crate) fn kind_of(number: i16) -> Result<Kind, sqlx::Error> {
    let kind = u8::try_from(number).ok().and_then(Kind::from_number);
    kind.ok_or_else(|| corrupt("kind", number.into()))
}

fn bytes<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N], sqlx::Error> {
    bytes.try_into().map_err(|_wrong| corrupt(what, i64::try_from(bytes.len()).unwrap_or(-1)))
}

type StoredLine = (i16, i32, i16, i64, Vec<u8>, Vec<u8>, Vec<u8>);

pub(crate) fn line_of(
    (source, trace, kind, amount, hash, first6, last4): StoredLine,
) -> Result<Line, sqlx::Error> {
    let known = u8::try_from(source).ok().and_then(Source::from_number);
    Ok(Line {
        source: known.ok_or_else(|| corrupt("source", source.into()))?,
        trace: unsigned(trace),
        kind: if kind == 0 { None } else { Some(kind_of(kind)?) },
        amount,
        card_hash: bytes(&hash, "card hash")?,
        first6: bytes(&first6, "card's first six")?,
        last4: bytes(&last4, "card's last four")?,
    })
}

type StoredRow = (i64, i32, i16, i16, bool, i64, i64, Vec<u8>);

pub(crate) fn held_of(
    batch: u32,
    (id, stan, kind, state, undoing, counted, amount, hash): StoredRow,
) -> Result<HeldRow, sqlx::Error> {
    let known = u8::try_from(state).ok().and_then(RowState::from_number);
    let state = known.ok_or_else(|| corrupt("state", state.into()))?;
    Ok(HeldRow {
        id: TxnId(count(id)),
        batch,
        trace: unsigned(stan),
        kind: kind_of(kind)?,
        state,
        undoing,
        amount: if super::is_counted(state) { counted } else { amount },
        card_hash: bytes(&hash, "card hash")?,
    })
}

/// Whether as many lines came as the terminal has sent: all, or without the certificates, or by trace numbers.
pub(crate) fn is_whole(lines: &[Line], count: u64) -> bool {
    let own = lines.iter().filter(|line| line.source != Source::Chip).count();
    let traces: BTreeSet<u32> = lines.iter().map(|line| line.trace).collect();
    [lines.len(), own, traces.len()].into_iter().any(|found| u64::try_from(found) == Ok(count))
}

/// Bytes from outside as text for people.
pub(crate) fn readable(bytes: &[u8]) -> String {
    let shown = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' };
    bytes.iter().map(shown).collect()
}

/// A row of `batch`, with its terminal's names.
#[derive(sqlx::FromRow)]
pub(crate) struct StoredBatch {
    merchant: Vec<u8>,
    name: Vec<u8>,
    number: i32,
    day: i32,
    opened: i64,
    closed: Option<i64>,
    result: Option<i16>,
    asked: Option<String>,
    held: Option<String>,
    ended: Option<i64>,
    cases: Option<i32>,
}

impl StoredBatch {
    pub(crate) fn file(self) -> BatchFile {
        let totals = |text: Option<String>| Totals::parse(&text?);
        let totals = totals(self.asked).zip(totals(self.held)).map(|(asked, held)| [asked, held]);
        BatchFile {
            merchant: self.merchant,
            terminal: self.name,
            number: unsigned(self.number),
            day: Day(self.day),
            opened: Wall(self.opened),
            closed: self.closed.map(Wall),
            balanced: self.result.map(|result| result == 1),
            totals,
            ended: self.ended.map(Wall),
            cases: self.cases.map_or(0, unsigned),
        }
    }
}

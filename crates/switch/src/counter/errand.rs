//! What a terminal asks of the switch itself: its message becomes an errand. Card numbers are hashed here and go no further.

use bytes::Bytes;
use iso8583::{Cause, Kind, KindRow, Message, Pan, Side};
use store::{Line, Place, Rules, Source, Totals};

use crate::desk::Desk;

/// A terminal's errand.
#[derive(Debug)]
pub(crate) struct Errand {
    /// Who asks.
    pub(crate) place: Place,
    /// The terminal's STAN (11); 0 where it sent none.
    pub(crate) stan: u32,
    /// The batch that it names; 0 in a dialect without one.
    pub(crate) batch: u32,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    SignIn,
    SignOff,
    /// It tells its status, and may ask for the list of what there is to fetch.
    Report(Fetch),
    /// It fetches parameters.
    Fetch(Fetch),
    Settle(Box<Totals>),
    Upload(Vec<Line>),
    /// It has uploaded so many.
    EndUpload(u64),
}

/// A network code (60.3) and what was asked under it (62).
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) code: String,
    pub(crate) asked: Vec<u8>,
}

/// Digits of one record of an upload: card type n2, trace n6, card number n20, amount n12.
const RECORD: usize = 40;

/// What the message asks; refused where a field is not of its form or the terminal is not known.
pub(crate) fn errand(desk: &Desk, message: &Message, row: &KindRow) -> Result<Errand, Cause> {
    let dialect = &desk.listener.dialect;
    let elements = dialect.elements();
    let bare = |element| {
        let text = dialect.element(message, element)?;
        let text = Bytes::copy_from_slice(text.trim_end().as_bytes());
        (!text.is_empty()).then_some(text)
    };
    let merchant = bare(elements.merchant).ok_or(Cause::Format)?;
    let name = bare(elements.terminal).ok_or(Cause::Format)?;
    if let Some(cause) = desk.directory.merchants.refusal(&merchant, &name) {
        return Err(cause);
    }
    let number = |element| {
        let number = dialect.element_number(message, element).unwrap_or_default();
        u32::try_from(number).ok().filter(|number| *number <= 999_999).ok_or(Cause::Format)
    };
    let stan = number(elements.stan)?;
    let batch = elements.batch.map_or(Ok(0), number)?;
    let what = what(desk, message, row)?;
    let place = desk.place(desk.terminal_key(&merchant, &name), merchant, name);
    Ok(Errand { place, stan, batch, what })
}

fn what(desk: &Desk, message: &Message, row: &KindRow) -> Result<What, Cause> {
    match row.kind {
        Kind::SignOn => Ok(What::SignIn),
        Kind::SignOff => Ok(What::SignOff),
        Kind::StatusReport => Ok(What::Report(fetch(desk, message))),
        Kind::Parameters => Ok(What::Fetch(fetch(desk, message))),
        Kind::Settlement => {
            let totals = message.text(48).and_then(|digits| Totals::parse(&digits));
            totals.map(|totals| What::Settle(Box::new(totals))).ok_or(Cause::Format)
        }
        Kind::BatchUpload => {
            let records = message.text(48).ok_or(Cause::Format)?;
            lines(desk, &records).map(What::Upload).ok_or(Cause::Format)
        }
        Kind::BatchDetail => {
            let kind = desk.listener.dialect.original_kind_of(message).map(|row| row.kind);
            one(desk, message, Source::Detail, kind)
        }
        Kind::BatchChip => one(desk, message, Source::Chip, None),
        Kind::BatchEnd => {
            let count = message.text(48).and_then(|digits| digits.trim().parse().ok());
            count.map(What::EndUpload).ok_or(Cause::Format)
        }
        _ => Err(Cause::NotSupported),
    }
}

fn fetch(desk: &Desk, message: &Message) -> Fetch {
    let dialect = &desk.listener.dialect;
    let code = dialect.elements().network_code.and_then(|at| dialect.element(message, at));
    Fetch {
        code: code.map_or_else(String::new, std::borrow::Cow::into_owned),
        asked: message.binary(62).map_or_else(Vec::new, |bytes| bytes.to_vec()),
    }
}

/// The records of an upload: a count of two digits, and as many records.
fn lines(desk: &Desk, digits: &str) -> Option<Vec<Line>> {
    let (count, mut rest) = digits.split_at_checked(2)?;
    let count: usize = count.parse().ok()?;
    let mut lines = Vec::new();
    for _ in 0..count {
        let (record, after) = rest.split_at_checked(RECORD)?;
        rest = after;
        let pan = Pan::new(record.get(8..28)?.trim_start_matches('0')).ok()?;
        let trace = record.get(2..8)?.parse().ok()?;
        let amount = record.get(28..40)?.parse().ok()?;
        lines.push(line(desk, &pan, Source::List, trace, amount)?);
    }
    rest.is_empty().then_some(lines)
}

fn line(desk: &Desk, pan: &Pan, source: Source, trace: u32, amount: i64) -> Option<Line> {
    let mut line = Line {
        source,
        trace,
        kind: None,
        amount,
        card_hash: desk.keys.hash(pan),
        first6: [0; 6],
        last4: [0; 4],
    };
    line.first6.copy_from_slice(pan.first6().as_bytes().get(..6)?);
    line.last4.copy_from_slice(pan.last4().as_bytes().get(..4)?);
    Some(line)
}

/// A transaction that came in a message of its own.
fn one(desk: &Desk, message: &Message, source: Source, kind: Option<Kind>) -> Result<What, Cause> {
    let pan = message.pan().ok_or(Cause::Format)?;
    let amount = message.number(4).and_then(|amount| i64::try_from(amount).ok());
    let stan = message.stan().ok_or(Cause::Format)?.number();
    let line = line(desk, &pan, source, stan, amount.ok_or(Cause::Format)?);
    Ok(What::Upload(vec![Line { kind, ..line.ok_or(Cause::Format)? }]))
}

/// How the transactions of a listener's terminals are counted.
pub(crate) fn rules(desk: &Desk) -> Rules {
    let mut rules = Rules::default();
    for row in desk.listener.dialect.kinds() {
        match row.total {
            Some(Side::Debit) => rules.debit.push(row.kind),
            Some(Side::Credit) => rules.credit.push(row.kind),
            None => {}
        }
    }
    let issuers = desk.directory.issuers.values().filter(|issuer| issuer.foreign);
    rules.foreign = issuers.map(|issuer| issuer.name.to_string()).collect();
    rules
}

//! The edge as the daemon has it: a terminal's message becomes a request, an outcome becomes an answer.

use std::time::Duration;

use bytes::Bytes;
use iso8583::{Cause, Class, Code};
use switch_core::{
    AskId, Asked, Card, Day, Digest, Instant, IssuerAnswer, IssuerName, Key, Matched, Reply,
    Request, ReversalRequest, Row, TerminalKey, TxnId,
};

use super::{event::ReplyMsg, ledger::Sale};

/// A two-character response code.
pub(super) fn code(text: &str) -> Code {
    Code::new(text).unwrap_or(Code::APPROVED)
}

/// What the dialect of the terminals answers for a cause.
pub(super) fn code_of(cause: Cause) -> Code {
    code(match cause {
        Cause::Issuer | Cause::Done => "00",
        Cause::NoAnswer | Cause::Contradicted => "98",
        Cause::IssuerDown => "91",
        Cause::SystemDown => "96",
        Cause::Duplicate => "94",
        Cause::Format => "30",
        Cause::UnknownMerchant => "03",
        Cause::UnknownTerminal => "97",
        Cause::NotSupported | Cause::AfterReversal | Cause::OriginalNotApproved => "12",
        Cause::NoRoute => "15",
        Cause::TerminalNotPermitted => "58",
        Cause::CardNotPermitted => "57",
        Cause::OverLimit => "61",
        Cause::OriginalNotFound => "25",
        Cause::OriginalUndone => "22",
        Cause::AmountDiffers => "64",
        Cause::OtherCard => "14",
        Cause::ClaimOpen => "09",
        Cause::BatchDiffers => "77",
        Cause::WrongMac => "A0",
    })
}

/// Codes that are surely refusals of this world's issuers.
const FINAL: [&str; 6] = ["05", "12", "14", "25", "51", "61"];

/// Class of an issuer's code in this world's dialect; what it does not list is unknown.
pub(super) fn class(code: Code) -> Class {
    match code.as_str() {
        "00" | "08" | "11" | "16" => Class::Approved,
        "10" => Class::Partial,
        text if FINAL.contains(&text) => Class::Final,
        "06" | "91" | "94" | "96" => Class::Open,
        "77" | "A0" => Class::Own,
        _ => Class::Unknown,
    }
}

/// The same codes, for the engine.
pub(super) fn refusals() -> Vec<Code> {
    FINAL.map(code).into()
}

/// Number of the transaction that an answer names; this world's issuers repeat 37.
pub(super) fn named_by(answer: &IssuerAnswer) -> TxnId {
    match answer.matched {
        Matched::Number(id) => id,
        Matched::Trace { stan, sent: _ } => TxnId(stan.into()),
    }
}

/// Whose requests these are.
pub(super) fn terminal_key(terminal: usize) -> TerminalKey {
    TerminalKey((terminal as u64 + 0x5151_0000).to_be_bytes())
}

/// The text of data element 41.
pub(super) fn terminal_id(terminal: usize) -> Bytes {
    Bytes::from(format!("T{terminal:07}"))
}

/// The text of data element 42: some terminals are another merchant's.
pub(super) fn merchant(terminal: usize) -> Bytes {
    Bytes::from_static(if terminal % 5 == 4 { b"898310000000002" } else { b"898310000000001" })
}

fn card(sale: &Sale) -> Card {
    Card {
        hash: [sale.card; 16],
        first6: *b"621234",
        last4: *b"1232",
        sealed: Bytes::from_static(b"sealed"),
    }
}

/// What is carried through: here the number of the sale in the journal of its terminal.
fn carried(number: usize) -> Bytes {
    Bytes::copy_from_slice(&(number as u64).to_be_bytes())
}

/// The sale that a row says it belongs to.
pub(super) fn sale_of(row: &Row) -> Option<usize> {
    number(row.carried.get(..8)?).map(|sale| sale as usize)
}

/// What is carried through for the issuer: the sale, and the original that names itself behind it.
pub(super) fn carried_by(carried: &[u8]) -> Option<(usize, Option<TxnId>)> {
    let sale = number(carried.get(..8)?)? as usize;
    match carried.len() {
        8 => Some((sale, None)),
        16 => Some((sale, Some(TxnId(number(carried.get(8..)?)?)))),
        _ => None,
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// What names a transaction to its issuer.
pub(super) fn elements(id: TxnId) -> Bytes {
    Bytes::copy_from_slice(&id.0.to_be_bytes())
}

/// An approval code as the six characters of data element 38.
pub(super) fn authorisation(auth: u32) -> [u8; 6] {
    let mut code = *b"000000";
    let mut rest = auth;
    for digit in code.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    code
}

/// The approval code in a row's answer.
pub(super) fn authorisation_of(row: &Row) -> Option<[u8; 6]> {
    row.answer.as_ref().try_into().ok().map(u32::from_be_bytes).map(authorisation)
}

/// Who waits, and for how long.
pub(super) struct Waits {
    pub(super) ask: AskId,
    pub(super) deadline: u64,
    pub(super) grace: u64,
}

impl Waits {
    fn asked(&self) -> Asked {
        Asked {
            ask: self.ask,
            listener: IssuerName::from("pos"),
            deadline: Instant(self.deadline),
            grace: Duration::from_nanos(self.grace),
        }
    }
}

pub(super) fn request(
    number: usize,
    sale: &Sale,
    waits: &Waits,
    issuer: Option<IssuerName>,
    refusal: Option<Cause>,
) -> Request {
    let mut digest = [7; 16];
    digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
    Request {
        asked: waits.asked(),
        key: sale.key,
        kind: sale.kind,
        digest: Digest(digest),
        refusal,
        issuer,
        original: sale.about.clone(),
        takes_partial: sale.takes_partial,
        merchant: merchant(sale.terminal),
        terminal: terminal_id(sale.terminal),
        stan: sale.stan,
        amount: sale.amount,
        currency: *b"156",
        card: card(sale),
        carried: carried(number),
    }
}

pub(super) fn reversal(
    number: usize,
    sale: &Sale,
    waits: &Waits,
    rrn: Option<TxnId>,
) -> ReversalRequest {
    ReversalRequest {
        asked: waits.asked(),
        key: sale.key,
        kind: sale.kind,
        rrn,
        merchant: merchant(sale.terminal),
        terminal: terminal_id(sale.terminal),
        stan: sale.stan,
        amount: Some(sale.amount),
        currency: *b"156",
        card: card(sale),
        settled: false,
        carried: carried(number),
    }
}

/// The answer on the wire, and what it approves.
pub(super) fn reply(sale: &Sale, reply: &Reply) -> (Option<(Key, TxnId, Day)>, ReplyMsg) {
    let none = ReplyMsg {
        sale: 0,
        reversal: false,
        code: code_of(Cause::Done),
        approved: false,
        rrn: None,
        amount: 0,
        auth: 0,
    };
    let outcome = match reply {
        Reply::Done(rrn) => return (None, ReplyMsg { rrn: *rrn, ..none }),
        Reply::Approved { outcome, .. } | Reply::Refused(outcome) | Reply::Shed(outcome) => outcome,
    };
    let own = code_of(outcome.cause);
    let code = if outcome.cause == Cause::Issuer { outcome.code.unwrap_or(own) } else { own };
    let approved = class(code).approves();
    let auth = outcome.answer.as_ref().try_into().map_or(0, u32::from_be_bytes);
    let amount = if approved { outcome.partial.unwrap_or(sale.amount) } else { 0 };
    let given = match reply {
        Reply::Approved { durable, outcome } => Some((outcome.key, durable.id(), outcome.day)),
        Reply::Refused(_) | Reply::Shed(_) | Reply::Done(_) => None,
    };
    (given, ReplyMsg { code, approved, rrn: outcome.id, amount, auth, ..none })
}

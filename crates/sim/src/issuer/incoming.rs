//! What an issuer reads from a message, whatever the dialect.

use iso8583::{Dialect, Kind, Message, Mti, Pan};

use crate::ledger::card_name;
use crate::text::Text;

/// By what an issuer knows a transaction: the RRN that it came with, else who sent it.
pub(super) type Key = Text<48>;

/// How a request names the transaction that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// Not at all.
    Nothing,
    /// By message type, trace number, and date and time, as it came (90, or 56 in the 1993 version).
    Elements { mti: Text<4>, stan: Text<12>, sent: Text<12> },
    /// By batch and trace number, as it came (61.1 and 61.2).
    Trace { batch: Text<6>, stan: Text<12> },
    /// By RRN (37): only where a terminal asks.
    Number(Text<12>),
    /// By authorisation code (38) and card.
    Authorisation(Text<6>),
}

/// A request, a reversal or a network management message.
pub(super) struct Incoming {
    /// Nothing where the dialect has no such kind.
    pub(super) kind: Option<Kind>,
    pub(super) mti: Mti,
    pub(super) key: Key,
    /// Whether the request came with its RRN (37): then its copies are second forwards, and no repeats of a terminal.
    pub(super) numbered: bool,
    pub(super) rrn: Text<12>,
    pub(super) stan: Text<12>,
    /// Of a reversal: the trace number of its original, as 90 or 11 says.
    pub(super) original_stan: Text<12>,
    pub(super) named: Named,
    /// Authorisation code (38) that it came with: that of its original.
    pub(super) approval: Text<6>,
    /// Date and time by which others name it: of its transmission (7), or local ones in the 1993 version (12).
    pub(super) sent: Text<12>,
    /// What 48 and 60 say, of a message about a terminal's day.
    pub(super) private: Text<64>,
    pub(super) private_60: Text<20>,
    pub(super) batch: Text<6>,
    pub(super) terminal: Text<16>,
    pub(super) merchant: Text<15>,
    pub(super) amount: i64,
    pub(super) currency: Text<3>,
    pub(super) card: [u8; 16],
    pub(super) pan: Option<Pan>,
}

impl Incoming {
    /// Reads a message. Terminals that speak to it `direct`ly give their requests no number: 37 names an original.
    pub(super) fn read(dialect: &Dialect, message: &Message, direct: bool) -> Self {
        let text = |number: u8| message.text(number).unwrap_or_default();
        let kind = classify(dialect, message);
        let original =
            (kind == Some(Kind::Reversal)).then(|| dialect.original_of(message)).flatten();
        let stan = Text::new(&text(11));
        let original_stan =
            original.as_ref().map_or(stan, |original| Text::new(&original.stan.to_string()));
        let batch = original
            .map_or_else(|| dialect.batch(message), |original| original.batch)
            .map_or_else(Text::default, |batch| Text::new(&batch));
        let number: Text<12> = Text::new(text(37).trim());
        let rrn = if direct { Text::default() } else { number };
        let terminal: Text<16> = Text::new(text(41).trim_end());
        let merchant: Text<15> = Text::new(text(42).trim_end());
        let key = if rrn.is_empty() {
            let (merchant, terminal) = (merchant.as_str(), terminal.as_str());
            Text::new(&sender_key(merchant, terminal, batch.as_str(), original_stan.as_str()))
        } else {
            rrn_key(rrn.as_str())
        };
        let approval: Text<6> = Text::new(text(38).trim());
        let pan = message.pan();
        let about_day = matches!(message.mti().class(), 3 | 5 | 8);
        Self {
            kind,
            mti: message.mti(),
            key,
            numbered: !rrn.is_empty(),
            rrn,
            stan,
            original_stan,
            named: named(dialect, message, if direct { number } else { Text::default() }, approval),
            approval,
            sent: Text::new(&text(if dialect.version() == 1 { 12 } else { 7 })),
            private: if about_day { Text::new(&text(48)) } else { Text::default() },
            private_60: if about_day { Text::new(&text(60)) } else { Text::default() },
            batch,
            terminal,
            merchant,
            amount: message.number(4).and_then(|amount| i64::try_from(amount).ok()).unwrap_or(0),
            currency: Text::new(&text(49)),
            card: pan.as_ref().map_or([0; 16], |pan| card_name(pan.expose())),
            pan,
        }
    }

    pub(super) fn is_reversal(&self) -> bool {
        self.kind == Some(Kind::Reversal)
    }

    /// Whether it is about the line or a terminal's day, and no card.
    pub(super) fn is_network(&self) -> bool {
        self.kind.is_some_and(|kind| !kind.is_transaction() && kind != Kind::Reversal)
    }

    /// The name of its kind.
    pub(super) fn kind_name(&self) -> &'static str {
        self.kind.map_or("other", Kind::name)
    }
}

pub(super) fn rrn_key(rrn: &str) -> Key {
    let mut key = String::with_capacity(13);
    key.push('R');
    key.push_str(rrn);
    Text::new(&key)
}

pub(super) fn sender_key(merchant: &str, terminal: &str, batch: &str, stan: &str) -> String {
    format!("S{merchant}|{terminal}|{batch}|{stan}")
}

/// What a message is for: as the dialect says; where that has no such kind, by its type.
fn classify(dialect: &Dialect, message: &Message) -> Option<Kind> {
    if message.mti().class() == 4 {
        return Some(Kind::Reversal);
    }
    if let Some(row) = dialect.kind_of(message) {
        return Some(row.kind);
    }
    let processing_code = message.text(3).unwrap_or_default();
    match (message.mti().class(), processing_code.get(..2).unwrap_or("")) {
        (2, "30" | "31") => Some(Kind::BalanceEnquiry),
        (8, _) => Some(Kind::Echo),
        _ => None,
    }
}

/// The first way to name an original that the message uses.
fn named(dialect: &Dialect, message: &Message, number: Text<12>, approval: Text<6>) -> Named {
    let elements = dialect.elements();
    let at = |element| dialect.element(message, element).unwrap_or_default();
    let in_one = elements.original_elements.map(at).unwrap_or_default();
    if let Some(mti) = in_one.get(..4).filter(|mti| *mti != "0000") {
        let time = if dialect.version() == 1 { 10..22 } else { 10..20 };
        return Named::Elements {
            mti: Text::new(mti),
            stan: Text::new(in_one.get(4..10).unwrap_or("")),
            sent: Text::new(in_one.get(time).unwrap_or("")),
        };
    }
    let stan = elements.original_stan.map(at).unwrap_or_default();
    let batch = elements.original_batch.map(at).unwrap_or_default();
    if stan.bytes().any(|digit| digit != b'0') {
        return Named::Trace { batch: Text::new(&batch), stan: Text::new(&stan) };
    }
    if !number.is_empty() {
        return Named::Number(number);
    }
    if approval.is_empty() { Named::Nothing } else { Named::Authorisation(approval) }
}

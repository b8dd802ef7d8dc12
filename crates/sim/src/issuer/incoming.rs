//! What an issuer reads from a message, whatever the dialect.

use iso8583::{Dialect, Message, Pan};

use super::rule::On;
use crate::ledger::card_name;
use crate::text::Text;

/// By what an issuer knows a transaction: the RRN that it came with, else who sent it.
pub(super) type Key = Text<48>;

/// A request, a reversal or a network management message.
pub(super) struct Incoming {
    pub(super) on: On,
    pub(super) kind: &'static str,
    pub(super) key: Key,
    /// Whether the request came with its RRN (37): then its copies are second forwards, and no repeats of a terminal.
    pub(super) numbered: bool,
    pub(super) rrn: Text<12>,
    pub(super) stan: Text<12>,
    /// Of a reversal: the trace number of its original, as 90 or 11 says.
    pub(super) original_stan: Text<12>,
    pub(super) batch: Text<6>,
    pub(super) terminal: Text<16>,
    pub(super) merchant: Text<15>,
    pub(super) amount: i64,
    pub(super) currency: Text<3>,
    pub(super) card: [u8; 16],
    pub(super) pan: Option<Pan>,
}

impl Incoming {
    pub(super) fn read(dialect: &Dialect, message: &Message) -> Self {
        let text = |number: u8| message.text(number).unwrap_or_default();
        let (on, kind) = classify(message, &text(3));
        let original = (on == On::Reversal).then(|| dialect.original_of(message)).flatten();
        let stan = Text::new(&text(11));
        let original_stan =
            original.as_ref().map_or(stan, |original| Text::new(&original.stan.to_string()));
        let batch = original
            .map_or_else(|| dialect.batch(message), |original| original.batch)
            .map_or_else(Text::default, |batch| Text::new(&batch));
        let rrn: Text<12> = Text::new(text(37).trim());
        let terminal: Text<16> = Text::new(text(41).trim_end());
        let merchant: Text<15> = Text::new(text(42).trim_end());
        let key = if rrn.is_empty() {
            Text::new(&sender_key(
                merchant.as_str(),
                terminal.as_str(),
                batch.as_str(),
                original_stan.as_str(),
            ))
        } else {
            rrn_key(rrn.as_str())
        };
        let pan = message.pan();
        Self {
            on,
            kind,
            key,
            numbered: !rrn.is_empty(),
            rrn,
            stan,
            original_stan,
            batch,
            terminal,
            merchant,
            amount: message.number(4).and_then(|amount| i64::try_from(amount).ok()).unwrap_or(0),
            currency: Text::new(&text(49)),
            card: pan.as_ref().map_or([0; 16], |pan| card_name(pan.expose())),
            pan,
        }
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

/// What a message is for, by its type, processing code (3) and condition (25).
fn classify(message: &Message, processing_code: &str) -> (On, &'static str) {
    let mti = message.mti();
    let condition = message.text(25);
    let of_hold = condition.as_deref() == Some("06");
    match (mti.class(), processing_code.get(..2).unwrap_or("")) {
        (2, "00") if !of_hold => (On::Purchase, "purchase"),
        (2, "30" | "31") => (On::BalanceEnquiry, "balance-enquiry"),
        (4, _) => (On::Reversal, "reversal"),
        (8, _) => (On::Network, "network"),
        _ => (On::Request, "other"),
    }
}

//! The messages of terminals that are made one by one: those about an earlier transaction, and those of a day.

use bytes::BytesMut;
use iso8583::{EncodeError, Framing, Kind, Message, NamedBy};

use super::cards::{Card, EXPIRY};
use super::requests::{Blanks, Requests};
use super::till::Origin;

/// One online transaction in an upload (48).
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) foreign: bool,
    pub(super) stan: u64,
    pub(super) pan: String,
    pub(super) amount: u64,
}

impl Record {
    /// Its forty digits.
    fn digits(&self) -> String {
        let Self { foreign, stan, pan, amount } = self;
        format!("{:02}{stan:06}{pan:0>20}{amount:012}", u8::from(*foreign))
    }
}

/// What a message of a terminal's day says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Says<'a> {
    /// Sign-in, sign-off, or a test of the line.
    Nothing,
    /// Totals (48).
    Totals(&'a str),
    Records(&'a [Record]),
    /// How many were uploaded, and whether the totals agreed.
    End {
        balanced: bool,
        count: usize,
    },
}

impl Requests {
    /// The framed request of a kind that is about an earlier transaction.
    pub(super) fn follow_up(
        &self,
        kind: Kind,
        card: &Card,
        blanks: Blanks,
        origin: &Origin,
    ) -> Result<Vec<u8>, EncodeError> {
        let mut message = self.request(kind, card, blanks);
        self.name(kind, origin, &mut message);
        self.encode(&message)
    }

    /// Names the original, as the kind does: batch and trace number, RRN, or authorisation code and date.
    fn name(&self, kind: Kind, origin: &Origin, message: &mut Message) {
        let row = self.dialect.row(kind);
        let Some(rule) = row.and_then(|row| row.original.as_ref()) else { return };
        let Blanks { batch, stan, .. } = origin.blanks;
        if rule.named_by != NamedBy::Authorisation && !origin.rrn.is_empty() {
            message.set_text(37, origin.rrn.as_str());
        }
        if rule.named_by != NamedBy::Number && !origin.approval.is_empty() {
            message.set_text(38, origin.approval.as_str());
        }
        let elements = self.dialect.elements();
        if elements.original_stan.is_some() {
            let text = match rule.named_by {
                NamedBy::Trace => format!("{batch:06}{stan:06}"),
                NamedBy::Number => format!("{batch:06}{stan:06}{:04}", origin.date),
                NamedBy::Authorisation => format!("{:012}{:04}", 0, origin.date),
            };
            message.set_text(61, &text);
        }
        self.set_original_elements(message, origin.kind, origin.blanks);
    }

    /// The framed message of a kind that is about a terminal's day; nothing where the dialect has none.
    pub(super) fn manage(
        &self,
        kind: Kind,
        blanks: Blanks,
        says: Says<'_>,
    ) -> Option<Result<Vec<u8>, EncodeError>> {
        let row = self.dialect.row(kind)?;
        let mut message = Message::new(row.mti);
        self.set_common(&mut message, blanks, Some(row));
        message.remove(49);
        match says {
            Says::Nothing => {}
            Says::Totals(text) => {
                message.set_text(48, text);
                message.set_text(49, &self.currency);
            }
            Says::Records(records) => {
                let digits: String = records.iter().map(Record::digits).collect();
                message.set_text(48, &format!("{:02}{digits}", records.len()));
            }
            Says::End { balanced, count } => {
                let code = if balanced { "207" } else { "202" };
                message.set_text(60, &format!("00{:06}{code}60", blanks.batch));
                message.set_text(48, &format!("{count:04}"));
            }
        }
        if matches!(kind, Kind::SignOn | Kind::Settlement) {
            message.set_text(63, "01 ");
        }
        Some(self.encode(&message))
    }

    /// The framed upload of one notice: as its advice was, in an upload's message type.
    pub(super) fn detail(
        &self,
        kind: Kind,
        card: &Card,
        blanks: Blanks,
        origin: Option<&Origin>,
    ) -> Option<Result<Vec<u8>, EncodeError>> {
        let upload = self.dialect.row(Kind::BatchDetail)?;
        let row = self.dialect.row(kind)?;
        let mut message = Message::new(upload.mti);
        message.set_text(2, card.pan.expose());
        if let Some(code) = &row.processing_code {
            message.set_text(3, code);
        }
        message.set_text(4, &format!("{:012}", blanks.amount));
        message.set_text(14, EXPIRY);
        message.set_text(22, card.entry.mode());
        if let Some(condition) = &row.condition {
            message.set_text(25, condition);
        }
        self.set_common(&mut message, blanks, Some(row));
        if let Some(origin) = origin {
            self.name(kind, origin, &mut message);
        }
        let type_code = row.type_code.as_deref().unwrap_or("00");
        message.set_text(60, &format!("{type_code}{:06}20160", blanks.batch));
        Some(self.encode(&message))
    }
}

/// The framed message, marked as a repeat.
pub(super) fn marked(
    dialect: &iso8583::Dialect,
    framing: Framing,
    frame: &[u8],
) -> Option<Vec<u8>> {
    let body = bytes::Bytes::copy_from_slice(frame.get(framing.header_length()..)?);
    let mut message = Message::decode(dialect, body).ok()?;
    message.set_mti(message.mti().repeat());
    let mut body = BytesMut::with_capacity(frame.len());
    message.encode(dialect, &mut body).ok()?;
    let mut framed = BytesMut::with_capacity(frame.len());
    framing.write(body.len(), &mut framed).ok()?;
    framed.extend_from_slice(&body);
    Some(framed.to_vec())
}

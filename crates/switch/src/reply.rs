//! The engine's reply becomes the terminal's response.

use bytes::Bytes;
use iso8583::{Cause, Code, Dialect, EncodeError, Framing, Kind, Message};
use jiff::tz::TimeZone;
use switch_core::{Outcome, TxnId, Wall};

use crate::{blob, clock::WireTime, version};

/// What the issuer's answer tells the terminal, where both dialects have it.
const FROM_ISSUER: [u8; 7] = [15, 32, 38, 44, 54, 55, 63];

/// What a response says beside the echo.
#[derive(Debug)]
pub(crate) enum Answer<'a> {
    /// Of a transaction that was approved, or that was taken for delivery.
    Approved(&'a Outcome),
    /// Of a transaction that was not.
    Refused(&'a Outcome),
    /// Of a reversal or an echo.
    Done(Option<TxnId>),
    /// Refused before the engine.
    Cause(Cause),
}

/// The response to `request`, which was read at `read`.
pub(crate) fn response(
    dialect: &Dialect,
    zone: &TimeZone,
    request: &Message,
    read: Wall,
    answer: &Answer<'_>,
) -> Message {
    let mut response = Message::new(request.mti().response());
    if let Some(header) = request.header() {
        response.set_header(header.answer());
    }
    let row = dialect.kind_of(request).or_else(|| dialect.row(Kind::Purchase));
    for &number in row.map_or(&[][..], |row| &row.echoed) {
        if request.has(number) {
            response.copy(number, request);
        }
    }
    let has = |number| dialect.field(number).is_some();
    let (id, code) = match answer {
        Answer::Approved(outcome) => (outcome.id, code(dialect, outcome, true)),
        Answer::Refused(outcome) => (outcome.id, code(dialect, outcome, false)),
        Answer::Done(id) => (*id, dialect.done_code(request.mti())),
        Answer::Cause(cause) => (None, dialect.code_for(*cause)),
    };
    if has(37) {
        response.set_number(37, id.unwrap_or_default().0, 12);
    }
    let mut set = |number, text: &str| {
        if has(number) {
            response.set_text(number, text);
        }
    };
    set(39, code.as_str());
    let carried = match answer {
        Answer::Approved(outcome) | Answer::Refused(outcome) => &outcome.carried[..],
        Answer::Done(_) | Answer::Cause(_) => &[],
    };
    if version::is_1993(dialect) {
        // The terminal's own time is echoed.
        if !request.has(12) {
            set(12, &version::local_time(&WireTime::of(read, zone)));
        }
    } else if let (Some(time), Some(date)) = (blob::text(carried, 12), blob::text(carried, 13)) {
        set(12, time);
        set(13, date);
    } else {
        let at = WireTime::of(read, zone);
        set(12, at.time());
        set(13, at.date());
    }
    if let Answer::Approved(outcome) | Answer::Refused(outcome) = answer
        && outcome.cause == Cause::Issuer
    {
        add_issuers(dialect, &mut response, outcome);
    }
    response
}

/// The code that a terminal of `dialect` is told. What the issuer's code says to the terminal must be what it said to the
/// switch: an approval that the terminal would take for a refusal is told as 00, and a refusal that it would take for an
/// approval as 05.
fn code(dialect: &Dialect, outcome: &Outcome, approved: bool) -> Code {
    match (outcome.cause, outcome.code) {
        (Cause::Issuer, Some(code)) => {
            let told = dialect.told(code);
            match (approved, dialect.class(told).approves()) {
                (true, true) | (false, false) => told,
                (true, false) => dialect.from_iso87(Code::APPROVED),
                (false, true) => dialect.from_iso87(Code::NOT_HONOURED),
            }
        }
        (cause, _) => dialect.code_for(cause),
    }
}

fn add_issuers(dialect: &Dialect, response: &mut Message, outcome: &Outcome) {
    if let Some(amount) = outcome.partial {
        response.set_text(4, &format!("{amount:012}"));
    }
    for (number, value) in blob::fields(&outcome.answer) {
        // The settlement date has a year in the 1993 version, which was not kept.
        let other = number == 15 && version::is_1993(dialect);
        if !FROM_ISSUER.contains(&number) || dialect.field(number).is_none() || other {
            continue;
        }
        match std::str::from_utf8(value) {
            Ok(text) if number != 55 => response.set_text(number, text),
            Ok(_) | Err(_) => response.set_binary(number, value),
        }
    }
}

/// The bytes of a response, with its length header. What the issuer added and the terminal's dialect cannot hold is left
/// out: it must not cost the terminal its answer.
///
/// # Errors
/// The response cannot be written even so.
pub(crate) fn encode(
    dialect: &Dialect,
    framing: Framing,
    mut response: Message,
) -> Result<Bytes, EncodeError> {
    for _ in FROM_ISSUER {
        match response.to_frame(dialect, framing) {
            Err(EncodeError { field: Some(field), message, .. })
                if FROM_ISSUER.contains(&field) =>
            {
                tracing::warn!(field, reason = message, "the issuer's field cannot be passed on");
                response.remove(field);
            }
            done => return done,
        }
    }
    response.to_frame(dialect, framing)
}

#[cfg(test)]
mod tests {
    use switch_core::{Day, Kind, TerminalKey};

    use super::*;

    fn told(dialect: &str, issuers: &str, approved: bool) -> String {
        let dialect = Dialect::shipped(dialect).expect("shipped");
        let outcome = Outcome {
            key: switch_core::Key::new(TerminalKey([1; 8]), 1, 1, Kind::Purchase),
            id: Some(TxnId(7)),
            day: Day(1),
            cause: Cause::Issuer,
            code: Some(Code::new(issuers).expect("a code")),
            partial: None,
            carried: Bytes::new(),
            answer: Bytes::new(),
        };
        code(&dialect, &outcome, approved).to_string()
    }

    #[test]
    fn m12_a_terminal_takes_an_approval_for_one_and_a_refusal_for_one() {
        for (dialect, issuers, approved, expected) in [
            ("cup-pos", "00", true, "00"),
            ("cup-pos", "08", true, "00"),
            ("cup-pos", "16", true, "00"),
            ("cup-pos", "10", true, "10"),
            ("cup-pos", "A2", true, "A2"),
            // approved by a code that only the issuer's dialect knows, or calls so
            ("cup-pos", "B7", true, "00"),
            ("cup-pos", "51", true, "00"),
            ("iso93-ascii", "B7", true, "000"),
            ("iso87-ascii", "08", true, "08"),
            // refused by a code that the terminal would take for an approval
            ("cup-pos", "08", false, "05"),
            ("cup-pos", "A4", false, "05"),
            ("iso87-ascii", "16", false, "05"),
            ("iso93-ascii", "00", false, "100"),
            ("cup-pos", "51", false, "51"),
            ("cup-pos", "Z9", false, "Z9"),
            ("iso93-ascii", "51", false, "116"),
        ] {
            assert_eq!(told(dialect, issuers, approved), expected, "{issuers} at {dialect}");
        }
    }
}

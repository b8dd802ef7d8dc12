//! What a terminal is told at the counter becomes its response.

use iso8583::{Cause, Code, Dialect, Message};
use jiff::tz::TimeZone;
use switch_core::{Day, Wall};

use crate::reply::{Answer, response};

/// An answer of the counter.
#[derive(Debug)]
pub(crate) struct Told {
    /// Response code (39): the dialect's of a cause, or one that is the same in all.
    pub(crate) code: Says,
    /// When it was done: 12 and 13. None: when the request was read.
    pub(crate) at: Option<Wall>,
    /// The terminal's batch, in place of the one that it named (60.2).
    pub(crate) batch: Option<u32>,
    /// Settlement date (15).
    pub(crate) day: Option<Day>,
    /// Institution (32).
    pub(crate) institution: Option<String>,
    /// Totals (48).
    pub(crate) totals: Option<String>,
    /// Parameters (62).
    pub(crate) parameters: Option<Vec<u8>>,
}

/// What stands in 39.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// The dialect's code of this.
    Cause(Cause),
    /// This one.
    Code(Code),
    /// Nothing: the result is in another field.
    Nothing,
}

impl Told {
    pub(crate) const fn new(code: Says) -> Self {
        Self {
            code,
            at: None,
            batch: None,
            day: None,
            institution: None,
            totals: None,
            parameters: None,
        }
    }

    pub(crate) const fn done() -> Self {
        Self::new(Says::Cause(Cause::Done))
    }

    pub(crate) const fn refused(cause: Cause) -> Self {
        Self::new(Says::Cause(cause))
    }
}

/// The response to `request`, which was read at `read`.
pub(crate) fn told(
    dialect: &Dialect,
    zone: &TimeZone,
    request: &Message,
    read: Wall,
    told: &Told,
) -> Message {
    let answer = match told.code {
        Says::Cause(Cause::Done) | Says::Code(_) | Says::Nothing => Answer::Done(None),
        Says::Cause(cause) => Answer::Cause(cause),
    };
    let at = told.at.unwrap_or(read);
    let mut message = response(dialect, zone, request, at, &answer);
    match told.code {
        Says::Cause(_) => {}
        Says::Code(code) => message.set_text(39, code.as_str()),
        Says::Nothing => message.remove(39),
    }
    let has = |number| dialect.field(number).is_some();
    if let Some(batch) = told.batch {
        set_batch(dialect, request, &mut message, batch);
    }
    if let Some(day) = told.day.filter(|_| has(15)) {
        message.set_text(15, &month_and_day(day));
    }
    for (number, text) in [(32, &told.institution), (48, &told.totals)] {
        if let Some(text) = text.as_ref().filter(|_| has(number)) {
            message.set_text(number, text);
        }
    }
    if let Some(bytes) = told.parameters.as_ref().filter(|_| has(62)) {
        message.set_binary(62, bytes);
    }
    message
}

/// Puts a batch number where the request has one.
fn set_batch(dialect: &Dialect, request: &Message, message: &mut Message, batch: u32) {
    let Some(element) = dialect.elements().batch else { return };
    let Some(text) = request.text(element.field) else { return };
    let range = match element.part {
        None => Some(0..text.len()),
        Some(part) => dialect.field(element.field).and_then(|spec| spec.part_range(part)),
    };
    let Some(range) = range else { return };
    let digits = format!("{batch:0width$}", width = range.len());
    let mut text = text.into_owned();
    if text.is_ascii() && text.len() >= range.end && digits.len() == range.len() {
        text.replace_range(range, &digits);
        message.set_text(element.field, &text);
    }
}

fn month_and_day(day: Day) -> String {
    let date = store::date_of(day);
    format!("{:02}{:02}", date.month(), date.day())
}

#[cfg(test)]
mod tests {
    use iso8583::{Kind, Mti};

    use super::*;

    fn request(mti: &str, network: &str) -> Message {
        let mut message = Message::new(Mti::parse(mti).expect("digits"));
        for (number, text) in [(11, "000042"), (41, "12345678"), (42, "123456789012345")] {
            message.set_text(number, text);
        }
        message.set_text(60, &format!("00000007{network}"));
        message
    }

    fn fields(message: &Message) -> Vec<u8> {
        message.fields().filter(|number| *number > 1).collect()
    }

    #[test]
    fn a_sign_in_is_answered_with_its_batch() {
        let dialect = Dialect::shipped("cup-pos").expect("shipped");
        let zone = TimeZone::get("Asia/Shanghai").expect("bundled");
        let answer = Told {
            batch: Some(8),
            institution: Some("12345678".to_owned()),
            at: Some(Wall(1_767_199_999_000_000)),
            ..Told::done()
        };
        let answer = told(&dialect, &zone, &request("0800", "003"), Wall(0), &answer);
        assert_eq!(fields(&answer), [11, 12, 13, 32, 37, 39, 41, 42, 60]);
        assert_eq!(answer.text(60).as_deref(), Some("00000008003"));
        assert_eq!(answer.text(13).as_deref(), Some("0101"));
        assert_eq!(answer.mti().as_str(), "0810");
    }

    #[test]
    fn sign_in_and_sign_off_are_done_in_the_dialect_s_own_code() {
        for (dialect, mti, code) in [
            ("cup-pos", "0800", "00"),
            ("iso87-ascii", "0800", "00"),
            ("iso93-ascii", "1804", "800"),
        ] {
            let dialect = Dialect::shipped(dialect).expect("shipped");
            for kind in [Kind::SignOn, Kind::SignOff] {
                let network = dialect.row(kind).and_then(|row| row.network_codes.first());
                let mut asked = request(mti, network.expect("a code"));
                asked.set_text(24, network.expect("a code"));
                let answer = told(&dialect, &TimeZone::UTC, &asked, Wall(0), &Told::done());
                assert_eq!(answer.text(39).as_deref(), Some(code), "{}", dialect.name());
            }
        }
    }

    #[test]
    fn a_settlement_is_answered_without_a_code() {
        let dialect = Dialect::shipped("cup-pos").expect("shipped");
        let mut asked = request("0500", "201");
        asked.set_text(48, &"0".repeat(62));
        asked.set_text(49, "156");
        let answer = Told {
            day: Some(Day(20_780)),
            totals: Some("1".repeat(62)),
            ..Told::new(Says::Nothing)
        };
        let answer = told(&dialect, &TimeZone::UTC, &asked, Wall(0), &answer);
        assert_eq!(fields(&answer), [11, 12, 13, 15, 37, 41, 42, 48, 49, 60]);
        assert_eq!(answer.text(15).as_deref(), Some("1123"));
        let refused =
            told(&dialect, &TimeZone::UTC, &asked, Wall(0), &Told::refused(Cause::BatchDiffers));
        assert_eq!(refused.text(39).as_deref(), Some("77"));
    }
}

//! One line of a ledger.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// Which side wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// An issuer: what was posted to accounts.
    Issuer,
    /// A terminal: what it sent, and what it believes.
    Terminal,
}

/// One event of a ledger. The keys up to `pan_hash` are always written; the rest only where they say something. Unknown
/// keys are passed over; a missing or `null` text is empty.
///
/// Events of an issuer that move money: `charged`, `completed` (+), `refunded`, `voided` (-), `adjusted` (by its
/// `difference`), and `reversed`, which takes back what its transaction did; `held`, `released` and `expired` are of
/// authorisations. Of a terminal that change its belief: `sent` (unknown), `approved`, `declined`, `unanswered` (unknown), `reversed` (nothing is charged).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line<'a> {
    /// When, RFC 3339. The writer fills it in if it is empty.
    #[serde(default, borrow, deserialize_with = "text")]
    pub at: Cow<'a, str>,
    /// Who says so.
    pub role: Role,
    /// What happened.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// Retrieval reference number (37), as far as it is known.
    #[serde(default, borrow, deserialize_with = "text")]
    pub rrn: Cow<'a, str>,
    /// System trace audit number (11) as this side saw it.
    #[serde(default, borrow, deserialize_with = "text")]
    pub stan: Cow<'a, str>,
    /// Terminal (41).
    #[serde(default, borrow, deserialize_with = "text")]
    pub terminal: Cow<'a, str>,
    /// Merchant (42).
    #[serde(default, borrow, deserialize_with = "text")]
    pub merchant: Cow<'a, str>,
    /// Minor units.
    #[serde(default, deserialize_with = "amount")]
    pub amount: i64,
    /// Currency (49).
    #[serde(default, borrow, deserialize_with = "text")]
    pub currency: Cow<'a, str>,
    /// The card, by [`pan_hash`](super::pan_hash).
    #[serde(default, borrow, deserialize_with = "text")]
    pub pan_hash: Cow<'a, str>,
    /// Kind of transaction, as `purchase`; a purchase if empty.
    #[serde(default, borrow, deserialize_with = "text", skip_serializing_if = "str::is_empty")]
    pub kind: Cow<'a, str>,
    /// Response code (39).
    #[serde(default, borrow, deserialize_with = "text", skip_serializing_if = "str::is_empty")]
    pub code: Cow<'a, str>,
    /// Batch (60.2), in dialects that have one.
    #[serde(default, borrow, deserialize_with = "text", skip_serializing_if = "str::is_empty")]
    pub batch: Cow<'a, str>,
    /// Approval code (38).
    #[serde(default, borrow, deserialize_with = "text", skip_serializing_if = "str::is_empty")]
    pub approval: Cow<'a, str>,
    /// RRN of the transaction that it is about.
    #[serde(default, borrow, deserialize_with = "text", skip_serializing_if = "str::is_empty")]
    pub original: Cow<'a, str>,
    /// Of a changed amount: what was added to the original, minor units.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub difference: i64,
    /// Transmission date and time (7), where it came with one; local date and time (12) in the 1993 version.
    #[serde(default, borrow, deserialize_with = "text", skip_serializing_if = "str::is_empty")]
    pub transmitted: Cow<'a, str>,
    /// Totals of a settlement (48).
    #[serde(default, borrow, deserialize_with = "text", skip_serializing_if = "str::is_empty")]
    pub totals: Cow<'a, str>,
    /// Which copy, counted from 1; 0 where nobody counts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub copy: u32,
}

impl<'a> Line<'a> {
    /// A line of which only side and event are known.
    #[must_use]
    pub const fn new(role: Role, event: &'a str) -> Self {
        const NOTHING: Cow<'static, str> = Cow::Borrowed("");
        Self {
            at: NOTHING,
            role,
            event: Cow::Borrowed(event),
            rrn: NOTHING,
            stan: NOTHING,
            terminal: NOTHING,
            merchant: NOTHING,
            amount: 0,
            currency: NOTHING,
            pan_hash: NOTHING,
            kind: NOTHING,
            code: NOTHING,
            batch: NOTHING,
            approval: NOTHING,
            original: NOTHING,
            difference: 0,
            transmitted: NOTHING,
            totals: NOTHING,
            copy: 0,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
const fn is_nothing(number: &i64) -> bool {
    *number == 0
}

fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Ok(Option::<i64>::deserialize(deserializer)?.unwrap_or(0))
}

/// A text, borrowed from the line where it can be; `null` is an empty one, and a number its digits.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    struct Text;
    impl<'de> Visitor<'de> for Text {
        type Value = Cow<'de, str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(text))
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Cow::Owned(text.to_owned()))
        }

        fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Cow::Owned(number.to_string()))
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(""))
        }
    }
    deserializer.deserialize_any(Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_others_write_them() {
        let line: Line<'_> = serde_json::from_str(
            r#"{"at":"2026-11-23T09:00:00Z","role":"issuer","event":"charged","rrn":"000000000007","stan":null,
                "terminal":"T\u0031","merchant":"M","amount":12345,"currency":"156","pan_hash":"ab","extra":[1]}"#,
        )
        .expect("a line");
        assert_eq!((line.amount, &*line.terminal, &*line.stan), (12_345, "T1", ""));
        assert!(matches!(line.rrn, Cow::Borrowed("000000000007")));
        let again = serde_json::to_string(&line).expect("json");
        assert!(!again.contains("kind") && again.contains(r#""stan":"""#), "{again}");
        assert_eq!(serde_json::from_str::<Line<'_>>(&again).expect("a line"), line);
    }

    #[test]
    fn a_line_needs_its_side_and_its_event() {
        for bad in [r#"{"role":"issuer"}"#, r#"{"event":"sent"}"#, r#"{"role":"bank","event":"x"}"#]
        {
            assert!(serde_json::from_str::<Line<'_>>(bad).is_err(), "{bad}");
        }
    }
}

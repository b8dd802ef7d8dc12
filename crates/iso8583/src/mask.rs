//! What people may see of a message. Masking fails closed: what is not known to be harmless is hidden.

use std::borrow::Cow;

use crate::card::{Pan, Track2};
use crate::field::{FieldSpec, Privacy};

/// Tags of data element 55 that say nothing about the card or its holder. All others are hidden.
const OPEN_TAGS: &[&str] = &[
    "4F", "50", "71", "72", "82", "84", "8A", "91", "95", "9A", "9B", "9C", "5F2A", "5F34", "9F02",
    "9F03", "9F06", "9F07", "9F09", "9F10", "9F1A", "9F1E", "9F21", "9F26", "9F27", "9F33", "9F34",
    "9F35", "9F36", "9F37", "9F41", "9F53", "DF31",
];

/// Digits that a card number has at least.
const SHORTEST_PAN: usize = 13;
/// Digits that a card number has at most.
const LONGEST_PAN: usize = 19;

fn stars(text: &str) -> String {
    "*".repeat(text.chars().count())
}

/// How much of a field people may see: what the dialect says, but never more than its number allows.
const fn privacy(spec: &FieldSpec) -> Privacy {
    match (spec.number, spec.privacy) {
        (_, Privacy::Hidden) | (34 | 45 | 52 | 102 | 103, _) => Privacy::Hidden,
        (2, _) => Privacy::Pan,
        (35 | 36, _) => Privacy::Track,
        (_, other) => other,
    }
}

/// The text of a field as people may see it.
pub(crate) fn field<'a>(spec: &FieldSpec, text: Cow<'a, str>) -> Cow<'a, str> {
    match privacy(spec) {
        Privacy::Open => text,
        Privacy::Hidden => Cow::Owned(stars(&text)),
        Privacy::Pan => Cow::Owned(match Pan::new(&text) {
            Ok(pan) => pan.masked(),
            Err(_) => stars(&text),
        }),
        Privacy::Track => Cow::Owned(track(&text)),
        Privacy::Free => free(text),
    }
}

/// The value of a tag of data element 55, as hexadecimal text.
pub(crate) fn tag(tag: &str, value: String) -> String {
    if OPEN_TAGS.contains(&tag) { value } else { stars(&value) }
}

/// First six and last four digits of the card number, stars for all else.
fn track(text: &str) -> String {
    let pan = Track2::new(text).ok().and_then(|track| track.pan());
    let Some(pan) = pan else { return stars(text) };
    let masked = pan.masked();
    let rest = text.len().saturating_sub(masked.len());
    format!("{masked}{}", "*".repeat(rest))
}

/// Runs of digits as long as a card number, with single spaces or dashes in them or without.
fn free(text: Cow<'_, str>) -> Cow<'_, str> {
    let mut shown = String::with_capacity(text.len());
    let mut hidden = false;
    let mut rest: &str = &text;
    while !rest.is_empty() {
        let length = run(rest);
        if length == 0 {
            let mut characters = rest.chars();
            shown.extend(characters.next());
            rest = characters.as_str();
            continue;
        }
        let (number, after) = rest.split_at(length);
        rest = after;
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        if digits < SHORTEST_PAN {
            shown.push_str(number);
            continue;
        }
        hidden = true;
        match Pan::new(number) {
            Ok(pan) if digits <= LONGEST_PAN => shown.push_str(&pan.masked()),
            _ => shown.push_str(&stars(number)),
        }
    }
    if hidden { Cow::Owned(shown) } else { text }
}

/// Bytes of the run of digits that `text` begins with: digits, and single spaces or dashes between two.
fn run(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let joint = |at: usize| bytes.get(at).is_some_and(|byte| matches!(byte, b' ' | b'-'));
    let mut at = 0;
    while digit(at) || at > 0 && joint(at) && digit(at + 1) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_as_long_as_a_card_number_are_hidden() {
        for (text, shown) in [
            ("01020000   48031000   ", "01020000   48031000   "),
            ("card 6212345678901232 ok", "card 621234******1232 ok"),
            ("6212 3456 7890 1232", "*******************"),
            ("62123456789012320000000001", "**************************"),
            ("商户6212-3456-7890-1232号", "商户*******************号"),
            ("123456789012", "123456789012"),
            ("", ""),
        ] {
            assert_eq!(free(Cow::Borrowed(text)), shown);
        }
    }

    #[test]
    fn a_track_shows_the_ends_of_its_card_number_only() {
        for (text, shown) in [
            ("6212345678901232=30122010000012300000", "621234******1232*********************"),
            ("6212345678901232A0F91", "*********************"),
            ("not a track", "***********"),
        ] {
            assert_eq!(track(text), shown);
        }
    }

    #[test]
    fn tags_that_are_not_known_to_be_harmless_are_hidden() {
        assert_eq!(tag("9F26", "1122".to_owned()), "1122");
        for secret in ["57", "5A", "5F20", "9F1F", "9F6B", "DF8129"] {
            assert_eq!(tag(secret, "1122".to_owned()), "****");
        }
    }
}

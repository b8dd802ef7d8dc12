//! How stored numbers are written for people and programs.

use jiff::Timestamp;
use switch_core::{ObligationCause, ObligationStatus, Wall};

/// RFC 3339, to the microsecond, in UTC.
pub(crate) fn time(wall: Wall) -> String {
    Timestamp::from_microsecond(wall.0).map_or_else(|_| wall.0.to_string(), |at| at.to_string())
}

/// Bytes from outside as text; what is no printable text is escaped.
pub(crate) fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// First six and last four digits.
pub(crate) fn card(first6: &[u8], last4: &[u8]) -> String {
    let shown = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit) && !digits.is_empty();
    if shown(first6) && shown(last4) {
        format!("{}******{}", text(first6), text(last4))
    } else {
        String::new()
    }
}

/// The status of a duty to reverse.
pub(crate) const fn status(status: ObligationStatus) -> &'static str {
    match status {
        ObligationStatus::Marked => "marked",
        ObligationStatus::Cleared => "cleared",
        ObligationStatus::Owed => "owed",
        ObligationStatus::Confirmed => "confirmed",
        ObligationStatus::Withdrawn => "withdrawn",
        ObligationStatus::Denied => "denied",
        ObligationStatus::EndedByHand => "ended by hand",
    }
}

/// The status of that name.
pub(crate) fn status_of(name: &str) -> Option<ObligationStatus> {
    ObligationStatus::ALL.iter().copied().find(|known| status(*known) == name)
}

/// Why a reversal is owed.
pub(crate) const fn cause(cause: ObligationCause) -> &'static str {
    match cause {
        ObligationCause::Silence => "silence",
        ObligationCause::Asked => "asked by the terminal",
        ObligationCause::LateApproval => "late approval",
        ObligationCause::Undelivered => "undelivered",
        ObligationCause::Contradicted => "contradicted",
        ObligationCause::Delivery => "delivery",
        ObligationCause::Recovery => "recovery",
    }
}

/// An amount as people write it, with the minor units of its currency.
pub(crate) fn amount(minor: i64, currency: &[u8]) -> String {
    let digits: usize = match currency {
        b"392" | b"410" | b"704" => 0,
        b"048" | b"400" | b"414" | b"512" | b"788" => 3,
        _ => 2,
    };
    let text = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, part) = text.split_at_checked(text.len() - digits).unwrap_or((&text, ""));
    let sign = if minor < 0 { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

#[cfg(test)]
mod tests {
    use switch_core::Day;

    use super::*;

    #[test]
    fn days_times_and_amounts_are_written_for_people() {
        assert_eq!(switch::date(Day(20_780)), "2026-11-23");
        assert_eq!(time(Wall(1_500_000)), "1970-01-01T00:00:01.5Z");
        assert_eq!(amount(12_345, b"156"), "123.45");
        assert_eq!(amount(5, b"156"), "0.05");
        assert_eq!(amount(5, b"392"), "5");
        assert_eq!(card(b"621234", b"1232"), "621234******1232");
        assert_eq!(card(&[0; 6], &[0; 4]), "");
        assert_eq!(text(b"A\x1bB"), "A\u{FFFD}B");
    }
}

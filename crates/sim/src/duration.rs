//! Durations as files write them: `15s`, `500ms`, `2h`.

use std::time::Duration;

/// A text that is no duration from nothing to thirty days.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no duration: expected a number with a unit, as `500ms`, `15s` or `2h`, at most 30 days"
)]
pub(crate) struct DurationError(String);

const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// The duration that `text` writes.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let wrong = || DurationError(text.to_owned());
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit.trim() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let duration = Duration::from_millis(number.checked_mul(milliseconds).ok_or_else(wrong)?);
    if duration > LONGEST { Err(wrong()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, milliseconds) in
            [("500ms", 500), ("15s", 15_000), ("0s", 0), ("2h", 7_200_000), ("30d", 2_592_000_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "15", "1.5s", "-1s", "31d", "99999999999999999999s", "1w"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

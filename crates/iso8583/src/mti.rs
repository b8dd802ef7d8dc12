//! The message type indicator (data element 0).

use std::fmt;

/// A message type indicator: version, class, function, origin, as four digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mti([u8; 4]);

/// A text that is no message type indicator: four digits were expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message type is four digits")]
pub struct MtiError;

impl Mti {
    /// Stands for a message type that was not read yet.
    pub const ZERO: Self = Self(*b"0000");

    /// The message type written in `text`.
    ///
    /// # Errors
    /// `text` is not four ASCII digits.
    pub fn parse(text: &str) -> Result<Self, MtiError> {
        Self::from_digits(text.as_bytes()).ok_or(MtiError)
    }

    pub(crate) fn from_digits(digits: &[u8]) -> Option<Self> {
        let digits: [u8; 4] = digits.try_into().ok()?;
        digits.iter().all(u8::is_ascii_digit).then_some(Self(digits))
    }

    /// The first digit: 0 the 1987 version of the standard, 1 the 1993 version, 2 the 2003 version.
    #[must_use]
    pub const fn version(self) -> u8 {
        self.0[0] - b'0'
    }

    /// The second digit: 1 authorisation, 2 financial, 4 reversal, 8 network management, ...
    #[must_use]
    pub const fn class(self) -> u8 {
        self.0[1] - b'0'
    }

    /// The third digit: 0 request, 1 its response, 2 advice, 3 its response, ...
    #[must_use]
    pub const fn function(self) -> u8 {
        self.0[2] - b'0'
    }

    /// Whether it asks for an answer: its function digit is even.
    #[must_use]
    pub const fn is_request(self) -> bool {
        self.function().is_multiple_of(2)
    }

    /// Whether it is marked as a repeat: its last digit is odd.
    #[must_use]
    pub const fn is_repeat(self) -> bool {
        (self.0[3] - b'0') % 2 == 1
    }

    /// The type of the answer: function digit + 1, the first copy's origin. A response stays as it is.
    #[must_use]
    pub const fn response(self) -> Self {
        let function = if self.is_request() { self.0[2] + 1 } else { self.0[2] };
        Self([self.0[0], self.0[1], function, self.first_copy().0[3]])
    }

    /// The type of a repeat of this message: the odd digit of its origin, 0201, 1421 or 1805.
    #[must_use]
    pub const fn repeat(self) -> Self {
        Self([self.0[0], self.0[1], self.0[2], self.0[3] | 1])
    }

    /// The type of the first copy of this message: the even digit of its origin. 0 stands for the acquirer,
    /// 2 for the issuer, 4 (as in 1804) for any other.
    #[must_use]
    pub const fn first_copy(self) -> Self {
        Self([self.0[0], self.0[1], self.0[2], self.0[3] & !1])
    }

    /// The four digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("0000")
    }

    pub(crate) const fn digits(self) -> [u8; 4] {
        self.0
    }
}

impl fmt::Display for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mti({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_the_next_function_and_no_repeat_mark() {
        for (request, response, repeat) in [
            ("0200", "0210", "0201"),
            ("0401", "0410", "0401"),
            ("0820", "0830", "0821"),
            ("1420", "1430", "1421"),
            ("1421", "1430", "1421"),
            ("1804", "1814", "1805"),
            ("1805", "1814", "1805"),
        ] {
            let mti = Mti::parse(request).expect("digits");
            assert!(mti.is_request());
            assert_eq!(mti.repeat().first_copy(), mti.first_copy());
            assert_eq!(mti.version(), u8::from(request.starts_with('1')));
            assert_eq!(mti.response().as_str(), response);
            assert_eq!(mti.repeat().as_str(), repeat);
        }
        assert!(Mti::parse("0401").expect("digits").is_repeat());
        assert!(!Mti::parse("0410").expect("digits").is_request());
        assert_eq!(Mti::parse("02O0"), Err(MtiError));
        assert_eq!(Mti::parse("02000"), Err(MtiError));
    }
}

//! Small values of the trade that are copied, not allocated.

use std::fmt;

/// A value that does not have the form its data element asks for; says what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{expected} expected")]
pub struct ValueError {
    /// What the value should have been.
    pub expected: &'static str,
}

/// System trace audit number (data element 11): six digits, 0 to 999999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stan(u32);

impl Stan {
    const ERROR: ValueError = ValueError { expected: "six digits" };

    /// The trace number `number`.
    ///
    /// # Errors
    /// It is above 999999.
    pub const fn new(number: u32) -> Result<Self, ValueError> {
        if number > 999_999 { Err(Self::ERROR) } else { Ok(Self(number)) }
    }

    /// The trace number written in `text`.
    ///
    /// # Errors
    /// `text` is not six digits.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        if text.len() != 6 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Self::ERROR);
        }
        text.parse().map(Self).map_err(|_| Self::ERROR)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Stan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl fmt::Debug for Stan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stan({:06})", self.0)
    }
}

macro_rules! fixed_text {
    ($(#[$doc:meta])* $name:ident, $length:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            #[doc = concat!("The value written in `text`, padded with spaces to ", $length, " characters.")]
            ///
            /// # Errors
            /// `text` is empty, too long, or has characters that are not printable ASCII.
            pub fn new(text: &str) -> Result<Self, ValueError> {
                let printable = text.bytes().all(|byte| (0x20..0x7F).contains(&byte));
                if text.is_empty() || text.len() > $length || !printable {
                    return Err(ValueError { expected: $expected });
                }
                let mut value = [b' '; $length];
                for (to, from) in value.iter_mut().zip(text.bytes()) {
                    *to = from;
                }
                Ok(Self(value))
            }

            /// The text with its padding.
            #[must_use]
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).unwrap_or("")
            }

            /// The bytes of the text with its padding.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }
    };
}

fixed_text! {
    /// Retrieval reference number (data element 37): twelve characters, opaque.
    Rrn, 12, "one to twelve printable characters"
}
fixed_text! {
    /// Currency code (data element 49): three characters, mostly digits of ISO 4217 (156 is the yuan).
    Currency, 3, "one to three printable characters"
}
fixed_text! {
    /// Terminal identification (data element 41): eight characters, padded with spaces.
    TerminalId, 8, "one to eight printable characters"
}
fixed_text! {
    /// Merchant identification (data element 42): fifteen characters, padded with spaces.
    MerchantId, 15, "one to fifteen printable characters"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_form() {
        assert_eq!(Stan::parse("000123").expect("digits").number(), 123);
        assert_eq!(Stan::new(7).expect("small").to_string(), "000007");
        assert!(Stan::new(1_000_000).is_err());
        assert!(Stan::parse("12345").is_err());
        assert_eq!(Rrn::new("A1").expect("short").as_str(), "A1          ");
        assert!(Rrn::new("1234567890123").is_err());
        assert_eq!(Currency::new("156").expect("code").to_string(), "156");
        assert!(Currency::new("é").is_err());
    }
}

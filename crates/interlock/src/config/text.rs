//! Texts of a configuration with an alphabet and a length: names, codes, prefixes, files, words of a closed list.

use std::path::PathBuf;

use super::value::{Leaf, quoted};

/// A name of ours: a listener, an issuer, a node, a domain. Letters, digits, `-`, `_` and `.`, at most 64.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(pub(crate) String);

impl Leaf for Name {
    const EXPECTED: &'static str = "a name of 1 to 64 letters, digits, '-', '_' or '.'";

    fn of_text(text: &str) -> Result<Self, String> {
        let good = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{} is not a name", quoted(text)))
        }
    }

    fn stand_in() -> Self {
        Self(String::new())
    }
}

/// A response code (39).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResponseCode(pub(crate) iso8583::Code);

impl Leaf for ResponseCode {
    const EXPECTED: &'static str = "a response code of 2 to 4 letters or digits such as \"00\"";

    fn of_text(text: &str) -> Result<Self, String> {
        iso8583::Code::new(text)
            .map(Self)
            .map_err(|_| format!("{} is not a response code", quoted(text)))
    }

    fn stand_in() -> Self {
        Self(iso8583::Code::APPROVED)
    }
}

/// Decimal digits, of a length in a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digits<const LOW: usize, const HIGH: usize>(pub(crate) String);

impl<const LOW: usize, const HIGH: usize> Leaf for Digits<LOW, HIGH> {
    const EXPECTED: &'static str = "decimal digits in quotes";

    fn expected() -> String {
        let number = if LOW == HIGH { LOW.to_string() } else { format!("{LOW} to {HIGH}") };
        format!("{number} decimal digits in quotes")
    }

    fn of_text(text: &str) -> Result<Self, String> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{} has other characters than digits", quoted(text)));
        }
        if !(LOW..=HIGH).contains(&text.len()) {
            return Err(format!("{} has {} digits", quoted(text), text.len()));
        }
        Ok(Self(text.to_owned()))
    }

    fn stand_in() -> Self {
        Self("0".repeat(LOW))
    }
}

/// Printable text of at most so many bytes, at least one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Printable<const HIGH: usize>(pub(crate) String);

impl<const HIGH: usize> Leaf for Printable<HIGH> {
    const EXPECTED: &'static str = "text without control characters";

    fn expected() -> String {
        format!("text of 1 to {HIGH} bytes without control characters")
    }

    fn of_text(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > HIGH {
            return Err(format!("{} has {} bytes", quoted(text), text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(format!("{} has control characters", quoted(text)));
        }
        Ok(Self(text.to_owned()))
    }

    fn stand_in() -> Self {
        Self(String::new())
    }
}

/// The path of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilePath(pub(crate) PathBuf);

impl Leaf for FilePath {
    const EXPECTED: &'static str = "the path of a file";

    fn of_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("empty".to_owned()) } else { Ok(Self(PathBuf::from(text))) }
    }

    fn stand_in() -> Self {
        Self(PathBuf::new())
    }
}

/// Declares a closed list of words.
macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident, $expected:literal, $($variant:ident = $word:literal),+) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $(#[doc = $word] $variant),+ }

        impl Leaf for $name {
            const EXPECTED: &'static str = $expected;

            fn of_text(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("{} is not known", quoted(text))),
                }
            }

            fn stand_in() -> Self {
                [$(Self::$variant),+][0]
            }
        }
    };
}

words! {
    /// What a listener does with zero-length frames.
    Keepalive, "\"count\" or \"echo\"", Count = "count", Echo = "echo"
}

words! {
    /// How frames are delimited.
    Framing, "\"len2\" (2-byte binary length) or \"ascii4\" (4 ASCII digits)", Len2 = "len2", Ascii4 = "ascii4"
}

words! {
    /// How log lines are written.
    LogFormat, "\"text\" or \"json\"", Text = "text", Json = "json"
}

//! What can be wrong with a message, with its place.

use crate::message::Message;

/// The kind of a fault in a message; its name is part of the JSON form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The length header, the TPDU or the head is incomplete or wrong.
    Header,
    /// The message type is incomplete or not four digits.
    Mti,
    /// The bitmap is incomplete, not hexadecimal, or has a bit that must not be set.
    Bitmap,
    /// Bytes after the last field.
    Trailing,
    /// Text that should be hexadecimal and is not.
    Hex,
    /// A length prefix that is no number, or a length that the field cannot have.
    Length,
    /// The message ends inside the field.
    Truncated,
    /// Something else than a digit in a field of digits.
    Digits,
    /// A character that the field cannot have.
    Text,
    /// Tags, lengths and values that do not fill their field.
    Tlv,
    /// A field that the dialect does not define.
    Undefined,
    /// A line that is not JSON of the form that is asked for.
    Json,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: &'static [Self] = &[
        Self::Header,
        Self::Mti,
        Self::Bitmap,
        Self::Trailing,
        Self::Hex,
        Self::Length,
        Self::Truncated,
        Self::Digits,
        Self::Text,
        Self::Tlv,
        Self::Undefined,
        Self::Json,
    ];

    /// The name in JSON, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Mti => "mti",
            Self::Bitmap => "bitmap",
            Self::Trailing => "trailing",
            Self::Hex => "hex",
            Self::Length => "length",
            Self::Truncated => "truncated",
            Self::Digits => "digits",
            Self::Text => "text",
            Self::Tlv => "tlv",
            Self::Undefined => "undefined",
            Self::Json => "json",
        }
    }
}

/// Why bytes are not a message of a dialect. Its text never holds what a field holds.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}at byte {offset}: {message}", field.map(|n| format!("field {n} ")).unwrap_or_default())]
pub struct DecodeError {
    /// The data element at fault, if it is one.
    pub field: Option<u8>,
    /// Where, counted from the first byte of the message (after the length header); at most its length.
    pub offset: usize,
    /// What kind of fault.
    pub kind: ErrorKind,
    /// What was expected and what was found, for people.
    pub message: String,
    /// What could be read: message type, the sound fields before the fault, and those after it as far
    /// as the lengths are known. Nothing if not even the bitmap was sound.
    pub partial: Option<Box<Message>>,
    /// The elements that the bitmap announces and that `partial` lacks, rising.
    pub unread: Vec<u8>,
}

/// Why a message cannot be written in a dialect. Its text never holds what a field holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", field.map(|n| format!("field {n}: ")).unwrap_or_default())]
pub struct EncodeError {
    /// The data element at fault, if it is one.
    pub field: Option<u8>,
    /// What kind of fault.
    pub kind: ErrorKind,
    /// What was expected and what was found, for people.
    pub message: String,
}

/// A fault inside one field, before its number is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    /// Offset from the start of what was looked at.
    pub(crate) at: usize,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, at: usize, message: impl Into<String>) -> Self {
        Self { kind, at, message: message.into() }
    }
}

//! What the bytes of a value in a message are, and thereby what they were checked to be.

use crate::digits::Filler;

/// What the bytes of a value are. Two fields of one form hold the same bytes for the same value, and
/// what was sound in one is sound in the other, if its length is allowed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// There is no such value.
    Absent,
    /// ASCII digits.
    Digits,
    /// Characters of a track in ASCII.
    Track,
    /// A sign and digits in ASCII.
    Signed,
    /// Printable ASCII.
    Printable,
    /// ASCII.
    Ascii,
    /// Text in GBK.
    Gbk,
    /// Packed digits, filler on the right.
    BcdRight,
    /// Packed digits, filler on the left.
    BcdLeft,
    /// Packed track characters, filler on the right.
    TrackRight,
    /// Packed track characters, filler on the left.
    TrackLeft,
    /// A sign byte and packed digits.
    SignedBcd,
    /// Bytes.
    Raw,
    /// Bytes that are tags, lengths and values.
    Tlv,
    /// Bytes as upper-case hexadecimal text.
    Hex,
    /// Characters in EBCDIC. Of which content, it does not say: what one field may hold another may not.
    Ebcdic,
    /// Bytes as upper-case hexadecimal text in EBCDIC.
    EbcdicHex,
    /// Set by us, as UTF-8 text.
    OwnText,
    /// Set by us, as bytes.
    OwnBytes,
    /// Set by us, and longer than any field can be.
    TooLong,
}

impl Form {
    /// On which side an odd packed digit has its filler.
    pub(crate) const fn filler(self) -> Filler {
        match self {
            Self::BcdLeft | Self::TrackLeft | Self::SignedBcd => Filler::Left,
            Self::Absent
            | Self::Digits
            | Self::Track
            | Self::Signed
            | Self::Printable
            | Self::Ascii
            | Self::Gbk
            | Self::BcdRight
            | Self::TrackRight
            | Self::Raw
            | Self::Tlv
            | Self::Hex
            | Self::Ebcdic
            | Self::EbcdicHex
            | Self::OwnText
            | Self::OwnBytes
            | Self::TooLong => Filler::Right,
        }
    }

    /// Bytes of a value of `units` (of hexadecimal text, characters).
    pub(crate) const fn bytes(self, units: usize) -> usize {
        match self {
            Self::Absent | Self::TooLong => 0,
            Self::BcdLeft | Self::BcdRight | Self::TrackLeft | Self::TrackRight => {
                units.div_ceil(2)
            }
            Self::SignedBcd => 1 + units.saturating_sub(1).div_ceil(2),
            Self::Digits
            | Self::Track
            | Self::Signed
            | Self::Printable
            | Self::Ascii
            | Self::Gbk
            | Self::Raw
            | Self::Tlv
            | Self::Hex
            | Self::Ebcdic
            | Self::EbcdicHex
            | Self::OwnText
            | Self::OwnBytes => units,
        }
    }
}

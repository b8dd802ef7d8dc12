//! A field of a dialect as independent axes: content × encoding × length × padding.

use crate::form::Form;

/// What a field may hold; decides in what its length is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// `n`: digits, counted in digits.
    Digits,
    /// `z`: the characters of a track, counted in characters.
    Track,
    /// `x+n`: a sign (C or D) and digits, counted in characters.
    Signed,
    /// `an`: printable ASCII, counted in bytes.
    Alphanumeric,
    /// `ans`: any text of its encoding, counted in bytes.
    Text,
    /// `b`: bytes, counted in bytes.
    Binary,
}

impl Content {
    /// All contents.
    pub const ALL: &'static [Self] =
        &[Self::Digits, Self::Track, Self::Signed, Self::Alphanumeric, Self::Text, Self::Binary];

    /// The name in dialect files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Digits => "n",
            Self::Track => "z",
            Self::Signed => "x+n",
            Self::Alphanumeric => "an",
            Self::Text => "ans",
            Self::Binary => "b",
        }
    }

    /// Whether content of this kind can be written in `encoding`.
    #[must_use]
    pub const fn allows(self, encoding: Encoding) -> bool {
        match self {
            Self::Digits | Self::Track | Self::Signed => {
                matches!(encoding, Encoding::Ascii | Encoding::Bcd | Encoding::Ebcdic)
            }
            Self::Alphanumeric => matches!(encoding, Encoding::Ascii | Encoding::Ebcdic),
            Self::Text => matches!(encoding, Encoding::Ascii | Encoding::Gbk | Encoding::Ebcdic),
            Self::Binary => matches!(encoding, Encoding::Raw | Encoding::Hex | Encoding::EbcdicHex),
        }
    }
}

/// How content is written in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// One ASCII byte a character.
    Ascii,
    /// Two digits a byte.
    Bcd,
    /// Chinese text, ASCII included.
    Gbk,
    /// Bytes as they are.
    Raw,
    /// Bytes as upper-case hexadecimal text, two characters a byte.
    Hex,
    /// One byte of EBCDIC (code page 037) a character.
    Ebcdic,
    /// Bytes as upper-case hexadecimal text in EBCDIC, two characters a byte.
    EbcdicHex,
}

impl Encoding {
    /// All encodings.
    pub const ALL: &'static [Self] =
        &[Self::Ascii, Self::Bcd, Self::Gbk, Self::Raw, Self::Hex, Self::Ebcdic, Self::EbcdicHex];

    /// The name in dialect files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Bcd => "bcd",
            Self::Gbk => "gbk",
            Self::Raw => "raw",
            Self::Hex => "hex",
            Self::Ebcdic => "ebcdic",
            Self::EbcdicHex => "ebcdic-hex",
        }
    }
}

/// How a length prefix is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LengthEncoding {
    /// One ASCII digit a byte.
    Ascii,
    /// Two digits a byte.
    Bcd,
    /// One digit of EBCDIC a byte.
    Ebcdic,
    /// A binary number, the highest byte first.
    Binary,
}

impl LengthEncoding {
    /// All encodings.
    pub const ALL: &'static [Self] = &[Self::Ascii, Self::Bcd, Self::Ebcdic, Self::Binary];

    /// The name in dialect files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Bcd => "bcd",
            Self::Ebcdic => "ebcdic",
            Self::Binary => "binary",
        }
    }
}

/// What a length prefix counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Units of the content: digits, characters or bytes.
    Units,
    /// Nibbles, two a byte, where the content is counted in bytes.
    Nibbles,
    /// Bytes on the wire: of packed digits half as many as digits, of hexadecimal text twice as many as
    /// bytes. Whether packed digits are odd shows by a filler of F, or by one more than the field has.
    Bytes,
}

impl Counts {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Units, Self::Nibbles, Self::Bytes];

    /// The name in dialect files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Units => "units",
            Self::Nibbles => "nibbles",
            Self::Bytes => "bytes",
        }
    }
}

/// The length prefix of a variable field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// How many digits it has: 2 is LLVAR, 3 is LLLVAR. Of a binary one, its bytes.
    pub digits: u8,
    /// How it is written.
    pub encoding: LengthEncoding,
    /// What it counts.
    pub counts: Counts,
}

impl Prefix {
    /// Bytes of the prefix.
    #[must_use]
    pub const fn len(self) -> usize {
        match self.encoding {
            LengthEncoding::Bcd => (self.digits as usize).div_ceil(2),
            LengthEncoding::Ascii | LengthEncoding::Ebcdic | LengthEncoding::Binary => {
                self.digits as usize
            }
        }
    }

    /// Never: a prefix has a byte at least.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// The largest number that it can say.
    #[must_use]
    pub fn largest(self) -> usize {
        let (digits, base) = match self.encoding {
            LengthEncoding::Bcd => (self.len() * 2, 10),
            LengthEncoding::Ascii | LengthEncoding::Ebcdic => (self.len(), 10),
            LengthEncoding::Binary => (self.len(), 256),
        };
        (0..digits).fold(0, |number, _| number * base + base - 1)
    }
}

/// The length of a field in units of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Always so many.
    Fixed(u16),
    /// As many as the prefix says, up to `max`.
    Variable {
        /// The prefix.
        prefix: Prefix,
        /// The most that the field may have.
        max: u16,
    },
}

impl Length {
    /// The most units that the field may have.
    #[must_use]
    pub const fn max(self) -> u16 {
        match self {
            Self::Fixed(max) | Self::Variable { max, .. } => max,
        }
    }

    /// Whether a field can be `units` long.
    #[must_use]
    pub fn holds(self, units: usize) -> bool {
        match self {
            Self::Fixed(length) => units == usize::from(length),
            Self::Variable { max, .. } => units <= usize::from(max),
        }
    }
}

/// On which side an odd number of packed digits is filled, and with which nibble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Padding {
    /// Filled before the first digit rather than after the last.
    pub left: bool,
    /// The nibble that is written. A reader does not look at one on the right.
    pub nibble: u8,
}

/// How much of a field people may see. Some data elements are hidden whatever the dialect says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// All of it.
    Open,
    /// A card number: its first six and last four digits.
    Pan,
    /// A track: of its card number the first six and last four digits.
    Track,
    /// Free text: runs of digits as long as a card number are hidden.
    Free,
    /// Nothing of it.
    Hidden,
}

impl Privacy {
    /// All degrees.
    pub const ALL: &'static [Self] =
        &[Self::Open, Self::Pan, Self::Track, Self::Free, Self::Hidden];

    /// The name in dialect files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pan => "pan",
            Self::Track => "track",
            Self::Free => "free",
            Self::Hidden => "hidden",
        }
    }
}

/// One positional part of a field of digits, like 60.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name, for people.
    pub name: String,
    /// Its digits.
    pub length: u8,
}

/// A field of a dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSpec {
    /// The data element's number.
    pub number: u8,
    /// Its name, for people.
    pub name: String,
    /// What it may hold.
    pub content: Content,
    /// How that is written.
    pub encoding: Encoding,
    /// How much of it there is.
    pub length: Length,
    /// How an odd number of packed digits is filled.
    pub padding: Padding,
    /// Whether its bytes are tags, lengths and values (BER-TLV, data element 55).
    pub tlv: bool,
    /// Its positional parts, if it has some.
    pub parts: Vec<Part>,
    /// How much of it people may see.
    pub privacy: Privacy,
}

/// Bytes on the wire of `units` of content.
const fn wire_length(content: Content, encoding: Encoding, units: usize) -> usize {
    match (content, encoding) {
        (Content::Signed, Encoding::Bcd) => 1 + units.saturating_sub(1).div_ceil(2),
        (_, Encoding::Bcd) => units.div_ceil(2),
        (_, Encoding::Hex | Encoding::EbcdicHex) => units.saturating_mul(2),
        (_, Encoding::Ascii | Encoding::Gbk | Encoding::Raw | Encoding::Ebcdic) => units,
    }
}

/// What a length prefix says of `units` of content.
pub(crate) const fn said(
    content: Content,
    encoding: Encoding,
    counts: Counts,
    units: usize,
) -> usize {
    match counts {
        Counts::Units => units,
        Counts::Nibbles => units.saturating_mul(2),
        Counts::Bytes => wire_length(content, encoding, units),
    }
}

impl FieldSpec {
    /// Bytes on the wire of `units` of content, without the prefix.
    #[must_use]
    pub fn wire_length(&self, units: usize) -> usize {
        wire_length(self.content, self.encoding, units)
    }

    /// The most units of content that stand in `bytes` on the wire; nothing if it is not whole.
    pub(crate) fn units_in(&self, bytes: usize) -> Option<usize> {
        match (self.content, self.encoding) {
            (Content::Signed, Encoding::Bcd) => Some((bytes * 2).saturating_sub(1)),
            (_, Encoding::Bcd) => Some(bytes * 2),
            (_, Encoding::Hex | Encoding::EbcdicHex) => {
                bytes.is_multiple_of(2).then_some(bytes / 2)
            }
            (_, Encoding::Ascii | Encoding::Gbk | Encoding::Raw | Encoding::Ebcdic) => Some(bytes),
        }
    }

    /// What the bytes of a value of this field are.
    pub(crate) const fn form(&self) -> Form {
        match (self.content, self.encoding, self.padding.left) {
            (Content::Signed, Encoding::Bcd, _) => Form::SignedBcd,
            (Content::Track, Encoding::Bcd, false) => Form::TrackRight,
            (Content::Track, Encoding::Bcd, true) => Form::TrackLeft,
            (_, Encoding::Bcd, false) => Form::BcdRight,
            (_, Encoding::Bcd, true) => Form::BcdLeft,
            (_, Encoding::Gbk, _) => Form::Gbk,
            (_, Encoding::Raw, _) if self.tlv => Form::Tlv,
            (_, Encoding::Raw, _) => Form::Raw,
            (_, Encoding::Hex, _) => Form::Hex,
            (_, Encoding::Ebcdic, _) => Form::Ebcdic,
            (_, Encoding::EbcdicHex, _) => Form::EbcdicHex,
            (Content::Digits, Encoding::Ascii, _) => Form::Digits,
            (Content::Track, Encoding::Ascii, _) => Form::Track,
            (Content::Signed, Encoding::Ascii, _) => Form::Signed,
            (Content::Alphanumeric, Encoding::Ascii, _) => Form::Printable,
            (Content::Text | Content::Binary, Encoding::Ascii, _) => Form::Ascii,
        }
    }
}

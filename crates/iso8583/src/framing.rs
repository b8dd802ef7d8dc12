//! How a connection tells where a message ends.

use bytes::{BufMut, BytesMut};

/// The length header before each message. The length does not count itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Two bytes, binary, the high byte first.
    Len2,
    /// Four ASCII digits.
    Ascii4,
}

/// A message that no length header of this framing can tell the length of, or a header that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// Too long to be framed.
    #[error("a message of {length} bytes is longer than the {max} that its length header can say")]
    TooLong {
        /// Length of the message.
        length: usize,
        /// The longest that the header can say.
        max: usize,
    },
    /// The header has a byte that is no digit.
    #[error("the length header is not four digits")]
    NotDigits,
}

impl Framing {
    /// All framings.
    pub const ALL: &'static [Self] = &[Self::Len2, Self::Ascii4];

    /// The name in configuration and dialect files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Len2 => "len2",
            Self::Ascii4 => "ascii4",
        }
    }

    /// The framing of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|framing| framing.name() == name)
    }

    /// Bytes of the length header.
    #[must_use]
    pub const fn header_length(self) -> usize {
        match self {
            Self::Len2 => 2,
            Self::Ascii4 => 4,
        }
    }

    /// The longest message, in bytes.
    #[must_use]
    pub const fn max(self) -> usize {
        match self {
            Self::Len2 => 0xFFFF,
            Self::Ascii4 => 9_999,
        }
    }

    /// The length that the start of `bytes` says; nothing while the length header is not complete.
    ///
    /// # Errors
    /// The header has a byte that is no digit.
    pub fn read(self, bytes: &[u8]) -> Result<Option<usize>, FramingError> {
        let Some(header) = bytes.get(..self.header_length()) else {
            return Ok(None);
        };
        let mut length = 0;
        for &byte in header {
            length = match self {
                Self::Len2 => length * 256 + usize::from(byte),
                Self::Ascii4 if byte.is_ascii_digit() => length * 10 + usize::from(byte - b'0'),
                Self::Ascii4 => return Err(FramingError::NotDigits),
            };
        }
        Ok(Some(length))
    }

    /// Appends the length header of a message of `length` bytes.
    ///
    /// # Errors
    /// The header cannot say that length; nothing was appended.
    pub fn write(self, length: usize, to: &mut BytesMut) -> Result<(), FramingError> {
        let mut header = [0; 4];
        let header = header.get_mut(..self.header_length()).unwrap_or_default();
        self.write_at(length, header)?;
        to.put_slice(header);
        Ok(())
    }

    /// Writes the length header of a message of `length` bytes over `to`.
    pub(crate) fn write_at(self, length: usize, to: &mut [u8]) -> Result<(), FramingError> {
        let too_long = FramingError::TooLong { length, max: self.max() };
        let small = u16::try_from(length).map_err(|_| too_long)?;
        let digit = |unit: u16| b'0' + u8::try_from(small / unit % 10).unwrap_or(0);
        match (self, to) {
            (Self::Len2, [high, low]) => [*high, *low] = small.to_be_bytes(),
            (Self::Ascii4, _) if length > self.max() => return Err(too_long),
            (Self::Ascii4, [a, b, c, d]) => {
                [*a, *b, *c, *d] = [digit(1000), digit(100), digit(10), digit(1)];
            }
            (Self::Len2 | Self::Ascii4, _) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_come_back() {
        for &framing in Framing::ALL {
            assert_eq!(Framing::from_name(framing.name()), Some(framing));
            for length in [0, 1, 255, 256, 9_999] {
                let mut bytes = BytesMut::new();
                framing.write(length, &mut bytes).expect("short");
                assert_eq!(bytes.len(), framing.header_length());
                assert_eq!(framing.read(&bytes), Ok(Some(length)));
                assert_eq!(framing.read(&bytes[1..]), Ok(None));
            }
            assert!(framing.write(0x1_0000, &mut BytesMut::new()).is_err());
        }
        assert!(Framing::Ascii4.write(10_000, &mut BytesMut::new()).is_err());
        assert_eq!(Framing::Ascii4.read(b"12x4"), Err(FramingError::NotDigits));
    }
}

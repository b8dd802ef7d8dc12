//! A purchase with a chip card and a PIN, as a terminal writes it and as it goes to its issuer.

use anyhow::{Context as _, Result};
use bytes::{Bytes, BytesMut};
use iso8583::{DecodeError, Dialect, EncodeError, Message, Mti};

/// Fields of the terminal's request: about 250 bytes in `cup-pos`. Those of `crates/iso8583/examples/codec_speed.rs`.
const SALE: [(u8, &str); 20] = [
    (2, "6212345678901232"),
    (3, "000000"),
    (4, "000000012345"),
    (11, "000042"),
    (12, "224516"),
    (13, "1125"),
    (14, "3012"),
    (22, "051"),
    (23, "001"),
    (25, "00"),
    (26, "12"),
    (35, "6212345678901232=30122010000012300000"),
    (41, "12345678"),
    (42, "123456789012345"),
    (49, "156"),
    (52, "0102030405060708"),
    (53, "2600000000000000"),
    (
        55,
        "9F2608112233445566778895050080048000\
         9F2701809F101307010103A0A002010A010000000000ABCDEF01\
         9F3704112233449F36020047820278009C01009F1A0201569A032611259F02060000000123455F2A020156\
         9F03060000000000009F3303E0E1C89F34030203009F3501228408A0000003330101019F090200209F4104\
         00000042",
    ),
    (60, "22000007000500"),
    (64, "A1B2C3D4E5F60718"),
];

/// What the switch adds or replaces on the way to an issuer of `iso87-ascii`.
const ADDED: [(u8, &str); 10] = [
    (7, "1125224516"),
    (11, "234567"),
    (18, "5411"),
    (22, "051"),
    (23, "001"),
    (25, "00"),
    (32, "48031000"),
    (33, "48031000"),
    (37, "000001234567"),
    (43, "A SHOP IN TOWN"),
];

/// Fields that an issuer of `iso87-ascii` does not get.
const WITHHELD: [u8; 2] = [60, 64];

/// A dialect, and one message of it, read and unread.
#[derive(Debug)]
pub struct Sample {
    dialect: Dialect,
    frame: Bytes,
    message: Message,
}

impl Sample {
    /// The terminal's request, in `cup-pos`: 20 fields, packed digits, a header.
    ///
    /// # Errors
    /// The dialect does not take the message.
    pub fn terminal() -> Result<Self> {
        Self::new("cup-pos", sale()?)
    }

    /// The same as it goes to the issuer, in `iso87-ascii`: text all through.
    ///
    /// # Errors
    /// The dialect does not take the message.
    pub fn issuer() -> Result<Self> {
        let mut message = sale()?;
        for number in WITHHELD {
            message.remove(number);
        }
        for (number, text) in ADDED {
            message.set_text(number, text);
        }
        Self::new("iso87-ascii", message)
    }

    fn new(dialect: &str, message: Message) -> Result<Self> {
        let dialect = Dialect::shipped(dialect).context("no such dialect")?;
        let mut frame = BytesMut::new();
        message.encode(&dialect, &mut frame)?;
        let frame = frame.freeze();
        let message = Message::decode(&dialect, frame.clone())?;
        Ok(Self { dialect, frame, message })
    }

    /// The bytes, without a length header.
    #[must_use]
    pub const fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// Bytes to message.
    ///
    /// # Errors
    /// The bytes are no message.
    #[inline(never)]
    pub fn decode(&self) -> Result<Message, DecodeError> {
        Message::decode(&self.dialect, self.frame.clone())
    }

    /// Message to bytes, with a length header, in a buffer of its own. The values stand in the frame that was read.
    ///
    /// # Errors
    /// The message does not fit the dialect.
    #[inline(never)]
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        self.message.to_frame(&self.dialect, self.dialect.framing())
    }

    /// Decode, another trace number (11), encode with a length header.
    ///
    /// # Errors
    /// The bytes are no message.
    #[inline(never)]
    pub fn edit(&self) -> Result<Bytes> {
        let mut message = Message::decode(&self.dialect, self.frame.clone())?;
        message.set_text(11, "654321");
        Ok(message.to_frame(&self.dialect, self.dialect.framing())?)
    }
}

fn sale() -> Result<Message> {
    let mut message = Message::new(Mti::parse("0200")?);
    for (number, text) in SALE {
        message.set_text(number, text);
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_trace_number_changes_nothing_else() {
        for sample in [Sample::terminal(), Sample::issuer()] {
            let sample = sample.expect("a sample");
            let decoded = sample.decode().expect("a message");
            assert!(decoded.has(55) && decoded.fields().count() >= 20);
            let (same, edited) = (sample.encode().expect("bytes"), sample.edit().expect("bytes"));
            assert!(same.ends_with(sample.frame()) && same.len() == edited.len());
            assert!((1..=6).contains(&same.iter().zip(&edited).filter(|(a, b)| a != b).count()));
        }
    }
}

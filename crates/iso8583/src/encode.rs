//! From a message to the bytes of a dialect, appended to a buffer.

use bytes::{Bytes, BytesMut};

use crate::dialect::{Dialect, Secondary};
use crate::ebcdic;
use crate::error::{EncodeError, ErrorKind};
use crate::field::Encoding;
use crate::framing::Framing;
use crate::message::{Message, numbers};
use crate::sink::Sink;
use crate::word;

/// Room for nearly every message.
const USUAL: usize = 512;

impl Message {
    /// Appends the message to `to` as the dialect writes it, without a length header. Text shorter than
    /// a fixed field is filled with spaces; digits must be as many as the field has. A message without
    /// a header gets the dialect's usual one.
    ///
    /// # Errors
    /// The dialect has no such field, or the field cannot hold its value; `to` is as it was.
    pub fn encode(&self, dialect: &Dialect, to: &mut BytesMut) -> Result<(), EncodeError> {
        let start = to.len();
        to.reserve(self.frame.len().max(256));
        let mut sink = Sink::new(to);
        let result = self.encode_whole(dialect, &mut sink);
        sink.finish();
        if result.is_err() {
            to.truncate(start);
        }
        result
    }

    /// Appends the length header of the dialect's framing and the message.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and if the message is too long for the framing.
    pub fn encode_framed(&self, dialect: &Dialect, to: &mut BytesMut) -> Result<(), EncodeError> {
        self.encode_with(dialect, dialect.framing(), to)
    }

    /// Appends the length header of `framing` and the message.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and if the message is too long for the framing.
    pub fn encode_with(
        &self,
        dialect: &Dialect,
        framing: Framing,
        to: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let start = to.len();
        let result = self.encode_behind(dialect, framing, to);
        if result.is_err() {
            to.truncate(start);
        }
        result
    }

    /// The message with the length header of `framing`, in a buffer of its own.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and if the message is too long for the framing.
    pub fn to_frame(&self, dialect: &Dialect, framing: Framing) -> Result<Bytes, EncodeError> {
        let mut frame = BytesMut::with_capacity(USUAL.max(self.frame.len() * 2 + 64));
        self.encode_behind(dialect, framing, &mut frame)?;
        Ok(frame.freeze())
    }

    fn encode_behind(
        &self,
        dialect: &Dialect,
        framing: Framing,
        to: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let unframed = |error: crate::FramingError| EncodeError {
            field: None,
            kind: ErrorKind::Header,
            message: error.to_string(),
        };
        let start = to.len();
        framing.write(0, to).map_err(unframed)?;
        let body = to.len();
        self.encode(dialect, to)?;
        let length = to.len() - body;
        framing.write_at(length, to.get_mut(start..body).unwrap_or_default()).map_err(unframed)
    }

    fn encode_whole(&self, dialect: &Dialect, to: &mut Sink<'_>) -> Result<(), EncodeError> {
        let whole =
            |kind, message: &str| EncodeError { field: None, kind, message: message.into() };
        if !dialect.header().is_empty() {
            let header = self.header.as_ref().or_else(|| dialect.usual_header());
            let header = header.filter(|header| header.layout() == dialect.header());
            let expected = "not the parts of header that the dialect has";
            to.put(header.ok_or_else(|| whole(ErrorKind::Header, expected))?.as_bytes());
        }
        let mti @ [a, b, c, d] = self.mti.digits();
        match dialect.mti_encoding() {
            Encoding::Bcd => to.put_array([a << 4 | b & 0x0F, c << 4 | d & 0x0F]),
            Encoding::Ebcdic => to.put_array(mti.map(ebcdic::byte_of)),
            _ => to.put_array(mti),
        }
        put_bitmap(dialect, self.present, to)
            .map_err(|message| whole(ErrorKind::Bitmap, message))?;
        let [low, high] = self.present;
        for (bits, first) in [(low, 1), (high, 65)] {
            for number in numbers(bits, first) {
                let plan = dialect.plan(number);
                if !plan.is_some_and(|plan| plan.write(self, self.slot(number), to)) {
                    self.put_slowly(dialect, number, to)?;
                }
            }
        }
        Ok(())
    }

    /// Writes a field that the short road does not lead to.
    #[cold]
    fn put_slowly(
        &self,
        dialect: &Dialect,
        number: u8,
        to: &mut Sink<'_>,
    ) -> Result<(), EncodeError> {
        let mut bytes = BytesMut::new();
        let written = match dialect.field(number) {
            Some(spec) => self.put_field(spec, &mut bytes),
            None => Err((ErrorKind::Undefined, "not a field of this dialect".to_owned())),
        };
        let error = |(kind, message)| EncodeError { field: Some(number), kind, message };
        written.map_err(error)?;
        to.put(&bytes);
        Ok(())
    }
}

fn put_bitmap(dialect: &Dialect, present: [u64; 2], to: &mut Sink<'_>) -> Result<(), &'static str> {
    let [mut primary, secondary] = present.map(u64::reverse_bits);
    let both = match dialect.secondary() {
        Secondary::Never if secondary != 0 => {
            return Err("this dialect has one bitmap only, fields 2 to 64");
        }
        Secondary::Never => false,
        Secondary::OnBit1 => secondary != 0,
        Secondary::Always => true,
    };
    if both && dialect.secondary() == Secondary::OnBit1 {
        primary |= 1 << 63;
    }
    for bits in [Some(primary), both.then_some(secondary)].into_iter().flatten() {
        let bytes = bits.to_be_bytes();
        if dialect.bitmap_encoding() == Encoding::Raw {
            to.put_array(bytes);
            continue;
        }
        let mut text = [0; 16];
        word::write_hex(&bytes, &mut text);
        if dialect.bitmap_encoding() == Encoding::EbcdicHex {
            text = text.map(ebcdic::byte_of);
        }
        to.put_array(text);
    }
    Ok(())
}

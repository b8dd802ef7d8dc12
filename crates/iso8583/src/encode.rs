//! From a message to the bytes of a dialect, appended to a buffer.

use bytes::{BufMut, BytesMut};

use crate::decode::check;
use crate::dialect::{Dialect, Secondary};
use crate::digits::{Filler, hex_digit, hex_value, pack};
use crate::error::{EncodeError, ErrorKind};
use crate::field::{Content, Encoding, FieldSpec, Form, Length, Prefix};
use crate::message::Message;
use crate::tlv;

/// What is wrong with a value, before its field's number is known.
type Wrong = (ErrorKind, String);

fn wrong<T>(kind: ErrorKind, message: impl Into<String>) -> Result<T, Wrong> {
    Err((kind, message.into()))
}

impl Message {
    /// Appends the message to `to` as the dialect writes it, without a length header. Text shorter than
    /// a fixed field is filled with spaces; digits must be as many as the field has. A message without
    /// a header gets the dialect's usual one.
    ///
    /// # Errors
    /// The dialect has no such field, or the field cannot hold its value; `to` is as it was.
    pub fn encode(&self, dialect: &Dialect, to: &mut BytesMut) -> Result<(), EncodeError> {
        let start = to.len();
        let result = self.encode_whole(dialect, to);
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
        let mut body = BytesMut::with_capacity(self.frame.len().max(256));
        self.encode(dialect, &mut body)?;
        dialect.framing().write(body.len(), to).map_err(|error| EncodeError {
            field: None,
            kind: ErrorKind::Header,
            message: error.to_string(),
        })?;
        to.put_slice(&body);
        Ok(())
    }

    fn encode_whole(&self, dialect: &Dialect, to: &mut BytesMut) -> Result<(), EncodeError> {
        let whole =
            |kind, message: &str| EncodeError { field: None, kind, message: message.into() };
        to.reserve(self.frame.len().max(256));
        if !dialect.header().is_empty() {
            let header = self.header.as_ref().or_else(|| dialect.usual_header());
            let header = header.filter(|header| header.layout() == dialect.header());
            let expected = "not the parts of header that the dialect has";
            to.put_slice(header.ok_or_else(|| whole(ErrorKind::Header, expected))?.as_bytes());
        }
        let mti = self.mti.digits();
        if dialect.mti_is_bcd() {
            pack(mti.iter().map(|digit| digit - b'0'), Filler::Right, 0, |byte| to.put_u8(byte));
        } else {
            to.put_slice(&mti);
        }
        put_bitmap(dialect, self.present, to)
            .map_err(|message| whole(ErrorKind::Bitmap, message))?;
        for number in self.fields() {
            let written = match dialect.field(number) {
                Some(spec) => self.put_field(spec, to),
                None => wrong(ErrorKind::Undefined, "not a field of this dialect"),
            };
            written.map_err(|(kind, message)| EncodeError {
                field: Some(number),
                kind,
                message,
            })?;
        }
        Ok(())
    }

    fn put_field(&self, spec: &FieldSpec, to: &mut BytesMut) -> Result<(), Wrong> {
        let slot = self.slot(spec.number);
        if slot.form == Form::TooLong {
            return wrong(ErrorKind::Length, "longer than any field can be");
        }
        if slot.form == spec.form() {
            // bytes as they came, filler included, if they are what this field may hold
            let raw = self.raw(slot);
            let units = match slot.form {
                Form::Hex => raw.len() / 2,
                _ => usize::from(slot.len),
            };
            if spec.length.holds(units) && check(spec, raw, units).is_ok() {
                put_length(spec, units, to)?;
                to.put_slice(raw);
                return Ok(());
            }
        }
        if spec.content == Content::Binary {
            let Some(bytes) = self.bytes_for_binary(spec.number) else {
                return wrong(ErrorKind::Hex, "hexadecimal text expected");
            };
            if spec.tlv {
                tlv::check(&bytes).map_err(|fault| (fault.kind, fault.message))?;
            }
            put_length(spec, bytes.len(), to)?;
            if spec.encoding == Encoding::Hex {
                for byte in &*bytes {
                    to.put_slice(&[hex_digit(byte >> 4), hex_digit(*byte)]);
                }
            } else {
                to.put_slice(&bytes);
            }
            return Ok(());
        }
        put_text(spec, &self.text(spec.number).unwrap_or_default(), to)
    }

    /// The bytes of a value that stands as bytes, or as hexadecimal text.
    fn bytes_for_binary(&self, number: u8) -> Option<std::borrow::Cow<'_, [u8]>> {
        match self.slot(number).form {
            Form::Raw | Form::OwnBytes | Form::Hex => self.binary(number),
            _ => crate::digits::from_hex(self.text(number)?.as_bytes()).map(Into::into),
        }
    }
}

fn put_bitmap(dialect: &Dialect, present: u128, to: &mut BytesMut) -> Result<(), &'static str> {
    let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0).reverse_bits();
    let (mut primary, secondary) = (half(present), half(present >> 64));
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
        for byte in bits.to_be_bytes() {
            if dialect.bitmap_is_hex() {
                to.put_slice(&[hex_digit(byte >> 4), hex_digit(byte)]);
            } else {
                to.put_u8(byte);
            }
        }
    }
    Ok(())
}

/// Checks the number of units, and writes the prefix of a variable field.
fn put_length(spec: &FieldSpec, units: usize, to: &mut BytesMut) -> Result<(), Wrong> {
    let max = usize::from(spec.length.max());
    match spec.length {
        Length::Fixed(_) if units != max => {
            wrong(ErrorKind::Length, format!("{units} long, {max} expected"))
        }
        Length::Fixed(_) => Ok(()),
        Length::Variable { .. } if units > max => {
            wrong(ErrorKind::Length, format!("{units} long, at most {max} allowed"))
        }
        Length::Variable { prefix, .. } => {
            put_prefix(prefix, if prefix.nibbles { units * 2 } else { units }, to);
            Ok(())
        }
    }
}

fn put_prefix(prefix: Prefix, said: usize, to: &mut BytesMut) {
    let count = if prefix.bcd { prefix.len() * 2 } else { prefix.len() };
    let mut digits = [0; 8];
    let mut rest = said;
    for digit in digits.iter_mut().take(count).rev() {
        *digit = u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    let digits = digits.get(..count).unwrap_or(&[]);
    if prefix.bcd {
        pack(digits.iter().copied(), Filler::Left, 0, |byte| to.put_u8(byte));
    } else {
        digits.iter().for_each(|digit| to.put_u8(b'0' + digit));
    }
}

fn put_text(spec: &FieldSpec, text: &str, to: &mut BytesMut) -> Result<(), Wrong> {
    let good: fn(u8) -> bool = match spec.content {
        Content::Digits => |byte| byte.is_ascii_digit(),
        Content::Track => |byte| matches!(byte, b'0'..=b'?' | b'A'..=b'F'),
        Content::Signed => |byte| byte.is_ascii_digit() || matches!(byte, b'C' | b'D'),
        Content::Alphanumeric => |byte| (0x20..0x7F).contains(&byte),
        Content::Text | Content::Binary => |_| true,
    };
    if let Some(at) = text.bytes().position(|byte| !good(byte)) {
        let kind = match spec.content {
            Content::Digits => ErrorKind::Digits,
            _ => ErrorKind::Text,
        };
        return wrong(kind, format!("a character that it cannot have, at place {}", at + 1));
    }
    if spec.content == Content::Signed && text.bytes().skip(1).any(|byte| !byte.is_ascii_digit()) {
        return wrong(ErrorKind::Digits, "C or D and digits expected");
    }
    match spec.encoding {
        Encoding::Bcd => put_packed(spec, text, to),
        Encoding::Gbk => {
            let (bytes, _, unmapped) = encoding_rs::GBK.encode(text);
            if unmapped {
                return wrong(ErrorKind::Text, "a character that GBK does not have");
            }
            put_filled(spec, &bytes, to)
        }
        Encoding::Ascii if !text.is_ascii() => wrong(ErrorKind::Text, "ASCII expected"),
        Encoding::Ascii | Encoding::Raw | Encoding::Hex => put_filled(spec, text.as_bytes(), to),
    }
}

/// Text: what is shorter than a fixed field is filled with spaces on the right.
fn put_filled(spec: &FieldSpec, bytes: &[u8], to: &mut BytesMut) -> Result<(), Wrong> {
    let fills = matches!(spec.content, Content::Alphanumeric | Content::Text);
    let max = usize::from(spec.length.max());
    let spaces = match spec.length {
        Length::Fixed(_) if fills => max.saturating_sub(bytes.len()),
        Length::Fixed(_) | Length::Variable { .. } => 0,
    };
    put_length(spec, bytes.len() + spaces, to)?;
    to.put_slice(bytes);
    to.put_bytes(b' ', spaces);
    Ok(())
}

fn put_packed(spec: &FieldSpec, text: &str, to: &mut BytesMut) -> Result<(), Wrong> {
    put_length(spec, text.len(), to)?;
    let (sign, digits, filler) = match (spec.content, text.as_bytes().split_first()) {
        (Content::Signed, Some((sign @ (b'C' | b'D'), digits))) => {
            (Some(*sign), digits, Filler::Left)
        }
        (Content::Signed, _) => return wrong(ErrorKind::Text, "C or D and digits expected"),
        _ => (None, text.as_bytes(), spec.form().filler()),
    };
    if digits.iter().any(|byte| matches!(byte, b':'..=b'<' | b'>' | b'?')) {
        return wrong(ErrorKind::Text, "a character that cannot be packed");
    }
    sign.into_iter().for_each(|sign| to.put_u8(sign));
    let nibbles = digits.iter().map(|digit| hex_value(*digit).unwrap_or(0x0D));
    pack(nibbles, filler, spec.padding.nibble, |byte| to.put_u8(byte));
    Ok(())
}

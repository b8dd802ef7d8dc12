//! The long road from a value to the bytes of a field: every form that it may have, and what is wrong.

use bytes::{BufMut, BytesMut};

use crate::digits::{Filler, hex_digit, hex_value, pack};
use crate::ebcdic;
use crate::error::ErrorKind;
use crate::field::{Content, Encoding, FieldSpec, Length, LengthEncoding, Prefix, said};
use crate::form::Form;
use crate::gbk::to_gbk;
use crate::long::check;
use crate::message::Message;
use crate::tlv;

/// What is wrong with a value, before its field's number is known.
pub(crate) type Wrong = (ErrorKind, String);

fn wrong<T>(kind: ErrorKind, message: impl Into<String>) -> Result<T, Wrong> {
    Err((kind, message.into()))
}

impl Message {
    /// Appends the field of `spec`, which the message has.
    pub(crate) fn put_field(&self, spec: &FieldSpec, to: &mut BytesMut) -> Result<(), Wrong> {
        let slot = self.slot(spec.number);
        if slot.form == Form::TooLong {
            return wrong(ErrorKind::Length, "longer than any field can be");
        }
        if slot.form == spec.form() {
            // bytes as they came, filler included, if they are what this field may hold
            let raw = self.raw(slot);
            let units = match slot.form {
                Form::Hex | Form::EbcdicHex => raw.len() / 2,
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
            let hex = |byte: u8| [hex_digit(byte >> 4), hex_digit(byte)];
            match spec.encoding {
                Encoding::Hex => bytes.iter().for_each(|byte| to.put_slice(&hex(*byte))),
                Encoding::EbcdicHex => {
                    bytes.iter().for_each(|byte| to.put_slice(&hex(*byte).map(ebcdic::byte_of)));
                }
                _ => to.put_slice(&bytes),
            }
            return Ok(());
        }
        put_text(spec, &self.text(spec.number).unwrap_or_default(), to)
    }

    /// The bytes of a value that stands as bytes, or as hexadecimal text.
    fn bytes_for_binary(&self, number: u8) -> Option<std::borrow::Cow<'_, [u8]>> {
        match self.slot(number).form {
            Form::Raw | Form::Tlv | Form::OwnBytes | Form::Hex | Form::EbcdicHex => {
                self.binary(number)
            }
            _ => crate::digits::from_hex(self.text(number)?.as_bytes()).map(Into::into),
        }
    }
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
            put_prefix(prefix, said(spec.content, spec.encoding, prefix.counts, units), to);
            Ok(())
        }
    }
}

fn put_prefix(prefix: Prefix, said: usize, to: &mut BytesMut) {
    let count = match prefix.encoding {
        LengthEncoding::Bcd => prefix.len() * 2,
        LengthEncoding::Ascii | LengthEncoding::Ebcdic => prefix.len(),
        LengthEncoding::Binary => {
            let bytes = said.to_be_bytes();
            let from = bytes.len().saturating_sub(prefix.len());
            to.put_slice(bytes.get(from..).unwrap_or_default());
            return;
        }
    };
    let mut digits = [0; 8];
    let mut rest = said;
    for digit in digits.iter_mut().take(count).rev() {
        *digit = u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    let digits = digits.get(..count).unwrap_or(&[]);
    match prefix.encoding {
        LengthEncoding::Bcd => {
            pack(digits.iter().copied(), Filler::Left, 0, |byte| to.put_u8(byte));
        }
        LengthEncoding::Ebcdic => digits.iter().for_each(|digit| to.put_u8(0xF0 | digit)),
        LengthEncoding::Ascii | LengthEncoding::Binary => {
            digits.iter().for_each(|digit| to.put_u8(b'0' + digit));
        }
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
            let Some(bytes) = to_gbk(text) else {
                return wrong(ErrorKind::Text, "a character that GBK does not have");
            };
            put_filled(spec, &bytes, b' ', to)
        }
        Encoding::Ebcdic => {
            let byte = |c: char| u8::try_from(u32::from(c)).ok().map(ebcdic::byte_of);
            let Some(bytes) = text.chars().map(byte).collect::<Option<Vec<u8>>>() else {
                return wrong(ErrorKind::Text, "a character that EBCDIC does not have");
            };
            put_filled(spec, &bytes, ebcdic::SPACE, to)
        }
        Encoding::Ascii if !text.is_ascii() => wrong(ErrorKind::Text, "ASCII expected"),
        Encoding::Ascii | Encoding::Raw | Encoding::Hex | Encoding::EbcdicHex => {
            put_filled(spec, text.as_bytes(), b' ', to)
        }
    }
}

/// Text: what is shorter than a fixed field is filled with spaces on the right.
fn put_filled(spec: &FieldSpec, bytes: &[u8], space: u8, to: &mut BytesMut) -> Result<(), Wrong> {
    let fills = matches!(spec.content, Content::Alphanumeric | Content::Text);
    let max = usize::from(spec.length.max());
    let spaces = match spec.length {
        Length::Fixed(_) if fills => max.saturating_sub(bytes.len()),
        Length::Fixed(_) | Length::Variable { .. } => 0,
    };
    put_length(spec, bytes.len() + spaces, to)?;
    to.put_slice(bytes);
    to.put_bytes(space, spaces);
    Ok(())
}

fn put_packed(spec: &FieldSpec, text: &str, to: &mut BytesMut) -> Result<(), Wrong> {
    put_length(spec, text.len(), to)?;
    let (sign, digits, filler) = match (spec.content, text.as_bytes().split_first()) {
        (Content::Signed, Some((sign, digits))) => (Some(*sign), digits, Filler::Left),
        (Content::Signed, None) => return wrong(ErrorKind::Text, "C or D and digits expected"),
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

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use crate::digits::{from_hex, to_hex};
    use crate::{Dialect, Message, Mti};

    /// The field 48 of `spec` stands in a message as `wire`, and reads as `text`.
    fn check(spec: &str, text: &str, wire: &str) {
        let file = format!("base = \"cup-pos\"\nheader = {{}}\n[fields]\n48 = {{ {spec} }}");
        let dialect = Dialect::parse("test", &file).unwrap_or_else(|error| panic!("{error}"));
        let start = "02000000000000010000";
        let frame = from_hex(format!("{start}{wire}").as_bytes()).expect("hexadecimal");
        let read = Message::decode(&dialect, frame.into()).expect("sound");
        assert_eq!(read.text(48).as_deref(), Some(text), "{spec}");
        let mut set = Message::new(Mti::parse("0200").expect("digits"));
        set.set_text(48, text);
        for message in [&set, &read] {
            let mut bytes = BytesMut::new();
            message.encode(&dialect, &mut bytes).expect("what was read");
            assert_eq!(to_hex(&bytes), format!("{start}{wire}"), "{spec} {text}");
        }
    }

    #[test]
    fn lengths_are_counted_and_written_in_every_way() {
        for (spec, text, wire) in [
            // packed digits, an odd number of them on either side
            (r#"content = "n", prefix = 2, max = 9"#, "12345", "05123450"),
            (r#"content = "n", prefix = 2, max = 9, pad = "left""#, "12345", "05012345"),
            (
                r#"content = "n", prefix = 2, max = 9, pad = "left", pad_digit = "F""#,
                "12345",
                "05F12345",
            ),
            // a prefix that counts bytes
            (
                r#"content = "n", prefix = 2, max = 9, prefix_counts = "bytes""#,
                "123456",
                "03123456",
            ),
            (
                r#"content = "n", prefix = 2, max = 9, prefix_counts = "bytes", pad_digit = "F""#,
                "12345",
                "0312345F",
            ),
            (
                r#"content = "n", prefix = 2, max = 5, prefix_counts = "bytes", pad = "left""#,
                "12345",
                "03012345",
            ),
            (
                r#"content = "z", prefix = 2, max = 9, prefix_counts = "bytes", pad_digit = "F""#,
                "12=45",
                "0312D45F",
            ),
            (
                r#"content = "x+n", prefix = 2, max = 9, prefix_counts = "bytes""#,
                "C1234",
                "03431234",
            ),
            (
                r#"content = "b", encoding = "hex", prefix = 2, max = 9, prefix_counts = "bytes""#,
                "0AFF",
                "0430414646",
            ),
            (r#"content = "b", prefix = 2, max = 9, prefix_counts = "nibbles""#, "0AFF", "040AFF"),
            // binary prefixes
            (
                r#"content = "an", prefix = 1, max = 255, prefix_encoding = "binary""#,
                "0123456789",
                "0A30313233343536373839",
            ),
            (r#"content = "n", prefix = 2, max = 999, prefix_encoding = "binary""#, "12", "000212"),
            // EBCDIC
            (
                r#"content = "ans", encoding = "ebcdic", prefix = 2, max = 9, prefix_encoding = "ebcdic""#,
                "A é",
                "F0F3C14051",
            ),
            (r#"content = "an", encoding = "ebcdic", length = 4"#, "A1  ", "C1F14040"),
            (r#"content = "z", encoding = "ebcdic", prefix = 2, max = 9"#, "12=3", "04F1F27EF3"),
            (r#"content = "x+n", encoding = "ebcdic", length = 3"#, "D12", "C4F1F2"),
            (r#"content = "b", encoding = "ebcdic-hex", length = 2"#, "0AFF", "F0C1C6C6"),
            // a digit in the place of a sign
            (r#"content = "x+n", length = 3"#, "012", "3012"),
        ] {
            check(spec, text, wire);
        }
    }

    #[test]
    fn what_an_encoding_does_not_have_is_refused() {
        for (spec, text) in [
            (r#"content = "ans", encoding = "ebcdic", prefix = 2, max = 9"#, "商"),
            (r#"content = "an", encoding = "ebcdic", prefix = 2, max = 9"#, "é"),
            (r#"content = "n", encoding = "ebcdic", prefix = 2, max = 9"#, "1A"),
            (r#"content = "b", encoding = "ebcdic-hex", length = 2"#, "0AF"),
        ] {
            let file = format!("base = \"cup-pos\"\nheader = {{}}\n[fields]\n48 = {{ {spec} }}");
            let dialect = Dialect::parse("test", &file).unwrap_or_else(|error| panic!("{error}"));
            let mut message = Message::new(Mti::parse("0200").expect("digits"));
            message.set_text(48, text);
            assert!(message.encode(&dialect, &mut BytesMut::new()).is_err(), "{spec} {text}");
        }
    }
}

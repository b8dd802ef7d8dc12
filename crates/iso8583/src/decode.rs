//! From the bytes of a frame to a message, in one pass and without an allocation a field.

use bytes::Bytes;

use crate::dialect::{Dialect, Secondary};
use crate::digits::{Filler, both_decimal, hex_digit, hex_value};
use crate::error::{DecodeError, ErrorKind, Fault};
use crate::field::{Content, Encoding, FieldSpec, Form, Length, Prefix};
use crate::header::Header;
use crate::message::{Message, Slot};
use crate::mti::Mti;
use crate::reader::Reader;
use crate::tlv;

impl Message {
    /// The message in `frame` (without its length header).
    ///
    /// The frame is kept, not copied. Time is linear in its length; nothing is allocated.
    ///
    /// # Errors
    /// The bytes are no message of the dialect: the first fault with its field and offset, and what
    /// could be read all the same.
    pub fn decode(dialect: &Dialect, frame: Bytes) -> Result<Self, DecodeError> {
        let bytes = frame.clone();
        let mut reader = Reader::new(&bytes);
        let mut message = Self::new(Mti::ZERO);
        message.frame = frame;
        let start = |message: &mut Self, reader: &mut Reader<'_>| -> Result<u128, Fault> {
            message.header = read_header(dialect, reader)?;
            message.mti = read_mti(dialect, reader)?;
            read_bitmap(dialect, reader)
        };
        let bits = match start(&mut message, &mut reader) {
            Ok(bits) => bits,
            Err(fault) => {
                return Err(DecodeError {
                    field: None,
                    offset: fault.at,
                    kind: fault.kind,
                    message: fault.message,
                    partial: None,
                });
            }
        };
        let first = message.read_fields(dialect, &mut reader, bits);
        let trailing = || {
            let left = reader.left();
            let found = format!("{left} bytes after the last field");
            (left > 0).then(|| (None, Fault::new(ErrorKind::Trailing, reader.at(), found)))
        };
        match first.or_else(trailing) {
            None => Ok(message),
            Some((field, fault)) => Err(DecodeError {
                field,
                offset: fault.at.min(bytes.len()),
                kind: fault.kind,
                message: fault.message,
                partial: Some(Box::new(message)),
            }),
        }
    }

    /// Reads the fields of `bits`; says the first fault. Reading goes on after a fault whose field has a
    /// known length, so that as much as possible of a broken message can still be answered.
    fn read_fields(
        &mut self,
        dialect: &Dialect,
        reader: &mut Reader<'_>,
        bits: u128,
    ) -> Option<(Option<u8>, Fault)> {
        let mut first = None;
        let mut left = bits;
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            let number = u8::try_from(bit + 1).unwrap_or(0);
            let Some(spec) = dialect.field(number) else {
                let fault = Fault::new(
                    ErrorKind::Undefined,
                    reader.at(),
                    "not a field of this dialect; what follows it cannot be found",
                );
                return first.or(Some((Some(number), fault)));
            };
            match read_field(spec, reader) {
                Ok((slot, sound)) => match sound {
                    Ok(()) => {
                        if let Some(place) = self.slots.get_mut(usize::from(number)) {
                            *place = slot;
                            self.present |= 1 << bit;
                        }
                    }
                    Err(fault) => first = first.or(Some((Some(number), fault))),
                },
                Err(fault) => return first.or(Some((Some(number), fault))),
            }
        }
        first
    }
}

fn read_header(dialect: &Dialect, reader: &mut Reader<'_>) -> Result<Option<Header>, Fault> {
    let layout = dialect.header();
    if layout.is_empty() {
        return Ok(None);
    }
    let (need, left) = (layout.len(), reader.left());
    let cut = || {
        let message = format!("a header of {need} bytes expected, {left} found");
        Fault::new(ErrorKind::Header, reader.at(), message)
    };
    let bytes = reader.clone().take(need).ok_or_else(cut)?;
    reader.take(need);
    Ok(Header::read(layout, bytes))
}

fn read_mti(dialect: &Dialect, reader: &mut Reader<'_>) -> Result<Mti, Fault> {
    let at = reader.at();
    let fault = || Fault::new(ErrorKind::Mti, at, "a message type of four digits expected");
    if dialect.mti_is_bcd() {
        let packed = reader.take(2).ok_or_else(fault)?;
        let mut digits = [0; 4];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(packed) {
            *pair = [hex_digit(byte >> 4), hex_digit(*byte)];
        }
        Mti::from_digits(&digits).ok_or_else(fault)
    } else {
        Mti::from_digits(reader.take(4).ok_or_else(fault)?).ok_or_else(fault)
    }
}

/// The bits of the fields, bit n - 1 for field n, without the one for the secondary bitmap.
fn read_bitmap(dialect: &Dialect, reader: &mut Reader<'_>) -> Result<u128, Fault> {
    let at = reader.at();
    let primary = read_bits(dialect.bitmap_is_hex(), reader)?;
    let extended = primary >> 63 == 1;
    let more = match dialect.secondary() {
        Secondary::Never if extended => {
            let message = "bit 1 is set, and this dialect has one bitmap only";
            return Err(Fault::new(ErrorKind::Bitmap, at, message));
        }
        Secondary::Never => false,
        Secondary::OnBit1 => extended,
        Secondary::Always => true,
    };
    let secondary_at = reader.at();
    let secondary = if more { read_bits(dialect.bitmap_is_hex(), reader)? } else { 0 };
    if secondary >> 63 == 1 {
        let message = "bit 65 is set, and there is no third bitmap";
        return Err(Fault::new(ErrorKind::Bitmap, secondary_at, message));
    }
    let both = u128::from(primary.reverse_bits()) | u128::from(secondary.reverse_bits()) << 64;
    Ok(both & !1)
}

fn read_bits(hex: bool, reader: &mut Reader<'_>) -> Result<u64, Fault> {
    let at = reader.at();
    let need = if hex { 16 } else { 8 };
    let bytes = reader.take(need).ok_or_else(|| {
        let message = format!("a bitmap of {need} bytes expected, {} found", reader.left());
        Fault::new(ErrorKind::Bitmap, at, message)
    })?;
    if !hex {
        return Ok(bytes.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte)));
    }
    let mut bits = 0;
    for (index, digit) in bytes.iter().enumerate() {
        let value = hex_value(*digit).filter(|_| !digit.is_ascii_lowercase()).ok_or_else(|| {
            let message = "a bitmap of upper-case hexadecimal digits expected";
            Fault::new(ErrorKind::Bitmap, at + index, message)
        })?;
        bits = bits << 4 | u64::from(value);
    }
    Ok(bits)
}

/// Reads one field. The outer error leaves no place to go on from; the inner one does.
fn read_field(
    spec: &FieldSpec,
    reader: &mut Reader<'_>,
) -> Result<(Slot, Result<(), Fault>), Fault> {
    let start = reader.at();
    let (units, fits) = match spec.length {
        Length::Fixed(units) => (usize::from(units), Ok(())),
        Length::Variable { prefix, max } => {
            let units = read_prefix(spec, prefix, reader)?;
            let fits = if units > usize::from(max) {
                let message = format!("length {units}, at most {max} allowed");
                Err(Fault::new(ErrorKind::Length, start, message))
            } else {
                Ok(())
            };
            (units, fits)
        }
    };
    let (at, need, left) = (reader.at(), spec.wire_length(units), reader.left());
    let Some(raw) = reader.take(need) else {
        fits?;
        let message = format!("{need} bytes expected, {left} left");
        return Err(Fault::new(ErrorKind::Truncated, at, message));
    };
    let form = spec.form();
    let len = match form {
        Form::Hex | Form::Ascii | Form::Gbk | Form::Raw => need,
        _ => units,
    };
    let slot = match (u32::try_from(at), u16::try_from(len)) {
        (Ok(at), Ok(len)) => Slot { at, len, form },
        _ => return Err(Fault::new(ErrorKind::Length, start, "longer than any field can be")),
    };
    let sound = fits.and_then(|()| {
        check(spec, raw, units).map_err(|fault| Fault { at: at + fault.at, ..fault })
    });
    Ok((slot, sound))
}

fn read_prefix(spec: &FieldSpec, prefix: Prefix, reader: &mut Reader<'_>) -> Result<usize, Fault> {
    let at = reader.at();
    let fault = |message| Fault::new(ErrorKind::Length, at, message);
    let bytes = reader.take(prefix.len()).ok_or_else(|| {
        Fault::new(ErrorKind::Truncated, at, "the message ends before the length of the field")
    })?;
    let mut units = 0;
    for &byte in bytes {
        units = if prefix.bcd && both_decimal(byte) {
            units * 100 + usize::from(byte >> 4) * 10 + usize::from(byte & 0x0F)
        } else if !prefix.bcd && byte.is_ascii_digit() {
            units * 10 + usize::from(byte - b'0')
        } else {
            return Err(fault("the length is not a number"));
        };
    }
    if !prefix.nibbles {
        return Ok(units);
    }
    if units % 2 == 1 && spec.content == Content::Binary {
        return Err(fault("an odd number of nibbles"));
    }
    Ok(units.div_ceil(2))
}

/// Where the first byte stands that is not `good`. All are looked at at once, since nearly all are good.
fn first_bad(raw: &[u8], good: impl Fn(u8) -> bool) -> Option<usize> {
    let all = raw.iter().fold(true, |all, byte| all & good(*byte));
    if all { None } else { raw.iter().position(|byte| !good(*byte)) }
}

/// Whether the bytes are what the field may hold.
pub(crate) fn check(spec: &FieldSpec, raw: &[u8], units: usize) -> Result<(), Fault> {
    let (bad, kind, expected) = match (spec.content, spec.encoding) {
        (Content::Digits, Encoding::Bcd) => return check_packed(raw, units, spec.form().filler()),
        (Content::Track, Encoding::Bcd) => return Ok(()),
        (Content::Signed, encoding) => return check_signed(raw, units, encoding),
        (Content::Text, Encoding::Gbk) => return check_gbk(raw),
        (Content::Digits, _) => {
            (first_bad(raw, |byte| byte.is_ascii_digit()), ErrorKind::Digits, "digits expected")
        }
        (Content::Track, _) => {
            let good = |byte| matches!(byte, b'0'..=b'?' | b'A'..=b'F');
            (first_bad(raw, good), ErrorKind::Text, "a character of a track expected")
        }
        (Content::Alphanumeric, _) => {
            let good = |byte| matches!(byte, b' '..=b'~');
            (first_bad(raw, good), ErrorKind::Text, "printable ASCII expected")
        }
        (Content::Text, _) => {
            (first_bad(raw, |byte| byte.is_ascii()), ErrorKind::Text, "ASCII expected")
        }
        (Content::Binary, Encoding::Hex) => {
            let good = |byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
            (first_bad(raw, good), ErrorKind::Hex, "upper-case hexadecimal digits expected")
        }
        (Content::Binary, _) if spec.tlv => return tlv::check(raw),
        (Content::Binary, _) => return Ok(()),
    };
    bad.map_or(Ok(()), |at| Err(Fault::new(kind, at, expected)))
}

fn check_packed(raw: &[u8], units: usize, filler: Filler) -> Result<(), Fault> {
    let odd = !units.is_multiple_of(2);
    let fault = |at, message| Err(Fault::new(ErrorKind::Digits, at, message));
    // the nibble after the last digit is not looked at: terminals fill it with 0 or F
    let (whole, last) = match raw.split_last() {
        Some((last, whole)) if odd && filler == Filler::Right => (whole, Some(last)),
        _ => (raw, None),
    };
    if let Some(at) = first_bad(whole, both_decimal) {
        return fault(at, "a nibble that is no digit");
    }
    match (last, whole.first()) {
        (Some(last), _) if last >> 4 > 9 => fault(whole.len(), "a nibble that is no digit"),
        // a digit in the place of the filler before the first would be lost
        (None, Some(first)) if odd && first >> 4 != 0 => fault(0, "one digit too many"),
        _ => Ok(()),
    }
}

/// A sign and digits; some hosts send a digit in the sign's place.
fn check_signed(raw: &[u8], units: usize, encoding: Encoding) -> Result<(), Fault> {
    let Some((sign, rest)) = raw.split_first() else { return Ok(()) };
    let packed = encoding == Encoding::Bcd;
    if !matches!(sign, b'C' | b'D') && (packed || !sign.is_ascii_digit()) {
        return Err(Fault::new(ErrorKind::Text, 0, "C or D expected"));
    }
    if packed {
        return check_packed(rest, units.saturating_sub(1), Filler::Left)
            .map_err(|fault| Fault { at: fault.at + 1, ..fault });
    }
    match first_bad(rest, |byte| byte.is_ascii_digit()) {
        None => Ok(()),
        Some(at) => Err(Fault::new(ErrorKind::Digits, at + 1, "digits expected after the sign")),
    }
}

/// Chinese text that comes back as the same bytes.
fn check_gbk(raw: &[u8]) -> Result<(), Fault> {
    let Some(at) = raw.iter().position(|byte| !byte.is_ascii()) else { return Ok(()) };
    let gbk = encoding_rs::GBK;
    let lossless = gbk
        .decode_without_bom_handling_and_without_replacement(raw)
        .is_some_and(|text| *gbk.encode(&text).0 == *raw);
    if lossless { Ok(()) } else { Err(Fault::new(ErrorKind::Text, at, "text in GBK expected")) }
}

//! The long road through a field: all that may be asked of its bytes, and what is wrong with them and where.

use crate::digits::{Filler, both_decimal};
use crate::error::{ErrorKind, Fault};
use crate::field::{Content, Encoding, FieldSpec, Length, Prefix};
use crate::form::Form;
use crate::reader::Reader;
use crate::slots::Slot;
use crate::tlv;

/// Reads one field. The outer error leaves no place to go on from; the inner one does.
pub(crate) fn read_field(
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
    let len = if form == Form::Hex { need } else { units };
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

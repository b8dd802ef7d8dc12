//! The long road through a field: all that may be asked of its bytes, and what is wrong with them and where.

use crate::digits::{Filler, both_decimal};
use crate::ebcdic;
use crate::error::{ErrorKind, Fault};
use crate::field::{Content, Counts, Encoding, FieldSpec, Length, LengthEncoding, Prefix};
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
            let said = read_prefix(prefix, reader)?;
            let units = units(spec, prefix.counts, said, reader)
                .ok_or_else(|| Fault::new(ErrorKind::Length, start, "an odd length"))?;
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
    let len = if matches!(form, Form::Hex | Form::EbcdicHex) { need } else { units };
    let slot = match (u32::try_from(at), u16::try_from(len)) {
        (Ok(at), Ok(len)) => Slot { at, len, form },
        _ => return Err(Fault::new(ErrorKind::Length, start, "longer than any field can be")),
    };
    let sound = fits.and_then(|()| {
        check(spec, raw, units).map_err(|fault| Fault { at: at + fault.at, ..fault })
    });
    Ok((slot, sound))
}

/// The number that a length prefix says.
fn read_prefix(prefix: Prefix, reader: &mut Reader<'_>) -> Result<usize, Fault> {
    let at = reader.at();
    let bytes = reader.take(prefix.len()).ok_or_else(|| {
        Fault::new(ErrorKind::Truncated, at, "the message ends before the length of the field")
    })?;
    let mut said = 0;
    for &byte in bytes {
        said = match prefix.encoding {
            LengthEncoding::Bcd if both_decimal(byte) => {
                said * 100 + usize::from(byte >> 4) * 10 + usize::from(byte & 0x0F)
            }
            LengthEncoding::Ascii if byte.is_ascii_digit() => said * 10 + usize::from(byte - b'0'),
            LengthEncoding::Ebcdic if byte >= 0xF0 && both_decimal(byte & 0x0F) => {
                said * 10 + usize::from(byte & 0x0F)
            }
            LengthEncoding::Binary => said << 8 | usize::from(byte),
            LengthEncoding::Bcd | LengthEncoding::Ascii | LengthEncoding::Ebcdic => {
                return Err(Fault::new(ErrorKind::Length, at, "the length is not a number"));
            }
        };
    }
    Ok(said)
}

/// The units of the value that comes next, by what its length prefix says; nothing if that is half a unit.
fn units(spec: &FieldSpec, counts: Counts, said: usize, reader: &Reader<'_>) -> Option<usize> {
    match counts {
        Counts::Units => Some(said),
        Counts::Nibbles if said % 2 == 1 && spec.content == Content::Binary => None,
        Counts::Nibbles => Some(said.div_ceil(2)),
        Counts::Bytes => {
            let units = spec.units_in(said)?;
            let odd = spec.encoding == Encoding::Bcd
                && said > 0
                && (units == usize::from(spec.length.max()) + 1 || filled(spec, said, reader));
            Some(units - usize::from(odd))
        }
    }
}

/// Whether the packed value that comes next, of so many bytes, has a filler of F.
fn filled(spec: &FieldSpec, bytes: usize, reader: &Reader<'_>) -> bool {
    let sign = usize::from(spec.content == Content::Signed);
    let value = reader.whole().get(reader.at()..).and_then(|rest| rest.get(sign..bytes));
    let Some(value) = value else { return false };
    match spec.form().filler() {
        Filler::Left => value.first().is_some_and(|first| *first >= 0xF0),
        Filler::Right => value.last().is_some_and(|last| last & 0x0F == 0x0F),
    }
}

/// Where the first byte stands that is not `good`. All are looked at at once, since nearly all are good.
fn first_bad(raw: &[u8], good: impl Fn(u8) -> bool) -> Option<usize> {
    let all = raw.iter().fold(true, |all, byte| all & good(*byte));
    if all { None } else { raw.iter().position(|byte| !good(*byte)) }
}

/// Whether the bytes are what the field may hold.
pub(crate) fn check(spec: &FieldSpec, raw: &[u8], units: usize) -> Result<(), Fault> {
    let ebcdic = matches!(spec.encoding, Encoding::Ebcdic | Encoding::EbcdicHex);
    let read = |byte| if ebcdic { ebcdic::latin(byte) } else { byte };
    let (bad, kind, expected) = match (spec.content, spec.encoding) {
        (Content::Digits, Encoding::Bcd) => return check_packed(spec, raw, units),
        (Content::Track, Encoding::Bcd) | (Content::Text, Encoding::Ebcdic) => return Ok(()),
        (Content::Signed, _) => return check_signed(spec, raw, units),
        (Content::Text, Encoding::Gbk) => return check_gbk(raw),
        (Content::Digits, _) => {
            let good = |byte| read(byte).is_ascii_digit();
            (first_bad(raw, good), ErrorKind::Digits, "digits expected")
        }
        (Content::Track, _) => {
            let good = |byte| matches!(read(byte), b'0'..=b'?' | b'A'..=b'F');
            (first_bad(raw, good), ErrorKind::Text, "a character of a track expected")
        }
        (Content::Alphanumeric, _) => {
            let good = |byte| matches!(read(byte), b' '..=b'~');
            (first_bad(raw, good), ErrorKind::Text, "printable ASCII expected")
        }
        (Content::Text, _) => {
            (first_bad(raw, |byte| byte.is_ascii()), ErrorKind::Text, "ASCII expected")
        }
        (Content::Binary, Encoding::Hex | Encoding::EbcdicHex) => {
            let good = |byte| matches!(read(byte), b'0'..=b'9' | b'A'..=b'F');
            (first_bad(raw, good), ErrorKind::Hex, "upper-case hexadecimal digits expected")
        }
        (Content::Binary, _) if spec.tlv => return tlv::check(raw),
        (Content::Binary, _) => return Ok(()),
    };
    bad.map_or(Ok(()), |at| Err(Fault::new(kind, at, expected)))
}

fn check_packed(spec: &FieldSpec, raw: &[u8], units: usize) -> Result<(), Fault> {
    let odd = !units.is_multiple_of(2);
    let fault = |at, message| Err(Fault::new(ErrorKind::Digits, at, message));
    let no_digit = "a nibble that is no digit";
    if !odd {
        return first_bad(raw, both_decimal).map_or(Ok(()), |at| fault(at, no_digit));
    }
    match (spec.form().filler(), raw.split_first(), raw.split_last()) {
        (Filler::Left, Some((first, rest)), _) => {
            // a digit in the place of the filler before the first would be lost
            let filler = first >> 4;
            match first_bad(rest, both_decimal) {
                _ if first & 0x0F > 9 => fault(0, no_digit),
                Some(at) => fault(at + 1, no_digit),
                None if filler != 0 && filler != spec.padding.nibble => {
                    fault(0, "one digit too many")
                }
                None => Ok(()),
            }
        }
        // the nibble after the last digit is not looked at: terminals fill it with 0 or F
        (Filler::Right, _, Some((last, whole))) => match first_bad(whole, both_decimal) {
            Some(at) => fault(at, no_digit),
            None if last >> 4 > 9 => fault(whole.len(), no_digit),
            None => Ok(()),
        },
        (Filler::Left | Filler::Right, ..) => Ok(()),
    }
}

/// A sign and digits; some hosts send a digit in the sign's place.
fn check_signed(spec: &FieldSpec, raw: &[u8], units: usize) -> Result<(), Fault> {
    let Some((sign, rest)) = raw.split_first() else { return Ok(()) };
    let ebcdic = spec.encoding == Encoding::Ebcdic;
    let read = |byte| if ebcdic { ebcdic::latin(byte) } else { byte };
    if !matches!(read(*sign), b'C' | b'D' | b'0'..=b'9') {
        return Err(Fault::new(ErrorKind::Text, 0, "C or D expected"));
    }
    if spec.encoding == Encoding::Bcd {
        return check_packed(spec, rest, units.saturating_sub(1))
            .map_err(|fault| Fault { at: fault.at + 1, ..fault });
    }
    match first_bad(rest, |byte| read(byte).is_ascii_digit()) {
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

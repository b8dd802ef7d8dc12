//! Tags, lengths and values of chip card data (BER-TLV, data element 55), one level deep.

use crate::digits::from_hex;
use crate::error::{ErrorKind, Fault};
use crate::reader::Reader;

/// One tag and its value, both as they stand in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The bytes of the tag, one to four.
    pub tag: &'a [u8],
    /// The value; that of a constructed tag is not taken apart.
    pub value: &'a [u8],
}

/// Goes through tags and values in wire order; stops at the end or at the first fault.
#[derive(Debug, Clone)]
pub struct TlvIter<'a> {
    reader: Reader<'a>,
    whole: &'a [u8],
}

impl<'a> TlvIter<'a> {
    /// Goes through `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), whole: bytes }
    }

    /// Whether `bytes` are tags and values to the last byte.
    #[must_use]
    pub fn is_sound(bytes: &'a [u8]) -> bool {
        are_short(bytes) || check(bytes).is_ok()
    }

    fn read(&mut self) -> Result<Tlv<'a>, Fault> {
        let start = self.reader.at();
        let fault = |message| Fault::new(ErrorKind::Tlv, start, message);
        let first = self.reader.byte().ok_or_else(|| fault("no tag"))?;
        if first & 0x1F == 0x1F {
            loop {
                let next = self.reader.byte().ok_or_else(|| fault("the tag is cut off"))?;
                if self.reader.at() - start > 4 {
                    return Err(fault("a tag of more than four bytes"));
                }
                if next & 0x80 == 0 {
                    break;
                }
            }
        }
        let tag = self.whole.get(start..self.reader.at()).unwrap_or(&[]);
        let cut = || fault("the length of the tag's value is cut off");
        let length = match self.reader.byte().ok_or_else(cut)? {
            short @ 0..=0x7F => usize::from(short),
            0x81 => usize::from(self.reader.byte().ok_or_else(cut)?),
            0x82 => {
                let high = self.reader.byte().ok_or_else(cut)?;
                usize::from(high) << 8 | usize::from(self.reader.byte().ok_or_else(cut)?)
            }
            _ => return Err(fault("a length of a form that is not used")),
        };
        let left = self.reader.left();
        let value = self.reader.take(length).ok_or_else(|| {
            let message = format!("a value of {length} bytes where {left} are left");
            Fault::new(ErrorKind::Tlv, start, message)
        })?;
        Ok(Tlv { tag, value })
    }
}

impl<'a> Iterator for TlvIter<'a> {
    type Item = Tlv<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.reader.at();
        let rest = self.whole.get(at..).unwrap_or_default();
        let short = match rest {
            [] => return None,
            [tag, length @ 0..=0x7F, ..] if tag & 0x1F != 0x1F => Some((1, usize::from(*length))),
            [tag, 0..=0x7F, length @ 0..=0x7F, ..] if tag & 0x1F == 0x1F => {
                Some((2, usize::from(*length)))
            }
            _ => None,
        };
        if let Some((tag, length)) = short
            && let Some((tag, value)) = rest.split_at_checked(tag)
            && let Some(value) = value.get(1..=length)
        {
            self.reader.skip_to(at + tag.len() + 1 + length);
            return Some(Tlv { tag, value });
        }
        let read = self.read().ok();
        if read.is_none() {
            self.reader.skip_to(self.whole.len());
        }
        read
    }
}

/// Whether `bytes` are tags and values to the last byte.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Fault> {
    let mut iter = TlvIter::new(bytes);
    while iter.reader.left() > 0 {
        iter.read()?;
    }
    Ok(())
}

/// Whether `bytes` are tags of one or two bytes, lengths of one, and values, to the last byte: nearly all
/// are, and this is quickly seen. What is not may still be sound.
#[inline]
pub(crate) fn are_short(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        let (length, value) = match rest {
            [] => return true,
            [tag, length, value @ ..] if tag & 0x1F != 0x1F => (*length, value),
            [_, more, length, value @ ..] if *more < 0x80 => (*length, value),
            _ => return false,
        };
        match value.get(usize::from(length)..) {
            Some(next) if length < 0x80 => rest = next,
            _ => return false,
        }
    }
}

/// Appends the tag written in hexadecimal, the length in its shortest form, and the value.
pub(crate) fn push(tag: &str, value: &[u8], to: &mut Vec<u8>) -> Result<(), Fault> {
    let bad = |message: &str| Fault::new(ErrorKind::Tlv, 0, message);
    let tag = from_hex(tag.as_bytes()).ok_or_else(|| bad("a tag is hexadecimal text"))?;
    let mut probe = tag.clone();
    probe.push(0);
    let whole = TlvIter::new(&probe).next().is_some_and(|tlv| tlv.tag == tag);
    if !whole {
        return Err(bad("not one whole tag"));
    }
    to.extend_from_slice(&tag);
    match u16::try_from(value.len()).map(u16::to_be_bytes) {
        Ok([0, short @ 0..=0x7F]) => to.push(short),
        Ok([0, long]) => to.extend_from_slice(&[0x81, long]),
        Ok([high, low]) => to.extend_from_slice(&[0x82, high, low]),
        Err(_) => return Err(bad("a value of more than 65535 bytes")),
    }
    to.extend_from_slice(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_values_come_in_wire_order() {
        let bytes =
            from_hex(b"9F2608112233445566778895009F3602004782810101DF812901AA").expect("hex");
        let mut again = Vec::new();
        let tags: Vec<_> = TlvIter::new(&bytes).map(|tlv| crate::digits::to_hex(tlv.tag)).collect();
        assert_eq!(tags, ["9F26", "95", "9F36", "82", "DF8129"]);
        assert_eq!(check(&bytes), Ok(()));
        assert!(are_short(&bytes[..18]) && !are_short(&bytes));
        for (tag, value) in [("9F26", &[1_u8; 8][..]), ("95", &[]), ("DF8129", &[7; 200])] {
            push(tag, value, &mut again).expect("a tag");
        }
        assert_eq!(TlvIter::new(&again).last().map(|tlv| tlv.value.len()), Some(200));
    }

    #[test]
    fn what_overruns_is_refused_with_its_place() {
        for (hex, at) in [
            ("9F26", 0),
            ("9F", 0),
            ("95059F", 0),
            ("82023900950500", 4),
            ("9580", 0),
            ("958300000100", 0),
            ("9581", 0),
            ("DFFFFFFFFFFF0100", 0),
        ] {
            let fault = check(&from_hex(hex.as_bytes()).expect("hex")).expect_err(hex);
            assert_eq!((fault.kind, fault.at), (ErrorKind::Tlv, at), "{hex}");
            let bytes = from_hex(hex.as_bytes()).expect("hex");
            assert!(!are_short(&bytes), "{hex}");
            let sound = [&[0x82, 2, 0, 0x39][..], &bytes].concat();
            assert_eq!(TlvIter::new(&sound).count(), if at == 0 { 1 } else { 2 }, "{hex}");
        }
        for tag in ["9F", "9", "9F2695", "", "xx"] {
            assert!(push(tag, &[], &mut Vec::new()).is_err(), "{tag}");
        }
    }
}

//! One message: the frame that it came in, where its fields stand, and what was set since.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::card::{Pan, PinBlock, Track2};
use crate::digits::{Filler, from_hex, hex_digit, nibbles, to_hex};
use crate::field::Form;
use crate::header::Header;
use crate::mti::Mti;
use crate::tlv::TlvIter;
use crate::value::Stan;

/// Where one value stands: in the frame if it was read, in `own` if it was set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) at: u32,
    /// Digits or characters of a packed value, bytes of every other.
    pub(crate) len: u16,
    pub(crate) form: Form,
}

impl Slot {
    pub(crate) const ABSENT: Self = Self { at: 0, len: 0, form: Form::Absent };
}

/// An ISO 8583 message.
///
/// A decoded one keeps the frame that it came in and reads a field from there when it is asked for:
/// decoding allocates nothing. Setting a field leaves the frame as it is. Values are text as it reads,
/// digits without filler, tracks with `=`, and bytes.
#[derive(Clone)]
pub struct Message {
    pub(crate) mti: Mti,
    pub(crate) header: Option<Header>,
    pub(crate) frame: Bytes,
    pub(crate) own: Vec<u8>,
    /// Bit n - 1 stands for field n.
    pub(crate) present: u128,
    pub(crate) slots: [Slot; 129],
}

impl Message {
    /// An empty message.
    #[must_use]
    pub const fn new(mti: Mti) -> Self {
        Self {
            mti,
            header: None,
            frame: Bytes::new(),
            own: Vec::new(),
            present: 0,
            slots: [Slot::ABSENT; 129],
        }
    }

    /// Its message type (data element 0).
    #[must_use]
    pub const fn mti(&self) -> Mti {
        self.mti
    }

    /// Gives it another message type.
    pub const fn set_mti(&mut self, mti: Mti) {
        self.mti = mti;
    }

    /// Its header, if it has one.
    #[must_use]
    pub const fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Gives it a header.
    pub const fn set_header(&mut self, header: Header) {
        self.header = Some(header);
    }

    /// Whether it has the field `number`.
    #[must_use]
    pub const fn has(&self, number: u8) -> bool {
        matches!(number, 1..=128) && self.present >> (number - 1) & 1 == 1
    }

    /// The numbers of its fields, rising.
    pub fn fields(&self) -> impl Iterator<Item = u8> + use<> {
        let mut left = self.present;
        std::iter::from_fn(move || {
            let bit = u8::try_from(left.trailing_zeros()).ok().filter(|bit| *bit < 128)?;
            left &= left - 1;
            Some(bit + 1)
        })
    }

    pub(crate) fn slot(&self, number: u8) -> Slot {
        self.slots.get(usize::from(number)).copied().unwrap_or(Slot::ABSENT)
    }

    /// The bytes of a value as they stand in the frame or in what was set.
    pub(crate) fn raw(&self, slot: Slot) -> &[u8] {
        let len = usize::from(slot.len);
        let (store, bytes) = match slot.form {
            Form::Absent | Form::TooLong => return &[],
            Form::OwnText | Form::OwnBytes => (self.own.as_slice(), len),
            Form::BcdLeft | Form::BcdRight | Form::TrackLeft | Form::TrackRight => {
                (&*self.frame, len.div_ceil(2))
            }
            Form::SignedBcd => (&*self.frame, 1 + len.saturating_sub(1).div_ceil(2)),
            Form::Ascii | Form::Gbk | Form::Raw | Form::Hex => (&*self.frame, len),
        };
        let at = usize::try_from(slot.at).unwrap_or(usize::MAX);
        at.checked_add(bytes).and_then(|end| store.get(at..end)).unwrap_or(&[])
    }

    /// The field `number` as text: digits without filler, tracks with `=`, fixed text with the spaces
    /// that fill it, bytes as upper-case hexadecimal. Borrowed where the wire has it so.
    #[must_use]
    pub fn text(&self, number: u8) -> Option<Cow<'_, str>> {
        let slot = self.slot(number);
        let raw = self.raw(slot);
        let text = match slot.form {
            Form::Absent | Form::TooLong => return None,
            Form::Ascii | Form::Hex | Form::OwnText => {
                Cow::Borrowed(std::str::from_utf8(raw).unwrap_or(""))
            }
            Form::Gbk => encoding_rs::GBK.decode_without_bom_handling(raw).0,
            Form::BcdLeft | Form::BcdRight => {
                let digits = nibbles(raw, usize::from(slot.len), slot.form.filler());
                Cow::Owned(digits.map(|nibble| char::from(b'0' + nibble)).collect())
            }
            Form::TrackLeft | Form::TrackRight => {
                let characters = nibbles(raw, usize::from(slot.len), slot.form.filler());
                Cow::Owned(characters.map(track_character).collect())
            }
            Form::SignedBcd => {
                let (sign, packed) = raw.split_first().unwrap_or((&b'C', &[]));
                let digits = nibbles(packed, usize::from(slot.len).saturating_sub(1), Filler::Left);
                let digits = digits.map(|nibble| char::from(b'0' + nibble));
                Cow::Owned(std::iter::once(char::from(*sign)).chain(digits).collect())
            }
            Form::Raw | Form::OwnBytes => Cow::Owned(to_hex(raw)),
        };
        Some(text)
    }

    /// The field `number` as bytes; of a field that is text, the bytes of the text.
    #[must_use]
    pub fn binary(&self, number: u8) -> Option<Cow<'_, [u8]>> {
        let slot = self.slot(number);
        match slot.form {
            Form::Raw | Form::OwnBytes => Some(Cow::Borrowed(self.raw(slot))),
            Form::Hex => from_hex(self.raw(slot)).map(Cow::Owned),
            _ => Some(match self.text(number)? {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            }),
        }
    }

    /// The number that a field of up to eighteen digits says; nothing if it is absent or not digits.
    /// Allocates nothing.
    #[must_use]
    pub fn number(&self, number: u8) -> Option<u64> {
        let slot = self.slot(number);
        let raw = self.raw(slot);
        if slot.len == 0 || slot.len > 18 {
            return None;
        }
        let add = |sum: u64, digit: u8| (digit <= 9).then(|| sum * 10 + u64::from(digit));
        match slot.form {
            Form::BcdLeft | Form::BcdRight => {
                nibbles(raw, usize::from(slot.len), slot.form.filler()).try_fold(0, add)
            }
            Form::Ascii | Form::OwnText => {
                raw.iter().map(|byte| byte.wrapping_sub(b'0')).try_fold(0, add)
            }
            _ => None,
        }
    }

    /// The tags and values of field 55, in wire order; none if it is absent or not binary.
    #[must_use]
    pub fn tlv55(&self) -> TlvIter<'_> {
        let slot = self.slot(55);
        match slot.form {
            Form::Raw | Form::OwnBytes => TlvIter::new(self.raw(slot)),
            _ => TlvIter::new(&[]),
        }
    }

    /// The card's number: of data element 2, else of track 2 (35), else of track 3 (36, after its two
    /// digits of format code).
    #[must_use]
    pub fn pan(&self) -> Option<Pan> {
        if let Some(digits) = self.text(2) {
            return Pan::new(&digits).ok();
        }
        if let Some(pan) = self.track2().as_ref().and_then(Track2::pan) {
            return Some(pan);
        }
        let track3 = self.text(36)?;
        Pan::new(track3.get(2..)?.split_once('=')?.0).ok()
    }

    /// Track 2 (data element 35).
    #[must_use]
    pub fn track2(&self) -> Option<Track2> {
        Track2::new(&self.text(35)?).ok()
    }

    /// The PIN block (data element 52), if it has eight bytes.
    #[must_use]
    pub fn pin_block(&self) -> Option<PinBlock> {
        self.binary(52)?.as_ref().try_into().ok().map(PinBlock::new)
    }

    /// The system trace audit number (data element 11).
    #[must_use]
    pub fn stan(&self) -> Option<Stan> {
        Stan::parse(&self.text(11)?).ok()
    }

    /// Sets the field `number` (2 to 128) to a text; bytes are given as hexadecimal text or by
    /// [`set_binary`](Self::set_binary). Whether a dialect can carry it shows when it is encoded.
    pub fn set_text(&mut self, number: u8, text: &str) {
        self.set(number, text.as_bytes(), Form::OwnText);
    }

    /// Sets the field `number` (2 to 128) to bytes.
    pub fn set_binary(&mut self, number: u8, bytes: &[u8]) {
        self.set(number, bytes, Form::OwnBytes);
    }

    fn set(&mut self, number: u8, value: &[u8], form: Form) {
        if !(2..=128).contains(&number) {
            return;
        }
        let Some(slot) = self.slots.get_mut(usize::from(number)) else { return };
        *slot = match (u32::try_from(self.own.len()), u16::try_from(value.len())) {
            (Ok(at), Ok(len)) => {
                self.own.extend_from_slice(value);
                Slot { at, len, form }
            }
            _ => Slot { form: Form::TooLong, ..Slot::ABSENT },
        };
        self.present |= 1 << (number - 1);
    }

    /// Takes the field `number` out.
    pub fn remove(&mut self, number: u8) {
        if let (2..=128, Some(slot)) = (number, self.slots.get_mut(usize::from(number))) {
            *slot = Slot::ABSENT;
            self.present &= !(1 << (number - 1));
        }
    }

    /// Sets the field `number` to what `other` has there, or takes it out if `other` has none.
    pub fn copy(&mut self, number: u8, other: &Self) {
        let slot = other.slot(number);
        match slot.form {
            Form::Absent | Form::TooLong => self.remove(number),
            Form::Raw | Form::OwnBytes => self.set_binary(number, other.raw(slot)),
            Form::Hex => match other.binary(number) {
                Some(bytes) => self.set_binary(number, &bytes),
                None => self.remove(number),
            },
            _ => match other.text(number) {
                Some(text) => self.set_text(number, &text),
                None => self.remove(number),
            },
        }
    }
}

/// The character of a track nibble: D is the separator.
fn track_character(nibble: u8) -> char {
    if nibble == 0x0D { '=' } else { char::from(hex_digit(nibble)) }
}

impl fmt::Debug for Message {
    /// Message type and field numbers, never a value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} ", self.mti)?;
        f.debug_list().entries(self.fields()).finish()?;
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_set_read_and_taken_out() {
        let mut message = Message::new(Mti::parse("0200").expect("digits"));
        message.set_text(4, "000000012345");
        message.set_binary(52, &[1, 2, 3, 4, 5, 6, 7, 8]);
        message.set_text(128, "x");
        message.set_text(1, "never");
        assert_eq!(message.fields().collect::<Vec<_>>(), [4, 52, 128]);
        assert_eq!(message.number(4), Some(12_345));
        assert_eq!(message.text(52).as_deref(), Some("0102030405060708"));
        assert_eq!(message.pin_block().expect("eight").expose(), &[1, 2, 3, 4, 5, 6, 7, 8]);
        message.remove(4);
        assert!(!message.has(4) && message.has(128) && !message.has(0) && !message.has(200));
        assert_eq!(format!("{message:?}"), "Message(0200 [52, 128])");
    }

    #[test]
    fn the_card_is_found_in_2_then_35_then_36() {
        let mut message = Message::new(Mti::parse("0200").expect("digits"));
        message.set_text(36, "996200000000000005=1234");
        assert_eq!(message.pan().expect("36").expose(), "6200000000000005");
        message.set_text(35, "4111111111111111=3012");
        assert_eq!(message.pan().expect("35").expose(), "4111111111111111");
        message.set_text(2, "6212345678901232");
        assert_eq!(message.pan().expect("2").expose(), "6212345678901232");
    }
}

//! One message: the frame that it came in, where its fields stand, and what was set since.

use std::fmt;

use bytes::Bytes;

use crate::form::Form;
use crate::header::Header;
use crate::mti::Mti;
use crate::slots::{Slot, Slots};
use crate::word;

/// Room for the values that are set, taken with the first of them: enough for nearly every message.
const OWN: usize = 512;

/// An ISO 8583 message.
///
/// A decoded one keeps the frame that it came in and reads a field from there when it is asked for:
/// decoding allocates nothing but the places of more than 32 fields. Setting a field leaves the frame as
/// it is. Values are text as it reads, digits without filler, tracks with `=`, and bytes.
#[derive(Clone)]
pub struct Message {
    pub(crate) mti: Mti,
    pub(crate) header: Option<Header>,
    pub(crate) frame: Bytes,
    pub(crate) own: Vec<u8>,
    /// Which fields it has: the lowest bit of the first half stands for field 1.
    pub(crate) present: [u64; 2],
    pub(crate) slots: Slots,
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
            present: [0; 2],
            slots: Slots::EMPTY,
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
    #[inline]
    pub const fn has(&self, number: u8) -> bool {
        let [low, high] = self.present;
        match number {
            1..=64 => low >> (number - 1) & 1 == 1,
            65..=128 => high >> (number - 65) & 1 == 1,
            _ => false,
        }
    }

    /// The numbers of its fields, rising.
    #[inline]
    pub fn fields(&self) -> impl Iterator<Item = u8> + use<> {
        let [low, high] = self.present;
        numbers(low, 1).chain(numbers(high, 65))
    }

    #[inline]
    pub(crate) fn slot(&self, number: u8) -> Slot {
        self.slots.get(number)
    }

    /// What stands from the first byte of a value on, in the frame or in what was set.
    #[inline]
    pub(crate) fn rest(&self, slot: Slot) -> &[u8] {
        let store = match slot.form {
            Form::OwnText | Form::OwnBytes => self.own.as_slice(),
            _ => &*self.frame,
        };
        let at = usize::try_from(slot.at).unwrap_or(usize::MAX);
        store.get(at..).unwrap_or(&[])
    }

    /// The bytes of a value as they stand in the frame or in what was set.
    #[inline]
    pub(crate) fn raw(&self, slot: Slot) -> &[u8] {
        self.rest(slot).get(..slot.form.bytes(usize::from(slot.len))).unwrap_or(&[])
    }

    /// Sets the field `number` (2 to 128) to a text; bytes are given as hexadecimal text or by
    /// [`set_binary`](Self::set_binary). Whether a dialect can carry it shows when it is encoded.
    pub fn set_text(&mut self, number: u8, text: &str) {
        self.set(number, text.as_bytes(), Form::OwnText);
    }

    /// Sets the field `number` (2 to 128) to a number, with zeros before it up to `digits` digits (at most
    /// twenty).
    pub fn set_number(&mut self, number: u8, value: u64, digits: usize) {
        let mut text = [b'0'; 20];
        let (mut left, mut from) = (value, text.len());
        for digit in text.iter_mut().rev() {
            if left == 0 {
                break;
            }
            *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
            from -= 1;
        }
        let from = from.min(text.len().saturating_sub(digits));
        self.set(number, text.get(from..).unwrap_or_default(), Form::OwnText);
    }

    /// Sets the field `number` (2 to 128) to bytes.
    pub fn set_binary(&mut self, number: u8, bytes: &[u8]) {
        self.set(number, bytes, Form::OwnBytes);
    }

    fn set(&mut self, number: u8, value: &[u8], form: Form) {
        self.set_with(number, value.len(), form, |own| own.extend_from_slice(value));
    }

    /// Sets the field `number` to `len` bytes that `push` appends.
    #[inline]
    fn set_with(&mut self, number: u8, len: usize, form: Form, push: impl FnOnce(&mut Vec<u8>)) {
        if !(2..=128).contains(&number) {
            return;
        }
        if self.own.capacity() == 0 {
            self.own.reserve(OWN);
        }
        let slot = match (u32::try_from(self.own.len()), u16::try_from(len)) {
            (Ok(at), Ok(len)) => {
                push(&mut self.own);
                Slot { at, len, form }
            }
            _ => Slot { form: Form::TooLong, ..Slot::ABSENT },
        };
        self.place(number, slot);
    }

    #[inline]
    fn place(&mut self, number: u8, slot: Slot) {
        self.slots.put(number, slot);
        let [low, high] = &mut self.present;
        match number {
            1..=64 => *low |= 1 << (number - 1),
            65..=128 => *high |= 1 << (number - 65),
            _ => {}
        }
    }

    /// Takes the field `number` out.
    pub fn remove(&mut self, number: u8) {
        if (2..=128).contains(&number) && self.has(number) {
            self.slots.put(number, Slot::ABSENT);
            let [low, high] = &mut self.present;
            match number {
                1..=64 => *low &= !(1 << (number - 1)),
                65..=128 => *high &= !(1 << (number - 65)),
                _ => {}
            }
        }
    }

    /// Sets the field `number` to what `other` has there, or takes it out if `other` has none. The frame
    /// of `other` is kept rather than copied where that changes nothing.
    pub fn copy(&mut self, number: u8, other: &Self) {
        let slot = other.slot(number);
        if self.shares(slot, other) {
            self.place(number, slot);
        } else {
            self.copy_value(number, slot, other);
        }
    }

    fn copy_value(&mut self, number: u8, slot: Slot, other: &Self) {
        let (raw, len) = (other.raw(slot), usize::from(slot.len));
        match slot.form {
            Form::Absent | Form::TooLong => self.remove(number),
            Form::Raw | Form::Tlv | Form::OwnBytes => self.set_binary(number, raw),
            Form::Digits
            | Form::Track
            | Form::Signed
            | Form::Printable
            | Form::Ascii
            | Form::OwnText => self.set(number, raw, Form::OwnText),
            Form::BcdLeft | Form::BcdRight | Form::TrackLeft | Form::TrackRight => {
                self.set_with(number, len, Form::OwnText, |own| {
                    let start = own.len();
                    own.resize(start + len, b'0');
                    word::unpack(raw, slot.form.filler(), own.get_mut(start..).unwrap_or_default());
                });
            }
            Form::Hex | Form::EbcdicHex => match other.binary(number) {
                Some(bytes) => self.set_binary(number, &bytes),
                None => self.remove(number),
            },
            Form::Gbk | Form::SignedBcd | Form::Ebcdic => match other.text(number) {
                Some(text) => self.set_text(number, &text),
                None => self.remove(number),
            },
        }
    }

    /// Whether a value of the frame of `other` may stand in this message as it is; takes that frame if
    /// this message has none. An odd packed digit has a filler, which is each dialect's own.
    #[inline]
    fn shares(&mut self, slot: Slot, other: &Self) -> bool {
        let as_it_is = match slot.form {
            Form::BcdLeft | Form::BcdRight | Form::TrackLeft | Form::TrackRight => {
                slot.len.is_multiple_of(2)
            }
            Form::Digits
            | Form::Track
            | Form::Signed
            | Form::Printable
            | Form::Ascii
            | Form::Ebcdic
            | Form::Raw
            | Form::Tlv => true,
            Form::Absent
            | Form::EbcdicHex
            | Form::Gbk
            | Form::SignedBcd
            | Form::Hex
            | Form::OwnText
            | Form::OwnBytes
            | Form::TooLong => false,
        };
        if !as_it_is {
            return false;
        }
        if self.frame.is_empty() {
            self.frame = other.frame.clone();
        }
        self.frame.as_ptr() == other.frame.as_ptr() && self.frame.len() == other.frame.len()
    }
}

/// The numbers whose bits stand in `bits`, the lowest of them for `first`.
#[inline]
pub(crate) fn numbers(bits: u64, first: u8) -> impl Iterator<Item = u8> {
    let mut left = bits;
    std::iter::from_fn(move || {
        let bit = u8::try_from(left.trailing_zeros()).ok().filter(|_| left != 0)?;
        left &= left - 1;
        Some(first + bit)
    })
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
        for (value, digits, text) in [
            (7, 6, "000007"),
            (0, 12, "000000000000"),
            (1_234_567, 6, "1234567"),
            (u64::MAX, 99, "18446744073709551615"),
            (0, 0, ""),
        ] {
            message.set_number(11, value, digits);
            assert_eq!(message.text(11).as_deref(), Some(text));
        }
        message.remove(11);
        assert_eq!(message.text(52).as_deref(), Some("0102030405060708"));
        assert_eq!(message.pin_block().expect("eight").expose(), &[1, 2, 3, 4, 5, 6, 7, 8]);
        message.remove(4);
        assert!(!message.has(4) && message.has(128) && !message.has(0) && !message.has(200));
        assert_eq!(format!("{message:?}"), "Message(0200 [52, 128])");
    }

    #[test]
    fn what_is_copied_reads_as_in_the_other() {
        let dialect = crate::Dialect::shipped("cup-pos").expect("shipped");
        let mut other = Message::new(Mti::parse("0200").expect("digits"));
        for (number, text) in [
            (2, "6200000000000000005"),
            (4, "000000012345"),
            (23, "001"),
            (35, "6212345678901232=301220"),
            (41, "12345678"),
            (43, "商户"),
            (55, "9F3602004782010A"),
        ] {
            other.set_text(number, text);
        }
        let mut bytes = bytes::BytesMut::new();
        other.encode(&dialect, &mut bytes).expect("its dialect");
        let decoded = Message::decode(&dialect, bytes.split().freeze()).expect("sound");
        let (mut whole, mut own) = (Message::new(other.mti()), Message::new(other.mti()));
        own.frame = Bytes::from_static(b"another");
        for number in decoded.fields() {
            whole.copy(number, &decoded);
            own.copy(number, &decoded);
        }
        whole.copy(11, &decoded);
        for message in [&whole, &own] {
            let read = |message: &Message, number| message.text(number).map(String::from);
            for number in 1..=128 {
                assert_eq!(read(message, number), read(&decoded, number), "{number}");
                assert_eq!(message.binary(number), decoded.binary(number), "{number}");
                assert_eq!(message.number(number), decoded.number(number), "{number}");
            }
            assert_eq!(message.tlv55().count(), 2);
            message.encode(&dialect, &mut bytes).expect("its dialect");
            assert_eq!(bytes.split(), decoded.frame);
        }
    }
}

//! What can be asked of a message's fields: text, bytes, numbers, and the card.

use std::borrow::Cow;

use crate::card::{Pan, PinBlock, Track2};
use crate::code::Code;
use crate::digits::{from_hex, to_hex};
use crate::ebcdic;
use crate::form::Form;
use crate::message::Message;
use crate::tlv::{Tlv, TlvIter};
use crate::value::Stan;
use crate::word;

impl Message {
    /// The field `number` as text: digits without filler, tracks with `=`, fixed text with the spaces
    /// that fill it, bytes as upper-case hexadecimal. Borrowed where the wire has it so.
    #[must_use]
    pub fn text(&self, number: u8) -> Option<Cow<'_, str>> {
        let slot = self.slot(number);
        let raw = self.raw(slot);
        let text = match slot.form {
            Form::Absent | Form::TooLong => return None,
            Form::Digits
            | Form::Track
            | Form::Signed
            | Form::Printable
            | Form::Ascii
            | Form::Hex
            | Form::OwnText => Cow::Borrowed(std::str::from_utf8(raw).unwrap_or("")),
            Form::Gbk => encoding_rs::GBK.decode_without_bom_handling(raw).0,
            Form::BcdLeft | Form::BcdRight | Form::TrackLeft | Form::TrackRight => {
                let mut text = vec![0; usize::from(slot.len)];
                word::unpack(raw, slot.form.filler(), &mut text);
                Cow::Owned(String::from_utf8(text).unwrap_or_default())
            }
            Form::SignedBcd => {
                let (sign, packed) = raw.split_first().unwrap_or((&b'C', &[]));
                let mut text = vec![*sign; usize::from(slot.len).max(1)];
                word::unpack(packed, slot.form.filler(), text.get_mut(1..).unwrap_or_default());
                Cow::Owned(String::from_utf8(text).unwrap_or_default())
            }
            Form::Ebcdic | Form::EbcdicHex => Cow::Owned(ebcdic::text(raw)),
            Form::Raw | Form::Tlv | Form::OwnBytes => Cow::Owned(to_hex(raw)),
        };
        Some(text)
    }

    /// The field `number` as [`text`](Self::text) gives it, written into `room` where the wire has it
    /// otherwise: nothing is allocated if `room` is long enough (64 bytes are, for every field of digits
    /// but the longest) and the text is not Chinese.
    #[must_use]
    pub fn text_in<'b>(&'b self, number: u8, room: &'b mut [u8]) -> Option<Cow<'b, str>> {
        match self.text_bytes(number, room)? {
            Cow::Borrowed(text) => {
                Some(Cow::Borrowed(std::str::from_utf8(text).unwrap_or_default()))
            }
            Cow::Owned(_) => self.text(number),
        }
    }

    /// The bytes of what [`text_in`](Self::text_in) gives, which is quicker where they are all that is
    /// asked for.
    #[must_use]
    #[inline]
    pub fn text_bytes<'b>(&'b self, number: u8, room: &'b mut [u8]) -> Option<Cow<'b, [u8]>> {
        let slot = self.slot(number);
        let raw = self.raw(slot);
        let owned = || Some(Cow::Owned(self.text(number)?.into_owned().into_bytes()));
        let text = match slot.form {
            Form::Digits
            | Form::Track
            | Form::Signed
            | Form::Printable
            | Form::Ascii
            | Form::Hex
            | Form::OwnText => raw,
            Form::BcdLeft | Form::BcdRight | Form::TrackLeft | Form::TrackRight => {
                let Some(text) = room.get_mut(..usize::from(slot.len)) else { return owned() };
                word::unpack(raw, slot.form.filler(), text);
                text
            }
            Form::Gbk if raw.is_ascii() => raw,
            Form::Raw | Form::Tlv | Form::OwnBytes => {
                let Some(text) = room.get_mut(..raw.len() * 2) else { return owned() };
                word::write_hex(raw, text);
                text
            }
            Form::Ebcdic | Form::EbcdicHex => match ebcdic::ascii(raw, room) {
                Some(text) => text,
                None => return owned(),
            },
            Form::Absent => return None,
            Form::TooLong | Form::Gbk | Form::SignedBcd => return owned(),
        };
        Some(Cow::Borrowed(text))
    }

    /// Bytes of the field `number` as text.
    pub(crate) fn text_len(&self, number: u8) -> Option<usize> {
        let slot = self.slot(number);
        match slot.form {
            Form::Absent | Form::TooLong => None,
            Form::Raw | Form::Tlv | Form::OwnBytes => Some(usize::from(slot.len) * 2),
            Form::Gbk | Form::Ebcdic => self.text(number).map(|text| text.len()),
            Form::Digits
            | Form::Track
            | Form::Signed
            | Form::Printable
            | Form::Ascii
            | Form::BcdRight
            | Form::BcdLeft
            | Form::TrackRight
            | Form::TrackLeft
            | Form::Hex
            | Form::EbcdicHex
            | Form::OwnText => Some(usize::from(slot.len)),
            Form::SignedBcd => Some(usize::from(slot.len).max(1)),
        }
    }

    /// The field `number` as bytes; of a field that is text, the bytes of the text.
    #[must_use]
    pub fn binary(&self, number: u8) -> Option<Cow<'_, [u8]>> {
        let slot = self.slot(number);
        match slot.form {
            Form::Raw | Form::Tlv | Form::OwnBytes => Some(Cow::Borrowed(self.raw(slot))),
            Form::Hex => from_hex(self.raw(slot)).map(Cow::Owned),
            Form::EbcdicHex => from_hex(self.text(number)?.as_bytes()).map(Cow::Owned),
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
        match slot.form {
            Form::BcdLeft | Form::BcdRight | Form::TrackLeft | Form::TrackRight => {
                word::packed_number(raw, usize::from(slot.len), slot.form.filler())
            }
            Form::Digits
            | Form::Track
            | Form::Signed
            | Form::Printable
            | Form::Ascii
            | Form::Gbk
            | Form::OwnText => word::number(raw),
            Form::Ebcdic => word::number(ebcdic::ascii(raw, &mut [0; 18])?),
            Form::Absent
            | Form::SignedBcd
            | Form::Raw
            | Form::Tlv
            | Form::Hex
            | Form::EbcdicHex
            | Form::OwnBytes
            | Form::TooLong => None,
        }
    }

    /// The tags and values of field 55, in wire order; none if it is absent or not binary.
    #[must_use]
    pub fn tlv55(&self) -> TlvIter<'_> {
        let slot = self.slot(55);
        match slot.form {
            Form::Raw | Form::Tlv | Form::OwnBytes => TlvIter::new(self.raw(slot)),
            _ => TlvIter::new(&[]),
        }
    }

    /// The values of these tags (as in `0x9F26`) of field 55, the first of each; empty where there is none.
    #[must_use]
    pub fn tags55<const N: usize>(&self, tags: [u32; N]) -> [&[u8]; N] {
        let mut found: [Option<&[u8]>; N] = [None; N];
        for Tlv { tag, value } in self.tlv55() {
            let tag = tag.iter().fold(0, |tag, byte| tag << 8 | u32::from(*byte));
            for (place, _) in found.iter_mut().zip(tags).filter(|(_, wanted)| *wanted == tag) {
                place.get_or_insert(value);
            }
            if found.iter().all(Option::is_some) {
                break;
            }
        }
        found.map(Option::unwrap_or_default)
    }

    /// The chip data (55) as bytes, also where a host has it as hexadecimal text; nothing if it is neither.
    #[must_use]
    pub fn chip(&self) -> Option<Cow<'_, [u8]>> {
        match self.slot(55).form {
            Form::Raw | Form::Tlv | Form::OwnBytes | Form::Hex | Form::EbcdicHex => self.binary(55),
            _ => from_hex(self.text(55)?.trim_end().as_bytes()).map(Cow::Owned),
        }
    }

    /// The response code, or the reason of a reversal (39), without the spaces that fill it.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        let mut room = [0; 8];
        Code::new(self.text_in(39, &mut room)?.trim_end()).ok()
    }

    /// The card's number: of data element 2, else of track 2 (35), else of track 3 (36, after its two
    /// digits of format code).
    #[must_use]
    pub fn pan(&self) -> Option<Pan> {
        let slot = self.slot(2);
        if let Form::BcdLeft | Form::BcdRight = slot.form {
            return Pan::packed(self.raw(slot), usize::from(slot.len), slot.form.filler());
        }
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
        let slot = self.slot(35);
        if let Form::TrackLeft | Form::TrackRight = slot.form {
            return Track2::packed(self.raw(slot), usize::from(slot.len), slot.form.filler());
        }
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
        if self.slot(11).len == 6
            && let Some(number) = self.number(11)
        {
            return u32::try_from(number).ok().and_then(|number| Stan::new(number).ok());
        }
        Stan::parse(&self.text(11)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mti::Mti;

    #[test]
    fn text_is_the_same_with_room_and_without() {
        let text = r#"
            base = "cup-pos"
            [fields]
            48 = { content = "x+n", prefix = 3, max = 41 }
            62 = { content = "b", encoding = "hex", prefix = 3, max = 60 }
        "#;
        let dialect = crate::Dialect::parse("signed", text).expect("sound");
        let mut message = Message::new(Mti::parse("0200").expect("digits"));
        for (number, text) in [
            (2, "6212345678901232123"),
            (4, "000000012345"),
            (11, "000042"),
            (23, "001"),
            (35, "6212345678901232=3012201"),
            (43, "商户"),
            (48, "C00012"),
            (55, "9F3602004782010A"),
            (60, "22000007000500"),
            (61, "1234567890123456789012345"),
            (62, "0A0B"),
            (63, "plain"),
        ] {
            message.set_text(number, text);
        }
        let mut bytes = bytes::BytesMut::new();
        message.encode(&dialect, &mut bytes).expect("its dialect");
        let decoded = Message::decode(&dialect, bytes.freeze()).expect("sound");
        for message in [&message, &decoded] {
            for number in 0..=255 {
                let text = message.text(number);
                for mut room in [vec![], vec![b'?'; 13], vec![b'?'; 64]] {
                    let bytes = message.text_bytes(number, &mut room);
                    assert_eq!(bytes.as_deref(), text.as_ref().map(|text| text.as_bytes()));
                    assert_eq!(message.text_in(number, &mut room), text, "{number}");
                }
                assert_eq!(message.text_len(number), text.map(|text| text.len()), "{number}");
            }
            let elements = dialect.elements();
            let batch = elements.batch.expect("60.2");
            assert_eq!(dialect.element_number(message, batch), Some(7));
            assert_eq!(dialect.element_number(message, elements.stan), Some(42));
            assert_eq!(dialect.element_number(message, elements.terminal), None);
            assert_eq!(message.stan().map(Stan::number), Some(42));
            assert_eq!(message.pan().expect("2").expose(), "6212345678901232123");
            assert_eq!(
                message.track2().expect("35").pan().expect("whole").expose(),
                "6212345678901232"
            );
        }
    }

    #[test]
    fn chip_data_and_codes_are_read_in_any_form() {
        let mut message = Message::new(Mti::parse("0210").expect("digits"));
        assert_eq!((message.chip(), message.code()), (None, None));
        for (text, chip) in [("8a023030  ", Some(&b"\x8A\x02\x30\x30"[..])), ("8A0", None)] {
            message.set_text(55, text);
            assert_eq!(message.chip().as_deref(), chip);
        }
        assert_eq!(message.tags55([0x8A]), [&b""[..]]);
        let tags = [0x9F, 0x26, 1, 7, 0x95, 1, 8, 0x9F, 0x26, 1, 9, 0x9F];
        message.set_binary(55, &tags);
        let found = message.tags55([0x95, 0x9F26, 0x9F36, 0x95]);
        assert_eq!(found, [&[8][..], &[7], &[], &[8]]);
        message.set_binary(55, &[0x8A, 0]);
        assert_eq!(message.chip().as_deref(), Some(&[0x8A, 0][..]));
        for (text, code) in [("00", Some("00")), ("A1 ", Some("A1")), ("", None), ("0!", None)] {
            message.set_text(39, text);
            assert_eq!(message.code().as_ref().map(Code::as_str), code);
        }
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

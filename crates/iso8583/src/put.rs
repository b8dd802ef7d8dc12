//! The short road from a value to the bytes of a field. It looks at what was not looked at, and leaves to
//! the long road what it does not know and what is wrong.

use crate::form::Form;
use crate::message::Message;
use crate::plan::{Lead, Plan};
use crate::sink::Sink;
use crate::slots::Slot;
use crate::tlv;
use crate::word;

impl Plan {
    /// Writes the value at `slot`. If the answer is no, nothing was written.
    #[inline]
    pub(crate) fn write(self, message: &Message, slot: Slot, to: &mut Sink<'_>) -> bool {
        let (rest, len) = (message.rest(slot), usize::from(slot.len));
        if slot.form == self.form {
            // bytes as they came, filler included: they are what this field may hold
            if self.word > 0
                && slot.len == self.max
                && let Some(word) = rest.first_chunk()
            {
                to.put_word(*word, usize::from(self.word));
                return true;
            }
            let units = if slot.form == Form::Hex { len / 2 } else { len };
            let good = self.holds(units) && self.put_lead(units, to);
            if good {
                to.put_from(rest, slot.form.bytes(len));
            }
            return good;
        }
        match slot.form {
            Form::OwnText | Form::Digits | Form::Track | Form::Printable | Form::Ascii => {
                self.write_text(rest, len, to)
            }
            Form::BcdRight | Form::BcdLeft | Form::TrackRight | Form::TrackLeft => {
                self.write_unpacked(rest, slot, to)
            }
            Form::OwnBytes | Form::Raw | Form::Tlv => {
                rest.get(..len).is_some_and(|bytes| self.write_bytes(bytes, slot.form, to))
            }
            Form::Absent
            | Form::Signed
            | Form::Gbk
            | Form::SignedBcd
            | Form::Hex
            | Form::Ebcdic
            | Form::EbcdicHex
            | Form::TooLong => false,
        }
    }

    /// Text that stands as `len` bytes.
    #[inline]
    fn write_text(self, rest: &[u8], len: usize, to: &mut Sink<'_>) -> bool {
        let good = match self.form {
            Form::Digits | Form::BcdRight | Form::BcdLeft => word::are_digits(rest, len),
            Form::Printable => word::are_printable(rest, len),
            Form::Ascii | Form::Gbk => word::are_ascii(rest, len),
            Form::Track => word::are_track(rest, len),
            Form::TrackRight | Form::TrackLeft => word::are_track_nibbles(rest, len),
            _ => false,
        };
        let spaces = self.spaces(len);
        if !good || !self.holds(len + spaces) || !self.put_lead(len + spaces, to) {
            return false;
        }
        if let Form::BcdRight | Form::BcdLeft | Form::TrackRight | Form::TrackLeft = self.form {
            let count = len.div_ceil(2);
            if let (Some(text), Some(to)) = (rest.get(..len), to.take(count).get_mut(..count)) {
                word::pack(text, self.form.filler(), self.nibble, to);
            }
        } else {
            to.put_from(rest, len);
            to.put_spaces(spaces);
        }
        true
    }

    /// Packed digits or track characters, as text.
    #[inline]
    fn write_unpacked(self, packed: &[u8], slot: Slot, to: &mut Sink<'_>) -> bool {
        let digits = matches!(slot.form, Form::BcdRight | Form::BcdLeft);
        let good = match self.form {
            Form::Digits | Form::Printable | Form::Ascii | Form::Gbk => digits,
            Form::Track => true,
            _ => false,
        };
        let len = usize::from(slot.len);
        let spaces = self.spaces(len);
        if !good || !self.holds(len + spaces) || !self.put_lead(len + spaces, to) {
            return false;
        }
        if let Some(to) = to.take(len).get_mut(..len) {
            word::unpack(packed, slot.form.filler(), to);
        }
        to.put_spaces(spaces);
        true
    }

    /// Bytes, as they are or as hexadecimal text.
    #[inline]
    fn write_bytes(self, bytes: &[u8], from: Form, to: &mut Sink<'_>) -> bool {
        let (len, spaces) = (bytes.len(), self.spaces(bytes.len() * 2));
        let (good, units, hex) = match self.form {
            Form::Raw => (true, len, false),
            Form::Tlv => (from == Form::Tlv || tlv::are_short(bytes), len, false),
            Form::Hex => (true, len, true),
            Form::Printable | Form::Ascii | Form::Gbk => (true, len * 2 + spaces, true),
            _ => return false,
        };
        if !good || !self.holds(units) || !self.put_lead(units, to) {
            return false;
        }
        if hex {
            word::write_hex(bytes, to.take(len * 2).get_mut(..len * 2).unwrap_or_default());
            to.put_spaces(spaces);
        } else {
            to.put(bytes);
        }
        true
    }

    /// The spaces that fill a fixed field of text.
    #[inline]
    fn spaces(self, len: usize) -> usize {
        if self.fills { usize::from(self.max).saturating_sub(len) } else { 0 }
    }

    /// Writes the length prefix that says `units`, which the field can have.
    #[inline]
    fn put_lead(self, units: usize, to: &mut Sink<'_>) -> bool {
        self.lead == Lead::Fixed || put_prefix(self.lead, units, to)
    }
}

fn put_prefix(lead: Lead, units: usize, to: &mut Sink<'_>) -> bool {
    let Ok(units) = u16::try_from(units) else { return false };
    let digit = |number: u16| b'0' + u8::try_from(number % 10).unwrap_or(0);
    let packed = |number: u16| u8::try_from(number % 100 + number % 100 / 10 * 6).unwrap_or(0);
    match lead {
        Lead::Fixed | Lead::Other => return false,
        Lead::Ascii2 => to.put_array([digit(units / 10), digit(units)]),
        Lead::Ascii3 => {
            to.put_array([digit(units / 100), digit(units / 10), digit(units)]);
        }
        Lead::Packed1 => to.put_array([packed(units)]),
        Lead::Packed2 => to.put_array([packed(units / 100), packed(units)]),
    }
    true
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::*;
    use crate::dialect::Dialect;
    use crate::dice::Dice;
    use crate::field::{Content, FieldSpec};
    use crate::mti::Mti;

    /// A message with one value that the field may hold, or nearly so: set, or read from a frame.
    fn message(spec: &FieldSpec, dice: &mut Dice) -> Message {
        let max = usize::from(spec.length.max());
        let length = if dice.below(3) == 0 { dice.below(max.min(60) + 2) } else { max.min(40) };
        let alphabet: &[u8] = match spec.content {
            Content::Digits => b"0123456789",
            Content::Track => b"0123456789=A?",
            Content::Signed => b"0123456789CD",
            Content::Alphanumeric => b"0123456789ABCXYZ ",
            Content::Text => b"0123 abcDEF\x07",
            Content::Binary => b"0123456789ABCDEF",
        };
        let mut text: Vec<u8> = (0..length).map(|_| alphabet[dice.below(alphabet.len())]).collect();
        if dice.below(8) == 0 && length > 0 {
            text[dice.below(length)] = dice.byte() & 0x7F;
        }
        let text = String::from_utf8(text).expect("ASCII");
        let mut message = Message::new(Mti::ZERO);
        match dice.below(3) {
            0 => message.set_binary(spec.number, text.as_bytes()),
            1 => message.set_binary(spec.number, &[0x9F, 0x26, 1, 7, 0x95, 0]),
            _ => message.set_text(spec.number, &text),
        }
        message
    }

    #[test]
    fn the_short_road_writes_what_the_long_one_does() {
        let mut dice = Dice(0x2545_F491_4F6C_DD1D);
        let filled = r#"
            base = "cup-pos"
            [fields]
            2 = { content = "n", prefix = 2, max = 19, pad_digit = "F" }
            23 = { content = "n", length = 3, pad_digit = "F" }
            35 = { content = "z", prefix = 2, max = 37, pad_digit = "F", pad = "left" }
            48 = { content = "x+n", prefix = 3, max = 41 }
            55 = { content = "b", encoding = "hex", prefix = 3, max = 255 }
        "#;
        let shipped = crate::SHIPPED.iter().filter_map(|name| Dialect::shipped(name));
        let dialects: Vec<_> =
            shipped.chain([Dialect::parse("filled", filled).expect("sound")]).collect();
        let (mut short, mut other) = (0, 0);
        for from in &dialects {
            for to in &dialects {
                for spec in from.fields().filter(|spec| to.field(spec.number).is_some()) {
                    for _ in 0..60 {
                        let own = message(spec, &mut dice);
                        let mut frame = BytesMut::new();
                        let read = own
                            .encode(from, &mut frame)
                            .ok()
                            .and_then(|()| Message::decode(from, frame.clone().freeze()).ok());
                        for message in [Some(own), read].into_iter().flatten() {
                            let done = compare(&message, to, spec.number);
                            short += usize::from(done);
                            other += usize::from(!done);
                        }
                    }
                }
            }
        }
        assert!(short > 10_000 && other > 1000, "{short} {other}");
    }

    /// Whether the short road led there; then it must have written what the long one writes.
    fn compare(message: &Message, to: &Dialect, number: u8) -> bool {
        let (plan, spec) = (to.plan(number).expect("a field"), to.field(number).expect("a field"));
        let (mut short, mut long) = (BytesMut::new(), BytesMut::new());
        let mut sink = Sink::new(&mut short);
        let done = plan.write(message, message.slot(number), &mut sink);
        sink.finish();
        let written = message.put_field(spec, &mut long);
        let said = || format!("{} field {number} {:?}", to.name(), message.text(number));
        if done {
            assert_eq!(written, Ok(()), "{}", said());
            assert_eq!(short, long, "{}", said());
        } else {
            assert_eq!(short, Bytes::new());
        }
        done
    }
}

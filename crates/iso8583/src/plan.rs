//! What reading and writing a field needs to know of it, made once from its specification: sixteen bytes a
//! field, all fields of a dialect in a table of two kilobytes.

use crate::digits::Filler;
use crate::field::{Content, Counts, FieldSpec, Length, LengthEncoding};
use crate::form::Form;
use crate::slots::Slot;
use crate::tlv;
use crate::word;

/// How the length of a field is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lead {
    /// It is always the same.
    Fixed,
    /// By two ASCII digits.
    Ascii2,
    /// By three ASCII digits.
    Ascii3,
    /// By two packed digits.
    Packed1,
    /// By four packed digits.
    Packed2,
    /// In another way: left to the long road.
    Other,
}

/// A field, as far as the short road goes: what it cannot read or write is left to the long one, which
/// knows everything and says what is wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) form: Form,
    pub(crate) lead: Lead,
    /// Whether shorter text is filled with spaces.
    pub(crate) fills: bool,
    /// The nibble beside an odd packed digit.
    pub(crate) nibble: u8,
    /// The most units that it may have; all that a fixed one has.
    pub(crate) max: u16,
    /// The bytes of a fixed value of at most eight, which is read as one word; else zero.
    pub(crate) word: u8,
    /// The bits of that word, lowest byte first, in which a look must find nothing.
    looked_at: u64,
}

/// The bytes of a fixed field that is read as one word, and the bits of it that are looked at; zeros for
/// one that is too long or too rare for that.
fn as_word(spec: &FieldSpec) -> (u8, u64) {
    let units = usize::from(spec.length.max());
    let (bytes, in_each) = match spec.form() {
        // the nibble after the last digit is not looked at
        Form::BcdRight => (units.div_ceil(2), 0x88),
        Form::BcdLeft if units.is_multiple_of(2) => (units / 2, 0x88),
        Form::Digits | Form::Printable | Form::Ascii | Form::Gbk => (units, 0x80),
        Form::Raw => (units, 0),
        _ => return (0, 0),
    };
    let odd = spec.form() == Form::BcdRight && !units.is_multiple_of(2);
    match u8::try_from(bytes) {
        Ok(count @ 1..=8) => {
            let mut looked_at = [0_u8; 8];
            looked_at.iter_mut().take(bytes).for_each(|byte| *byte = in_each);
            if let (true, Some(last)) = (odd, looked_at.get_mut(bytes - 1)) {
                *last = 0x80;
            }
            (count, u64::from_le_bytes(looked_at))
        }
        _ => (0, 0),
    }
}

impl Plan {
    const UNDEFINED: Self = Self {
        form: Form::Absent,
        lead: Lead::Other,
        fills: false,
        nibble: 0,
        max: 0,
        word: 0,
        looked_at: 0,
    };

    fn of(spec: &FieldSpec) -> Self {
        let lead = match spec.length {
            Length::Fixed(_) => Lead::Fixed,
            Length::Variable { prefix, .. } => {
                match (prefix.counts, prefix.encoding, prefix.digits) {
                    (Counts::Units, LengthEncoding::Ascii, 2) => Lead::Ascii2,
                    (Counts::Units, LengthEncoding::Ascii, 3) => Lead::Ascii3,
                    (Counts::Units, LengthEncoding::Bcd, 1 | 2) => Lead::Packed1,
                    (Counts::Units, LengthEncoding::Bcd, 3 | 4) => Lead::Packed2,
                    _ => Lead::Other,
                }
            }
        };
        // there is no short road to EBCDIC: its form alone does not say what was looked at
        let form = match spec.form() {
            Form::Ebcdic | Form::EbcdicHex => Form::Absent,
            form => form,
        };
        let text = matches!(spec.content, Content::Alphanumeric | Content::Text);
        let (word, looked_at) = if lead == Lead::Fixed { as_word(spec) } else { (0, 0) };
        Self {
            form,
            lead,
            fills: lead == Lead::Fixed && text,
            nibble: spec.padding.nibble,
            max: spec.length.max(),
            word,
            looked_at,
        }
    }

    /// The plans of all fields, by number - 1.
    pub(crate) fn table(fields: &[Option<FieldSpec>]) -> Box<[Self; 128]> {
        let mut table = Box::new([Self::UNDEFINED; 128]);
        for (plan, spec) in table.iter_mut().zip(fields.iter().skip(1)) {
            *plan = spec.as_ref().map_or(Self::UNDEFINED, Self::of);
        }
        table
    }

    /// Whether the field can be `units` long.
    #[inline]
    pub(crate) fn holds(self, units: usize) -> bool {
        let max = usize::from(self.max);
        units == max || units < max && self.lead != Lead::Fixed
    }

    /// The field that begins at `at`, and where it ends; nothing if the short road does not lead there.
    #[inline]
    pub(crate) fn read(self, bytes: &[u8], at: usize) -> Option<(Slot, usize)> {
        let rest = bytes.get(at..)?;
        if self.word > 0
            && let Some(word) = rest.first_chunk()
        {
            let found = self.look_at_word(u64::from_le_bytes(*word));
            let slot = Slot { at: u32::try_from(at).ok()?, len: self.max, form: self.form };
            return (found == 0).then(|| (slot, at + usize::from(self.word)));
        }
        let (units, lead) = self.units(rest)?;
        let rest = rest.get(lead..)?;
        let len = if self.form == Form::Hex { units * 2 } else { units };
        let need = self.look(rest, len)?;
        let at = at + lead;
        let slot =
            Slot { at: u32::try_from(at).ok()?, len: u16::try_from(len).ok()?, form: self.form };
        Some((slot, at + need))
    }

    /// What is wrong with a value of one word.
    #[inline]
    const fn look_at_word(self, word: u64) -> u64 {
        let found = match self.form {
            Form::BcdRight | Form::BcdLeft => word::above_nine(word),
            Form::Digits => word::no_digit(word),
            Form::Printable => word::not_printable(word),
            _ => word::not_ascii(word),
        };
        found & self.looked_at
    }

    /// The length of the field in units, and the bytes of its prefix.
    #[inline]
    fn units(self, rest: &[u8]) -> Option<(usize, usize)> {
        let two = |byte: u8| {
            (byte & 0x0F <= 9 && byte < 0xA0).then(|| usize::from(byte - 6 * (byte >> 4)))
        };
        let digit = |byte: u8| {
            let digit = byte.wrapping_sub(b'0');
            (digit <= 9).then(|| usize::from(digit))
        };
        let (units, lead) = match (self.lead, rest) {
            (Lead::Fixed, _) => return Some((usize::from(self.max), 0)),
            (Lead::Packed1, [byte, ..]) => (two(*byte)?, 1),
            (Lead::Packed2, [high, low, ..]) => (two(*high)? * 100 + two(*low)?, 2),
            (Lead::Ascii2, [tens, ones, ..]) => (digit(*tens)? * 10 + digit(*ones)?, 2),
            (Lead::Ascii3, [hundreds, tens, ones, ..]) => {
                (digit(*hundreds)? * 100 + digit(*tens)? * 10 + digit(*ones)?, 3)
            }
            _ => return None,
        };
        (units <= usize::from(self.max)).then_some((units, lead))
    }

    /// The bytes of the value that `rest` begins with, if it is sound.
    #[inline]
    fn look(self, rest: &[u8], len: usize) -> Option<usize> {
        let (need, good) = match self.form {
            Form::BcdRight => (len.div_ceil(2), word::are_packed(rest, len, Filler::Right)),
            Form::BcdLeft => (len.div_ceil(2), word::are_packed(rest, len, Filler::Left)),
            Form::Digits => (len, word::are_digits(rest, len)),
            Form::Printable => (len, word::are_printable(rest, len)),
            Form::Ascii | Form::Gbk => (len, word::are_ascii(rest, len)),
            Form::Hex => (len, word::are_hex(rest, len)),
            Form::Track => (len, word::are_track(rest, len)),
            Form::TrackRight | Form::TrackLeft => (len.div_ceil(2), len.div_ceil(2) <= rest.len()),
            Form::Raw => (len, len <= rest.len()),
            Form::Tlv => (len, rest.get(..len).is_some_and(tlv::are_short)),
            Form::Absent
            | Form::Signed
            | Form::SignedBcd
            | Form::Ebcdic
            | Form::EbcdicHex
            | Form::OwnText
            | Form::OwnBytes
            | Form::TooLong => return None,
        };
        good.then_some(need)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::dice::Dice;
    use crate::long;
    use crate::reader::Reader;

    /// Bytes that are often sound: digits packed and not, lengths, tags, with something else now and then.
    fn bytes(dice: &mut Dice) -> Vec<u8> {
        let kind = dice.below(5);
        let length = dice.below(64);
        let mut bytes: Vec<u8> = (0..length)
            .map(|_| match kind {
                0 => b'0' + dice.byte() % 10,
                1 => dice.byte() % 10 * 16 + dice.byte() % 10,
                2 => b"0123456789ABCDEF="[dice.below(17)],
                3 => dice.byte() % 0x60 + 0x20,
                _ => dice.byte(),
            })
            .collect();
        if dice.below(3) == 0 && length > 0 {
            bytes[dice.below(length)] = dice.byte();
        }
        let small = u8::try_from(dice.below(20)).expect("small");
        let prefix = match dice.below(5) {
            0 => vec![small / 10 * 16 + small % 10],
            1 => vec![0, small / 10 * 16 + small % 10],
            2 => format!("{small:02}").into_bytes(),
            3 => format!("{small:03}").into_bytes(),
            _ => vec![],
        };
        prefix.into_iter().chain(bytes).collect()
    }

    #[test]
    fn the_short_road_ends_where_the_long_one_does() {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let (mut short, mut sound) = (0, 0);
        for dialect in crate::SHIPPED.iter().filter_map(|name| Dialect::shipped(name)) {
            for spec in dialect.fields().chain(dialect.fields()) {
                let plan = dialect.plan(spec.number).expect("a field");
                for _ in 0..400 {
                    let bytes = bytes(&mut dice);
                    let mut reader = Reader::new(&bytes);
                    let long = match long::read_field(spec, &mut reader) {
                        Ok((slot, Ok(()))) => Some((slot.at, slot.len, slot.form, reader.at())),
                        Ok((_, Err(_))) | Err(_) => None,
                    };
                    let read = plan.read(&bytes, 0);
                    let read = read.map(|(slot, end)| (slot.at, slot.len, slot.form, end));
                    assert!(read.is_none() || read == long, "{} {bytes:02X?}", spec.number);
                    let rare = matches!(plan.form, Form::Gbk | Form::Tlv)
                        || matches!(plan.form, Form::Signed | Form::SignedBcd | Form::Absent);
                    assert!(read == long || rare, "{} {bytes:02X?}", spec.number);
                    short += usize::from(read.is_some());
                    sound += usize::from(long.is_some());
                }
            }
        }
        assert!(short > 10_000 && sound >= short, "{short} {sound}");
    }
}

//! Bytes looked at and turned eight at a time, or by tables: packed digits, ASCII digits, hexadecimal.
//!
//! A look at a value gets all that stands from its first byte on, so that a short value is one load. What
//! follows the value is loaded with it and ignored.

use crate::digits::{Filler, hex_digit, hex_value};

const fn every(byte: u8) -> u64 {
    0x0101_0101_0101_0101 * byte as u64
}

/// The high bit of every byte that is in `low..=high`; right where all bytes are ASCII.
const fn within(word: u64, low: u8, high: u8) -> u64 {
    let from = word.wrapping_add(every(0x80 - low));
    let past = word.wrapping_add(every(0x7F - high));
    from & !past & every(0x80)
}

/// Something in each byte that is none of those that `good` marks with their high bit.
const fn not(word: u64, good: u64) -> u64 {
    (word | !good) & every(0x80)
}

/// The high bit of each byte that is no ASCII digit.
pub(crate) const fn no_digit(word: u64) -> u64 {
    not(word, within(word, b'0', b'9'))
}

/// The high bit of each byte that is not printable ASCII.
pub(crate) const fn not_printable(word: u64) -> u64 {
    not(word, within(word, b' ', b'~'))
}

/// The high bit of each byte that is not ASCII.
pub(crate) const fn not_ascii(word: u64) -> u64 {
    word & every(0x80)
}

/// The high bit of each nibble that is above nine: its bit 8 stands together with bit 4 or bit 2.
pub(crate) const fn above_nine(word: u64) -> u64 {
    word & (word << 1 | word << 2) & every(0x88)
}

/// Whether `bad` finds nothing in the first `count` bytes of `rest`. What it says of a byte must not
/// depend on the bytes after it.
#[inline]
fn clear(rest: &[u8], count: usize, bad: impl Fn(u64) -> u64) -> bool {
    let Some(value) = rest.get(..count) else { return false };
    if let Some(last) = value.last_chunk::<8>() {
        let words = value.as_chunks::<8>().0.iter();
        let last = bad(u64::from_le_bytes(*last));
        return words.fold(last, |found, word| found | bad(u64::from_le_bytes(*word))) == 0;
    }
    if count == 0 {
        return true;
    }
    let word = rest.first_chunk::<8>().copied().unwrap_or_else(|| {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(value) {
            *to = *from;
        }
        word
    });
    bad(u64::from_le_bytes(word)) << (64 - 8 * count) == 0
}

/// Whether the first `count` bytes are ASCII digits.
#[inline]
pub(crate) fn are_digits(rest: &[u8], count: usize) -> bool {
    clear(rest, count, no_digit)
}

/// Whether the first `count` bytes are printable ASCII.
#[inline]
pub(crate) fn are_printable(rest: &[u8], count: usize) -> bool {
    clear(rest, count, not_printable)
}

/// Whether the first `count` bytes are ASCII.
#[inline]
pub(crate) fn are_ascii(rest: &[u8], count: usize) -> bool {
    clear(rest, count, not_ascii)
}

/// Whether the first `count` bytes are upper-case hexadecimal digits.
#[inline]
pub(crate) fn are_hex(rest: &[u8], count: usize) -> bool {
    clear(rest, count, |word| not(word, within(word, b'0', b'9') | within(word, b'A', b'F')))
}

/// Whether the first `count` bytes are characters of a track.
#[inline]
pub(crate) fn are_track(rest: &[u8], count: usize) -> bool {
    clear(rest, count, |word| not(word, within(word, b'0', b'?') | within(word, b'A', b'F')))
}

/// Whether the first `count` bytes are characters of a track that can be packed.
#[inline]
pub(crate) fn are_track_nibbles(rest: &[u8], count: usize) -> bool {
    clear(rest, count, |word| {
        let good = within(word, b'0', b'9') | within(word, b'=', b'=') | within(word, b'A', b'F');
        not(word, good)
    })
}

/// Whether `units` packed digits are digits, and the filler before the first one is 0. That after the
/// last one is not looked at: terminals fill it with 0 or F.
#[inline]
pub(crate) fn are_packed(rest: &[u8], units: usize, filler: Filler) -> bool {
    if units.is_multiple_of(2) {
        return clear(rest, units / 2, above_nine);
    }
    match filler {
        Filler::Right => {
            clear(rest, units / 2, above_nine)
                && rest.get(units / 2).is_some_and(|last| *last < 0xA0)
        }
        Filler::Left => {
            rest.first().is_some_and(|first| *first < 0x10)
                && clear(rest, units / 2 + 1, above_nine)
        }
    }
}

type Pairs = [[u8; 2]; 256];

const fn pairs(d: u8) -> Pairs {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0_u8;
    loop {
        let (high, low) = (hex_digit(byte >> 4), hex_digit(byte));
        pairs[byte as usize] =
            [if high == b'D' { d } else { high }, if low == b'D' { d } else { low }];
        if byte == 0xFF {
            return pairs;
        }
        byte += 1;
    }
}

/// The two characters of packed track nibbles, the separator D as `=`; of packed digits as well.
static TRACK: Pairs = pairs(b'=');
/// The two upper-case hexadecimal digits of a byte.
static HEX: Pairs = pairs(b'D');

#[inline]
fn look_up(table: &'static Pairs, byte: u8) -> [u8; 2] {
    table.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Writes packed digits or track nibbles as text, as many as `to` has room for.
#[inline]
pub(crate) fn unpack(packed: &[u8], filler: Filler, to: &mut [u8]) {
    let skip = usize::from(filler == Filler::Left && !to.len().is_multiple_of(2));
    if let (1, Some(first), Some(byte)) = (skip, to.first_mut(), packed.first()) {
        [_, *first] = look_up(&TRACK, *byte);
    }
    let (packed, to) =
        (packed.get(skip..).unwrap_or_default(), to.get_mut(skip..).unwrap_or_default());
    let (pairs, odd) = to.as_chunks_mut::<2>();
    if let (Some(last), Some(byte)) = (odd.first_mut(), packed.get(pairs.len())) {
        [*last, _] = look_up(&TRACK, *byte);
    }
    for (pair, byte) in pairs.iter_mut().zip(packed) {
        *pair = look_up(&TRACK, *byte);
    }
}

/// Writes bytes as upper-case hexadecimal text, two characters a byte.
#[inline]
pub(crate) fn write_hex(bytes: &[u8], to: &mut [u8]) {
    for (pair, byte) in to.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = look_up(&HEX, *byte);
    }
}

const fn values() -> [u8; 256] {
    let mut values = [0xFF; 256];
    let mut digit = 0_u8;
    loop {
        values[digit as usize] = match hex_value(digit) {
            Some(value) => value,
            None => 0xFF,
        };
        if digit == 0xFF {
            return values;
        }
        digit += 1;
    }
}

/// The value of a hexadecimal digit of either case, 0xFF for every other byte.
static VALUES: [u8; 256] = values();

/// The byte that two hexadecimal digits of either case say.
#[inline]
pub(crate) fn byte_of_hex([high, low]: [u8; 2]) -> Option<u8> {
    let value = |digit: u8| VALUES.get(usize::from(digit)).copied().unwrap_or(0xFF);
    let (high, low) = (value(high), value(low));
    ((high | low) <= 0x0F).then_some(high << 4 | low)
}

/// The nibble of a digit, of a letter from A to F, or of the separator of a track.
const fn nibble(character: u8) -> u8 {
    (character & 0x0F) + 9 * (character >> 6)
}

/// Writes characters that were looked at as packed nibbles; an odd one gets `fill` beside it.
#[inline]
pub(crate) fn pack(text: &[u8], filler: Filler, fill: u8, to: &mut [u8]) {
    let skip = usize::from(filler == Filler::Left && !text.len().is_multiple_of(2));
    if let (1, Some(first), Some(character)) = (skip, to.first_mut(), text.first()) {
        *first = fill << 4 | nibble(*character);
    }
    let (text, to) = (text.get(skip..).unwrap_or_default(), to.get_mut(skip..).unwrap_or_default());
    let (pairs, odd) = text.as_chunks::<2>();
    if let (Some(last), Some(byte)) = (odd.first(), to.get_mut(pairs.len())) {
        *byte = nibble(*last) << 4 | fill;
    }
    for (byte, [high, low]) in to.iter_mut().zip(pairs) {
        *byte = nibble(*high) << 4 | nibble(*low);
    }
}

/// The number that ASCII digits say, at most eighteen.
#[inline]
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    let add = |sum: u64, byte: &u8| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| sum * 10 + u64::from(digit))
    };
    if digits.len() > 18 { None } else { digits.iter().try_fold(0, add) }
}

/// The number that packed digits say, at most eighteen; nothing if a nibble is no digit.
#[inline]
pub(crate) fn packed_number(packed: &[u8], units: usize, filler: Filler) -> Option<u64> {
    let add = |sum: u64, digit: u8| (digit <= 9).then(|| sum * 10 + u64::from(digit));
    let both = |sum: u64, byte: &u8| {
        let digits = *byte & 0x0F <= 9 && *byte < 0xA0;
        digits.then(|| sum * 100 + u64::from(*byte) - 6 * u64::from(*byte >> 4))
    };
    let odd = !units.is_multiple_of(2);
    match (packed.split_first(), packed.split_last()) {
        _ if units > 18 => None,
        (Some((first, rest)), _) if odd && filler == Filler::Left => {
            rest.iter().try_fold(add(0, first & 0x0F)?, both)
        }
        (_, Some((last, rest))) if odd => add(rest.iter().try_fold(0, both)?, last >> 4),
        _ => packed.iter().try_fold(0, both),
    }
}

/// The bits that sixteen upper-case hexadecimal digits say.
#[inline]
pub(crate) fn bits_of_hex(text: &[u8; 16]) -> Option<u64> {
    are_hex(text, 16)
        .then(|| text.iter().fold(0, |bits, digit| bits << 4 | u64::from(nibble(*digit))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte value at each place of values of each length, with and without bytes after them.
    fn check(look: fn(&[u8], usize) -> bool, good: impl Fn(u8) -> bool, sound: u8) {
        for count in 0..20 {
            for at in 0..count {
                for byte in 0..=255_u8 {
                    let mut value = vec![sound; count];
                    value[at] = byte;
                    assert_eq!(look(&value, count), good(byte), "{byte} at {at} of {count}");
                    for after in [0, 0xFF] {
                        value.resize(count + 9, after);
                        assert_eq!(look(&value, count), good(byte), "{byte} at {at} of {count}");
                    }
                }
            }
            assert!(look(&vec![sound; count], count));
            assert!(!look(&vec![sound; count], count + 1));
        }
    }

    #[test]
    fn looks_see_each_byte_and_none_beyond() {
        check(are_digits, |byte| byte.is_ascii_digit(), b'9');
        check(are_printable, |byte| matches!(byte, b' '..=b'~'), b' ');
        check(are_ascii, |byte| byte.is_ascii(), 0);
        check(are_hex, |byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'), b'F');
        check(are_track, |byte| matches!(byte, b'0'..=b'?' | b'A'..=b'F'), b'?');
        let nibbles = |byte| matches!(byte, b'0'..=b'9' | b'=' | b'A'..=b'F');
        check(are_track_nibbles, nibbles, b'=');
        let packed = |byte| crate::digits::both_decimal(byte);
        check(|rest, count| are_packed(rest, count * 2, Filler::Right), packed, 0x99);
    }

    #[test]
    fn the_filler_is_ignored_on_the_right_and_zero_on_the_left() {
        for (packed, units, filler, good) in [
            (&[0x12, 0x3F][..], 3, Filler::Right, true),
            (&[0x12, 0x3F], 4, Filler::Right, false),
            (&[0x12, 0xA0], 3, Filler::Right, false),
            (&[0x01, 0x23], 3, Filler::Left, true),
            (&[0x11, 0x23], 3, Filler::Left, false),
            (&[0x01, 0x2A], 3, Filler::Left, false),
            (&[0x01], 3, Filler::Left, false),
            (&[0x01], 3, Filler::Right, false),
            (&[], 0, Filler::Left, true),
        ] {
            assert_eq!(are_packed(packed, units, filler), good, "{packed:?} {units}");
        }
    }

    #[test]
    fn packed_text_comes_back() {
        for filler in [Filler::Left, Filler::Right] {
            for length in 0..21 {
                let text: Vec<u8> = b"0123=56789ABCEF012345".iter().copied().take(length).collect();
                let mut packed = vec![0xEE; length.div_ceil(2)];
                pack(&text, filler, 0x0F, &mut packed);
                let mut again = vec![0; length];
                unpack(&packed, filler, &mut again);
                assert_eq!(again, text);
                let fill = if filler == Filler::Left {
                    packed.first().map(|byte| byte >> 4)
                } else {
                    packed.last().map(|byte| byte & 0x0F)
                };
                assert!(length % 2 == 0 || fill == Some(0x0F));
            }
        }
        let mut hex = [0; 6];
        write_hex(&[0x0D, 0xF1, 0x9A], &mut hex);
        assert_eq!(&hex, b"0DF19A");
        assert_eq!(bits_of_hex(b"70200000000000F1"), Some(0x7020_0000_0000_00F1));
        assert_eq!(bits_of_hex(b"70200000000000f1"), None);
        assert_eq!(number(b"000000012345"), Some(12_345));
        assert_eq!(number(b"12a"), None);
        for (packed, units, filler, said) in [
            (&[0x12, 0x34][..], 4, Filler::Right, Some(1234)),
            (&[0x12, 0x3F], 3, Filler::Right, Some(123)),
            (&[0xF1, 0x23], 3, Filler::Left, Some(123)),
            (&[0x1D, 0x23], 4, Filler::Left, None),
            (&[0x99; 9], 18, Filler::Left, Some(999_999_999_999_999_999)),
            (&[0x99; 10], 19, Filler::Left, None),
        ] {
            assert_eq!(packed_number(packed, units, filler), said);
        }
        assert_eq!(number(&[b'1'; 19]), None);
    }
}

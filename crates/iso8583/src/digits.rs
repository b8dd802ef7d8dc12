//! Digits as binary-coded decimals and bytes as hexadecimal text, both ways.

use crate::word;

/// Which nibble of an odd number of digits is filler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filler {
    /// The high nibble of the first byte.
    Left,
    /// The low nibble of the last byte.
    Right,
}

/// The value of one hexadecimal digit of either case.
pub(crate) const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The upper-case hexadecimal digit of the low four bits of `nibble`.
pub(crate) const fn hex_digit(nibble: u8) -> u8 {
    match nibble & 0x0F {
        low @ 0..=9 => b'0' + low,
        low => b'A' + low - 10,
    }
}

/// `bytes` as upper-case hexadecimal text.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len() * 2];
    word::write_hex(bytes, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// The bytes of a hexadecimal text of either case; nothing if it has other characters or an odd length.
#[must_use]
pub fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(pairs.len());
    for pair in pairs {
        bytes.push(word::byte_of_hex(*pair)?);
    }
    Some(bytes)
}

/// Appends nibbles packed two a byte; an odd count gets `fill` on the side that `filler` says.
pub(crate) fn pack(
    nibbles: impl ExactSizeIterator<Item = u8>,
    filler: Filler,
    fill: u8,
    mut push: impl FnMut(u8),
) {
    let odd = nibbles.len() % 2 == 1;
    let mut high = (odd && filler == Filler::Left).then_some(fill);
    for nibble in nibbles {
        match high.take() {
            None => high = Some(nibble),
            Some(first) => push(first << 4 | nibble),
        }
    }
    if let Some(last) = high {
        push(last << 4 | fill);
    }
}

/// Whether both nibbles of a byte are decimal digits.
pub(crate) const fn both_decimal(byte: u8) -> bool {
    byte >> 4 <= 9 && byte & 0x0F <= 9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_digits_come_back() {
        for (digits, filler, packed) in [
            (&[0, 2, 1][..], Filler::Right, &[0x02, 0x10][..]),
            (&[0, 0, 1], Filler::Left, &[0x00, 0x01]),
            (&[1, 2], Filler::Left, &[0x12]),
            (&[], Filler::Left, &[]),
        ] {
            let mut out = Vec::new();
            pack(digits.iter().copied(), filler, 0, |byte| out.push(byte));
            assert_eq!(out, packed);
            let mut again = vec![0; digits.len()];
            word::unpack(packed, filler, &mut again);
            assert!(again.iter().zip(digits).all(|(text, digit)| text - b'0' == *digit));
        }
    }

    #[test]
    fn hexadecimal_text_comes_back() {
        assert_eq!(from_hex(b"00fFa5"), Some(vec![0, 255, 0xA5]));
        assert_eq!(to_hex(&[0, 255, 0xA5]), "00FFA5");
        assert_eq!(from_hex(b"0"), None);
        for byte in 0..=255_u8 {
            let expected = hex_value(byte).map(|value| vec![value]);
            assert_eq!(from_hex(&[b'0', byte]), expected);
            assert_eq!(from_hex(&[byte, b'0']), expected.map(|value| vec![value[0] << 4]));
        }
    }
}

//! How ledgers name a card: by a hash that both sides compute, never by its number.

use aws_lc_rs::digest::{SHA256, digest};

/// The name of a card in ledgers: the first sixteen bytes of SHA-256 over `interlock ledger ` and its digits, in lower-case
/// hexadecimal. It has no key, so that terminal and issuer agree without sharing one; it is for test cards.
#[must_use]
pub fn pan_hash(digits: &str) -> String {
    hex(&card_name(digits))
}

/// As [`pan_hash`], in bytes.
pub(crate) fn card_name(digits: &str) -> [u8; 16] {
    let mut named = Vec::with_capacity(40);
    named.extend_from_slice(b"interlock ledger ");
    named.extend_from_slice(digits.as_bytes());
    let hash = digest(&SHA256, &named);
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    name
}

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes that lower-case hexadecimal writes, as far as they are needed; zeros for what is none.
pub(crate) fn from_hex(text: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).unwrap_or("");
        *byte = u8::from_str_radix(pair, 16).unwrap_or(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{card_name, from_hex, pan_hash};

    #[test]
    fn a_card_has_one_name_and_its_number_is_not_in_it() {
        let hash = pan_hash("6200000000000005");
        assert_eq!(hash.len(), 32);
        assert_eq!(from_hex(&hash), card_name("6200000000000005"));
        assert_eq!(hash, pan_hash("6200000000000005"));
        assert_ne!(hash, pan_hash("6212345678901232"));
        assert!(!hash.contains("0000000005"));
    }
}

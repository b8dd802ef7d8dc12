//! How ledgers name a card: by a hash that both sides compute, never by its number.

use aws_lc_rs::digest::{SHA256, digest};

/// The name of a card in ledgers: the first sixteen bytes of SHA-256 over `interlock ledger ` and its digits, in lower-case
/// hexadecimal. It has no key, so that terminal and issuer agree without sharing one; it is for test cards.
#[must_use]
pub fn pan_hash(digits: &str) -> String {
    let mut named = Vec::with_capacity(40);
    named.extend_from_slice(b"interlock ledger ");
    named.extend_from_slice(digits.as_bytes());
    let hash = digest(&SHA256, &named);
    let mut text = String::with_capacity(32);
    for byte in hash.as_ref().iter().take(16) {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::pan_hash;

    #[test]
    fn a_card_has_one_name_and_its_number_is_not_in_it() {
        let hash = pan_hash("6200000000000005");
        assert_eq!(hash.len(), 32);
        assert_eq!(hash, pan_hash("6200000000000005"));
        assert_ne!(hash, pan_hash("6212345678901232"));
        assert!(!hash.contains("0000000005"));
    }
}

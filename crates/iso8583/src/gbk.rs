//! GBK, in which fields of bytes have their text (FACTS section 2): ASCII is a part of it.

use std::borrow::Cow;

use encoding_rs::GBK;

/// The text of these bytes; nothing if they are not GBK.
#[must_use]
pub fn from_gbk(bytes: &[u8]) -> Option<Cow<'_, str>> {
    GBK.decode_without_bom_handling_and_without_replacement(bytes)
}

/// The bytes of this text; nothing if it has a character that GBK does not have.
#[must_use]
pub fn to_gbk(text: &str) -> Option<Cow<'_, [u8]>> {
    let (bytes, _, unmapped) = GBK.encode(text);
    (!unmapped).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gbk_has_goes_there_and_back_and_the_rest_does_not() {
        for (text, bytes) in [("", &[][..]), ("03", b"03"), ("分3", &[0xB7, 0xD6, 0x33])] {
            assert_eq!(to_gbk(text).as_deref(), Some(bytes));
            assert_eq!(from_gbk(bytes).as_deref(), Some(text));
        }
        assert_eq!(to_gbk("\u{1F600}"), None);
        assert_eq!(from_gbk(&[0x30, 0xFF]), None);
    }
}

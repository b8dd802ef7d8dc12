//! The packed fields that rows keep for us: what was carried to the issuer, and what it answered.
//!
//! A version byte, then for each field its number (1 byte), its length (2 bytes) and its value. The engine and the store
//! do not look inside. Reading is tolerant: an unknown version reads as empty, a torn end is left out.

use bytes::{BufMut, Bytes, BytesMut};

const VERSION: u8 = 1;

/// Packs fields.
#[derive(Debug)]
pub(crate) struct Packer(BytesMut);

impl Packer {
    pub(crate) fn new() -> Self {
        let mut bytes = BytesMut::with_capacity(96);
        bytes.put_u8(VERSION);
        Self(bytes)
    }

    /// Packs fields that are appended to others.
    pub(crate) fn more() -> Self {
        Self(BytesMut::with_capacity(96))
    }

    /// Appends a field; one of more than 65,535 bytes is left out.
    pub(crate) fn put(&mut self, number: u8, value: &[u8]) {
        if let Ok(length) = u16::try_from(value.len()) {
            self.0.put_u8(number);
            self.0.put_u16(length);
            self.0.put_slice(value);
        }
    }

    /// What is appended to other fields.
    pub(crate) fn finish_more(self) -> Bytes {
        self.0.freeze()
    }

    pub(crate) fn finish(self) -> Bytes {
        if self.0.len() > 1 { self.0.freeze() } else { Bytes::new() }
    }
}

/// The pieces, in one piece of memory: what is kept together is freed together.
pub(crate) fn together<const N: usize>(pieces: [&[u8]; N]) -> [Bytes; N] {
    let mut all = Bytes::from(pieces.concat());
    pieces.map(|piece| all.split_to(piece.len()))
}

/// The fields of a blob, in the order in which they were packed.
pub(crate) fn fields(blob: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = match blob.split_first() {
        Some((&VERSION, rest)) => rest,
        Some(_) | None => &[],
    };
    std::iter::from_fn(move || {
        let (&[number, high, low], after) = rest.split_first_chunk::<3>()?;
        let (value, after) =
            after.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        rest = after;
        Some((number, value))
    })
}

/// One field of a blob.
pub(crate) fn field(blob: &[u8], number: u8) -> Option<&[u8]> {
    fields(blob).find(|(found, _)| *found == number).map(|(_, value)| value)
}

/// One field of a blob that is text.
pub(crate) fn text(blob: &[u8], number: u8) -> Option<&str> {
    std::str::from_utf8(field(blob, number)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_back_and_damage_is_left_out() {
        let mut packer = Packer::new();
        packer.put(3, b"000000");
        packer.put(55, &[0xFF, 0]);
        packer.put(12, b"");
        let blob = packer.finish();
        let all: Vec<_> = fields(&blob).collect();
        assert_eq!(all, [(3, &b"000000"[..]), (55, &[0xFF, 0]), (12, b"")]);
        assert_eq!((text(&blob, 3), field(&blob, 4)), (Some("000000"), None));
        for end in 0..blob.len() {
            assert!(fields(&blob[..end]).count() < 3);
        }
        assert_eq!(fields(b"\x02\x03\0\0").count(), 0);
        assert!(Packer::new().finish().is_empty());
    }
}

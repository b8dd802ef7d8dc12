//! A reader that cannot run past the bytes it was given.

/// Reads a slice from front to back; every step is checked.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next byte.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// All that it was given.
    pub(crate) const fn whole(&self) -> &'a [u8] {
        self.bytes
    }

    /// Goes on at the offset `at`; beyond the end there is nothing to take.
    pub(crate) const fn skip_to(&mut self, at: usize) {
        self.at = at;
    }

    /// How many bytes are left.
    pub(crate) const fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The next `count` bytes, or nothing if there are fewer.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// The next byte, or nothing at the end.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_no_more_than_there_is() {
        let mut reader = Reader::new(b"abc");
        assert_eq!(reader.take(2), Some(&b"ab"[..]));
        assert_eq!(reader.take(2), None);
        assert_eq!(reader.take(usize::MAX), None);
        assert_eq!((reader.at(), reader.left()), (2, 1));
        assert_eq!(reader.byte(), Some(b'c'));
        assert_eq!(reader.byte(), None);
        let mut reader = Reader::new(b"abc");
        reader.skip_to(2);
        assert_eq!(reader.byte(), Some(b'c'));
        reader.skip_to(9);
        assert_eq!((reader.byte(), reader.take(0), reader.left()), (None, None, 0));
    }
}

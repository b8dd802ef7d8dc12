//! The end of a buffer that a message is written to, with room ahead so that short values are one store.

use bytes::BytesMut;

/// Appends to a buffer. What stands beyond its place may be overwritten, and is cut off at the end.
pub(crate) struct Sink<'b> {
    buffer: &'b mut BytesMut,
    at: usize,
}

/// Bytes by which the room grows.
const STEP: usize = 320;
/// Short values are copied in one piece of this length.
const PIECE: usize = 16;

impl<'b> Sink<'b> {
    pub(crate) fn new(buffer: &'b mut BytesMut) -> Self {
        Self { at: buffer.len(), buffer }
    }

    /// Room for `count` bytes at least, at its place; `count` bytes of it are counted as written.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> &mut [u8] {
        let (at, end) = (self.at, self.at + count);
        if end > self.buffer.len() {
            self.grow(end);
        }
        self.at = end;
        self.buffer.get_mut(at..).unwrap_or_default()
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        let room = (end + STEP).min(self.buffer.capacity());
        self.buffer.resize(room.max(end), 0);
    }

    /// Appends the first `count` bytes of `rest`.
    #[inline]
    pub(crate) fn put_from(&mut self, rest: &[u8], count: usize) {
        let to = self.take(count);
        if count <= PIECE
            && let (Some(to), Some(from)) =
                (to.first_chunk_mut::<PIECE>(), rest.first_chunk::<PIECE>())
        {
            *to = *from;
        } else if let (Some(to), Some(from)) = (to.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
    }

    /// Appends the first `count` bytes of the word, at most all of it.
    #[inline]
    pub(crate) fn put_word(&mut self, word: [u8; 8], count: usize) {
        self.put_array(word);
        self.at -= word.len().saturating_sub(count);
    }

    /// Appends `bytes`.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.put_from(bytes, bytes.len());
    }

    /// Appends the array.
    #[inline]
    pub(crate) fn put_array<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some(to) = self.take(N).first_chunk_mut() {
            *to = bytes;
        }
    }

    /// Appends so many spaces.
    #[inline]
    pub(crate) fn put_spaces(&mut self, count: usize) {
        if count > 0
            && let Some(to) = self.take(count).get_mut(..count)
        {
            to.fill(b' ');
        }
    }

    /// Cuts off what is beyond its place.
    pub(crate) fn finish(self) {
        self.buffer.truncate(self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_put_stays() {
        let mut buffer = BytesMut::from(&b"before"[..]);
        let mut sink = Sink::new(&mut buffer);
        sink.put_from(b"0123456789abcdefXXX", 3);
        sink.put_word(*b"arXXXXXX", 2);
        sink.put(&[b'x'; 700]);
        sink.put_spaces(2);
        sink.put(b"end");
        sink.finish();
        assert!(buffer.starts_with(b"before012arxxx") && buffer.ends_with(b"xx  end"));
        assert_eq!(buffer.len(), 6 + 3 + 2 + 700 + 2 + 3);
    }
}

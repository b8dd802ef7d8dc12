//! Takes frames out of a stream of bytes, never holding more than one unfinished frame.

use bytes::{Buf, Bytes, BytesMut};
use iso8583::{Framing, FramingError};

/// What came out of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// A frame, without its length header.
    Frame(Bytes),
    /// A frame of no length: a keep-alive.
    KeepAlive,
}

/// The stream cannot be cut into frames from here on: it must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length header is none.
    #[error(transparent)]
    Header(#[from] FramingError),
    /// A frame says that it is longer than what is allowed.
    #[error("a frame of {length} bytes, where {max} are allowed")]
    TooLong {
        /// What its header says.
        length: usize,
        /// What is allowed.
        max: usize,
    },
    /// A frame is too short to be a message.
    #[error("a frame of {length} bytes is too short for a message")]
    TooShort {
        /// What its header says.
        length: usize,
    },
}

/// The shortest message that any dialect has: a message type and a bitmap.
const SHORTEST: usize = 4;

/// An incremental cutter of frames. Frames share the memory in which they arrived.
#[derive(Debug)]
pub struct Deframer {
    framing: Framing,
    max_frame: usize,
    held: BytesMut,
}

impl Deframer {
    /// A cutter for `framing` that refuses frames of more than `max_frame` bytes.
    #[must_use]
    pub fn new(framing: Framing, max_frame: usize) -> Self {
        Self { framing, max_frame, held: BytesMut::new() }
    }

    /// Appends what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next frame, if it is complete. Its length is judged as soon as its header is there, before any room is made
    /// for it.
    ///
    /// # Errors
    /// The header is none, or says a length that is not allowed.
    pub fn take(&mut self) -> Result<Option<Framed>, FrameError> {
        let Some(length) = self.framing.read(&self.held)? else {
            return Ok(None);
        };
        let header = self.framing.header_length();
        if length > self.max_frame {
            return Err(FrameError::TooLong { length, max: self.max_frame });
        }
        if (1..SHORTEST).contains(&length) {
            return Err(FrameError::TooShort { length });
        }
        if self.held.len() < header + length {
            return Ok(None);
        }
        let frame = if self.held.len() == header + length {
            // The usual case, one whole frame: it takes the memory with it, and an idle connection holds no buffer.
            let mut whole = std::mem::take(&mut self.held);
            whole.advance(header);
            whole.freeze()
        } else {
            self.held.advance(header);
            self.held.split_to(length).freeze()
        };
        Ok(Some(if length == 0 { Framed::KeepAlive } else { Framed::Frame(frame) }))
    }

    /// Bytes of an unfinished frame.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.held.len()
    }

    /// The bytes held, for what stands before the first frame.
    pub(crate) fn peek(&self) -> &[u8] {
        &self.held
    }

    /// Drops the first `count` bytes held.
    pub(crate) fn skip(&mut self, count: usize) {
        self.held.advance(count.min(self.held.len()));
        self.release();
    }

    /// An idle connection holds no buffer.
    fn release(&mut self) {
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(framing: Framing, chunks: &[&[u8]]) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut deframer = Deframer::new(framing, 16);
        let mut frames = Vec::new();
        for chunk in chunks {
            deframer.push(chunk);
            while let Some(framed) = deframer.take()? {
                frames.push(match framed {
                    Framed::Frame(frame) => frame.to_vec(),
                    Framed::KeepAlive => Vec::new(),
                });
            }
        }
        frames.push(deframer.held.to_vec());
        Ok(frames)
    }

    #[test]
    fn frames_are_cut_wherever_the_stream_was_broken() {
        let stream = b"\0\x04abcd\0\0\0\x05efghi\0\x04jk";
        let whole = cut(Framing::Len2, &[stream]).expect("sound");
        assert_eq!(whole, [&b"abcd"[..], b"", b"efghi", b"\0\x04jk"]);
        for at in 0..stream.len() {
            let (left, right) = stream.split_at(at);
            assert_eq!(cut(Framing::Len2, &[left, right]).expect("sound"), whole, "at {at}");
        }
        let singly: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(cut(Framing::Len2, &singly).expect("sound"), whole);
        assert_eq!(cut(Framing::Ascii4, &[b"0004abcd00"]).expect("sound"), [&b"abcd"[..], b"00"]);
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_from_the_header_alone() {
        let too_long = |length| FrameError::TooLong { length, max: 16 };
        for (framing, bytes, error) in [
            (Framing::Len2, &b"\xff\xff"[..], too_long(65_535)),
            (Framing::Len2, b"\0\x11", too_long(17)),
            (Framing::Len2, b"\0\x01", FrameError::TooShort { length: 1 }),
            (Framing::Ascii4, b"9999", too_long(9_999)),
            (Framing::Ascii4, b"00x4", FrameError::Header(FramingError::NotDigits)),
        ] {
            assert_eq!(cut(framing, &[bytes]), Err(error));
        }
    }
}

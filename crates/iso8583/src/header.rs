//! The header of a message on a terminal's line: TPDU and head, kept as they came.

use std::fmt;

use crate::digits::to_hex;

const ROOM: usize = 64;

/// Which parts a header has, in wire order: TPDU (5 bytes), a caller's identification, head (6 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeaderLayout {
    /// Whether there is a TPDU.
    pub tpdu: bool,
    /// Bytes between TPDU and head, at most 48; some acquirers put a caller's identification there.
    pub caller: u8,
    /// Whether there is a head.
    pub head: bool,
}

impl HeaderLayout {
    /// Bytes of the whole header.
    #[must_use]
    pub const fn len(self) -> usize {
        let tpdu = if self.tpdu { 5 } else { 0 };
        let head = if self.head { 6 } else { 0 };
        tpdu + self.caller as usize + head
    }

    /// Whether a message has no header at all.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// The header of one message, opaque but for the two addresses of its TPDU.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; ROOM],
    layout: HeaderLayout,
}

impl Header {
    /// A header of TPDU (60, destination, source) and head.
    #[must_use]
    pub fn new(tpdu: [u8; 5], head: [u8; 6]) -> Self {
        let layout = HeaderLayout { tpdu: true, caller: 0, head: true };
        let mut bytes = [0; ROOM];
        for (to, from) in bytes.iter_mut().zip(tpdu.into_iter().chain(head)) {
            *to = from;
        }
        Self { bytes, layout }
    }

    /// The header in `bytes`; nothing if their number is not the layout's.
    #[must_use]
    pub fn read(layout: HeaderLayout, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != layout.len() {
            return None;
        }
        let mut header = Self { bytes: [0; ROOM], layout };
        header.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(header)
    }

    /// Its parts.
    #[must_use]
    pub const fn layout(&self) -> HeaderLayout {
        self.layout
    }

    /// All its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.layout.len()).unwrap_or(&[])
    }

    fn part(&self, present: bool, from: usize, len: usize) -> Option<&[u8]> {
        present.then(|| self.bytes.get(from..from + len)).flatten()
    }

    /// The five bytes of the TPDU, if there is one.
    #[must_use]
    pub fn tpdu(&self) -> Option<&[u8]> {
        self.part(self.layout.tpdu, 0, 5)
    }

    /// What stands between TPDU and head, if anything.
    #[must_use]
    pub fn caller(&self) -> Option<&[u8]> {
        let caller = usize::from(self.layout.caller);
        self.part(caller > 0, if self.layout.tpdu { 5 } else { 0 }, caller)
    }

    /// The six bytes of the head, if there is one.
    #[must_use]
    pub fn head(&self) -> Option<&[u8]> {
        self.part(self.layout.head, self.layout.len().saturating_sub(6), 6)
    }

    /// The header of the answer: the TPDU's destination and source swapped, all else copied.
    #[must_use]
    pub const fn answer(&self) -> Self {
        let mut answer = *self;
        if self.layout.tpdu {
            let [id, to_high, to_low, from_high, from_low, ..] = self.bytes;
            answer.bytes[0] = id;
            answer.bytes[1] = from_high;
            answer.bytes[2] = from_low;
            answer.bytes[3] = to_high;
            answer.bytes[4] = to_low;
        }
        answer
    }

    /// With this processing requirement, the sixth of the head's twelve digits; as it is where there is no head. Other
    /// digits than 0 to 9 are none.
    #[must_use]
    pub fn with_requirement(mut self, digit: u8) -> Self {
        let at = self.layout.len().saturating_sub(4);
        if self.layout.head
            && digit <= 9
            && let Some(byte) = self.bytes.get_mut(at)
        {
            *byte = (*byte & 0xF0) | digit;
        }
        self
    }

    /// The processing requirement, where there is a head.
    #[must_use]
    pub fn requirement(&self) -> Option<u8> {
        self.head()?.get(2).map(|byte| byte & 0x0F)
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({})", to_hex(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_swaps_the_addresses_and_copies_the_head() {
        let header = Header::new([0x60, 0, 6, 0x11, 0], [0x60, 0x31, 0, 0x31, 7, 0x30]);
        assert_eq!(header.answer().tpdu(), Some(&[0x60, 0x11, 0, 0, 6][..]));
        assert_eq!(header.answer().head(), header.head());
        assert_eq!(header.answer().answer(), header);
    }

    #[test]
    fn the_requirement_is_one_digit_of_the_head() {
        let header = Header::new([0x60; 5], [0x60, 0x31, 0x10, 0x31, 7, 0x30]);
        assert_eq!(header.requirement(), Some(0));
        let asked = header.with_requirement(4);
        assert_eq!(asked.head(), Some(&[0x60, 0x31, 0x14, 0x31, 7, 0x30][..]));
        assert_eq!((asked.requirement(), asked.with_requirement(10)), (Some(4), asked));
        let layout = HeaderLayout { tpdu: true, caller: 0, head: false };
        let bare = Header::read(layout, b"tpdux").expect("5 bytes");
        assert_eq!((bare.with_requirement(1), bare.requirement()), (bare, None));
    }

    #[test]
    fn parts_stand_in_wire_order() {
        let layout = HeaderLayout { tpdu: true, caller: 2, head: true };
        let header = Header::read(layout, b"tpduxcahead..").expect("13 bytes");
        assert_eq!(header.tpdu(), Some(&b"tpdux"[..]));
        assert_eq!(header.caller(), Some(&b"ca"[..]));
        assert_eq!(header.head(), Some(&b"head.."[..]));
        assert_eq!(Header::read(layout, b"short"), None);
        let bare = HeaderLayout { head: true, ..HeaderLayout::default() };
        let header = Header::read(bare, b"head..").expect("6 bytes");
        assert_eq!((header.tpdu(), header.caller()), (None, None));
        assert_eq!(header.answer(), header);
    }
}

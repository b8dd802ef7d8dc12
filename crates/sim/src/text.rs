//! Short texts without allocation: a ledger of millions of lines is kept in memory by them.

use std::fmt;

/// A text of at most `N` bytes; a longer one is cut at a character.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Text<N> {
    pub(crate) const EMPTY: Self = Self { bytes: [0; N], len: 0 };

    pub(crate) fn new(text: &str) -> Self {
        let mut cut = text.len().min(N).min(255);
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        let mut bytes = [0; N];
        for (to, from) in bytes.iter_mut().zip(text.as_bytes().iter().take(cut)) {
            *to = *from;
        }
        Self { bytes, len: u8::try_from(cut).unwrap_or(0) }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.bytes
            .get(..usize::from(self.len))
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or("")
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn texts_are_kept_or_cut() {
        for (text, kept) in [("", ""), ("abc", "abc"), ("abcdef", "abcd"), ("abc\u{e9}", "abc")] {
            assert_eq!(Text::<4>::new(text).as_str(), kept);
        }
        assert_eq!(
            format!("{:>6}|{:?}", Text::<4>::new("ab"), Text::<4>::new("ab")),
            "    ab|\"ab\""
        );
    }
}

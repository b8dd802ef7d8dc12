//! The response code (data element 39) as a small value that is copied, not allocated.

use std::fmt;

/// A response code (data element 39): two characters in the 1987 version, three or four later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code([u8; 4]);

/// A text that is no response code: two to four ASCII letters or digits were expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a response code is two to four ASCII letters or digits")]
pub struct CodeError;

impl Code {
    /// `00`, the plain approval.
    pub const APPROVED: Self = Self(*b"00  ");

    /// `96`, our own fault: what stands where a dialect has no other code.
    pub const SYSTEM_DOWN: Self = Self(*b"96  ");

    /// `30`, a message that cannot be read.
    pub const FORMAT: Self = Self(*b"30  ");

    /// `25`, no such original.
    pub const NOT_FOUND: Self = Self(*b"25  ");

    /// `05`, the plain refusal: what stands for a code of another version that has no other equal.
    pub const NOT_HONOURED: Self = Self(*b"05  ");

    /// The code written in `text`.
    ///
    /// # Errors
    /// `text` is not two to four ASCII letters or digits.
    pub fn new(text: &str) -> Result<Self, CodeError> {
        let bytes = text.as_bytes();
        if !(2..=4).contains(&bytes.len()) || !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return Err(CodeError);
        }
        let mut code = [b' '; 4];
        for (to, from) in code.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(Self(code))
    }

    /// The code as text, without padding.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("").trim_end()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_two_to_four_letters_or_digits() {
        for good in ["00", "A0", "100", "1000"] {
            assert_eq!(Code::new(good).expect("good").as_str(), good);
        }
        for bad in ["", "0", "00000", "0 ", "é0"] {
            assert_eq!(Code::new(bad), Err(CodeError), "{bad}");
        }
    }
}

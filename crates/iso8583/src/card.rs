//! Card data that hides itself: no `Display`, masked in `Debug`, zeroed when dropped.
//!
//! `expose` is the only way to the clear value, so that a search for it finds every use.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::digits::Filler;
use crate::value::ValueError;
use crate::word;

/// Primary account number, the number of a card (data element 2): up to 19 digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Zeroize, ZeroizeOnDrop)]
pub struct Pan {
    digits: [u8; 19],
    len: u8,
}

impl Pan {
    /// The card number written in `digits`. There is no check of its last digit.
    ///
    /// # Errors
    /// Not one to nineteen ASCII digits.
    pub fn new(digits: &str) -> Result<Self, ValueError> {
        let good = (1..=19).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if !good {
            return Err(ValueError { expected: "one to nineteen digits" });
        }
        let mut pan = Self { digits: [0; 19], len: 0 };
        for (to, from) in pan.digits.iter_mut().zip(digits.bytes()) {
            *to = from;
            pan.len += 1;
        }
        Ok(pan)
    }

    /// The card number in packed digits that were looked at.
    pub(crate) fn packed(packed: &[u8], count: usize, filler: Filler) -> Option<Self> {
        let mut pan =
            Self { digits: [0; 19], len: u8::try_from(count).ok().filter(|len| *len > 0)? };
        word::unpack(packed, filler, pan.digits.get_mut(..count)?);
        Some(pan)
    }

    /// The clear digits.
    #[must_use]
    pub fn expose(&self) -> &str {
        let digits = self.digits.get(..usize::from(self.len)).unwrap_or(&[]);
        std::str::from_utf8(digits).unwrap_or("")
    }

    /// The first six digits, which tell the issuer; nothing of a number shorter than 13 digits.
    #[must_use]
    pub fn first6(&self) -> &str {
        if self.len < 13 { "" } else { self.expose().get(..6).unwrap_or("") }
    }

    /// The last four digits; nothing of a number shorter than 13 digits.
    #[must_use]
    pub fn last4(&self) -> &str {
        let from = usize::from(self.len).saturating_sub(4);
        if self.len < 13 { "" } else { self.expose().get(from..).unwrap_or("") }
    }

    /// The number for people: first six and last four with stars between, all stars if it is short.
    #[must_use]
    pub fn masked(&self) -> String {
        let shown = self.first6().len() + self.last4().len();
        let stars = "*".repeat(usize::from(self.len).saturating_sub(shown));
        format!("{}{stars}{}", self.first6(), self.last4())
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pan({})", self.masked())
    }
}

/// Track 2 of a magnetic stripe (data element 35), up to 40 characters with its sentinels.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Track2 {
    text: [u8; 40],
    len: u8,
}

impl Track2 {
    /// The track written in `text`: card number, separator `=` (or `D`), expiry, service code, and so on.
    /// A track that is encrypted has no separator at its place; it is taken as it is.
    ///
    /// # Errors
    /// Empty, longer than 40 characters, or a character other than `0`-`?` and `A`-`F`.
    pub fn new(text: &str) -> Result<Self, ValueError> {
        let good = |byte| matches!(byte, b'0'..=b'?' | b'A'..=b'F');
        if !(1..=40).contains(&text.len()) || !text.bytes().all(good) {
            return Err(ValueError { expected: "1 to 40 characters of track 2" });
        }
        let mut track = Self { text: [0; 40], len: 0 };
        for (to, from) in track.text.iter_mut().zip(text.bytes()) {
            *to = from;
            track.len += 1;
        }
        Ok(track)
    }

    /// The track in packed characters.
    pub(crate) fn packed(packed: &[u8], count: usize, filler: Filler) -> Option<Self> {
        let mut track =
            Self { text: [0; 40], len: u8::try_from(count).ok().filter(|len| *len > 0)? };
        word::unpack(packed, filler, track.text.get_mut(..count)?);
        Some(track)
    }

    /// The clear track.
    #[must_use]
    pub fn expose(&self) -> &str {
        let text = self.text.get(..usize::from(self.len)).unwrap_or(&[]);
        std::str::from_utf8(text).unwrap_or("")
    }

    fn halves(&self) -> Option<(&str, &str)> {
        let text = self.expose();
        text.strip_prefix(';').unwrap_or(text).split_once(['=', 'D'])
    }

    /// The card number before the separator, if there is one.
    #[must_use]
    pub fn pan(&self) -> Option<Pan> {
        Pan::new(self.halves()?.0).ok()
    }

    /// The expiry after the separator, `YYMM`, if there is one.
    #[must_use]
    pub fn expiry(&self) -> Option<&str> {
        let expiry = self.halves()?.1.get(..4)?;
        expiry.bytes().all(|byte| byte.is_ascii_digit()).then_some(expiry)
    }
}

impl fmt::Debug for Track2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Track2(***)")
    }
}

/// An encrypted PIN block (data element 52): eight bytes.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct PinBlock([u8; 8]);

impl PinBlock {
    /// The block of these eight bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The clear bytes of the (still encrypted) block.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Debug for PinBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinBlock(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_shows_only_its_ends() {
        for (digits, masked) in [
            ("6212345678901232", "621234******1232"),
            ("6200000000005", "620000***0005"),
            ("123456789012", "************"),
            ("1", "*"),
        ] {
            let pan = Pan::new(digits).expect("digits");
            assert_eq!(pan.masked(), masked);
            assert_eq!(format!("{pan:?}"), format!("Pan({masked})"));
            assert_eq!(pan.expose(), digits);
        }
        assert!(Pan::new("").is_err());
        assert!(Pan::new("62123456789012345678").is_err());
        assert!(Pan::new("6212 4567").is_err());
    }

    #[test]
    fn a_track_yields_its_card_number_and_expiry() {
        for (track, pan, expiry) in [
            ("6212345678901232=30122010000012300000", Some("6212345678901232"), Some("3012")),
            (";4111111111111111=3012?", Some("4111111111111111"), Some("3012")),
            ("4111111111111111D3012", Some("4111111111111111"), Some("3012")),
            ("62123456789012324A0F91", None, None),
        ] {
            let track = Track2::new(track).expect("track");
            assert_eq!(track.pan().as_ref().map(Pan::expose), pan);
            assert_eq!(track.expiry(), expiry);
            assert_eq!(format!("{track:?}"), "Track2(***)");
        }
        assert!(Track2::new("62123 45=").is_err());
    }
}

//! Keyed hashes of cards and requests, and the sealing of what a reversal needs.

use std::fmt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use iso8583::Pan;
use zeroize::{Zeroize, Zeroizing};

use crate::file::{self, KeyFileError, Secret};
use crate::nonce;

/// The keys that protect card data at rest. Cheap to use, not cheap to make: share them in an `Arc`.
pub struct CardKeys {
    id: u8,
    hash: hmac::Key,
    digest: hmac::Key,
    seal: LessSafeKey,
    check: [u8; 8],
}

/// Nothing was sealed: the operating system gave no random bytes, or the cipher refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot seal card data")]
pub struct SealError;

/// Why sealed bytes do not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too short to be sealed bytes.
    #[error("too short to be sealed card data")]
    Short,
    /// They were sealed with another key.
    #[error("sealed with key {found}, and this is key {own}")]
    OtherKey {
        /// The number of the key that sealed them.
        found: u8,
        /// The number of this key.
        own: u8,
    },
    /// They, or what they were bound to, are not what was sealed.
    #[error("sealed card data does not open: altered, or sealed with another key file")]
    Altered,
}

impl CardKeys {
    /// Makes the key file `path` with a new random secret, readable by its owner only (mode 0600).
    ///
    /// # Errors
    /// The file exists (it is never overwritten), or cannot be written.
    pub fn init(path: &Path) -> Result<(), KeyFileError> {
        file::make(path)
    }

    /// Reads the key file `path`.
    ///
    /// # Errors
    /// It is missing, not a key file, of a wrong length, or open to others than its owner.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        file::read(path).map(|secret| Self::from_secret(&secret))
    }

    fn from_secret(secret: &Secret) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &*secret.bytes);
        let derive = |label: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            key.copy_from_slice(hmac::sign(&root, label).as_ref());
            key
        };
        let hmac_of = |label| hmac::Key::new(hmac::HMAC_SHA256, &*derive(label));
        let seal = UnboundKey::new(&AES_256_GCM, &*derive(b"card data: seal"))
            .expect("AES-256 takes a key of 32 bytes");
        let mut check = [0; 8];
        for (to, from) in check.iter_mut().zip(derive(b"card data: check value").iter()) {
            *to = *from;
        }
        Self {
            id: secret.id,
            hash: hmac_of(b"card data: hash of a card number"),
            digest: hmac_of(b"card data: digest of a request"),
            seal: LessSafeKey::new(seal),
            check,
        }
    }

    /// The check value of the secret: equal for equal secrets, and safe to store and to print, since nothing can be opened,
    /// hashed or found out with it.
    #[must_use]
    pub const fn check_value(&self) -> [u8; 8] {
        self.check
    }

    /// The check value in hexadecimal digits, as databases keep it and messages name it.
    #[must_use]
    pub fn check_text(&self) -> String {
        self.check.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// The keyed hash of a card number: equal for equal numbers, for search and joins. Nobody without
    /// the key can try out numbers against it.
    #[must_use]
    pub fn hash(&self, pan: &Pan) -> [u8; 16] {
        cut(&hmac::sign(&self.hash, pan.expose().as_bytes()))
    }

    /// The keyed digest of a request's content: equal for equal parts in equal order. Where one part
    /// ends and the next begins counts too.
    #[must_use]
    pub fn digest(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.digest);
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            context.update(&length.to_be_bytes());
            context.update(part);
        }
        cut(&context.sign())
    }

    /// `plain` sealed: the key's number (1 byte), a random nonce (12), the encrypted bytes, a tag (16).
    /// It opens only together with the same `aad`, which binds it to its place (its row, for example).
    ///
    /// # Errors
    /// There are no random bytes to be had.
    pub fn seal(&self, plain: &[u8], aad: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal_parts(&[plain], aad)
    }

    /// What [`seal`](Self::seal) makes of the parts one after the other, which need not be put together
    /// in the clear for it.
    ///
    /// # Errors
    /// There are no random bytes to be had.
    pub fn seal_parts(&self, plain: &[&[u8]], aad: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce = nonce::draw(aad).ok_or(SealError)?;
        let length: usize = plain.iter().map(|part| part.len()).sum();
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + length + AES_256_GCM.tag_len());
        sealed.push(self.id);
        sealed.extend_from_slice(&nonce);
        for part in plain {
            sealed.extend_from_slice(part);
        }
        let body = sealed.get_mut(1 + NONCE_LEN..).unwrap_or_default();
        let nonce = Nonce::assume_unique_for_key(nonce);
        match self.seal.seal_in_place_separate_tag(nonce, Aad::from(aad), body) {
            Ok(tag) => sealed.extend_from_slice(tag.as_ref()),
            Err(_) => {
                sealed.zeroize();
                return Err(SealError);
            }
        }
        Ok(sealed)
    }

    /// What [`seal`](Self::seal) sealed with the same `aad`; zeroed when dropped.
    ///
    /// # Errors
    /// The bytes are not what this key sealed with this `aad`.
    pub fn open(&self, sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (found, rest) = sealed.split_first().ok_or(OpenError::Short)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::Short)?;
        if *found != self.id {
            return Err(OpenError::OtherKey { found: *found, own: self.id });
        }
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.seal.open_in_place(nonce, Aad::from(aad), &mut body);
        let length = opened.map_err(|_| OpenError::Altered)?.len();
        body.truncate(length);
        Ok(body)
    }
}

fn cut(tag: &hmac::Tag) -> [u8; 16] {
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    short
}

impl fmt::Debug for CardKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardKeys({}, ***)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(id: u8, byte: u8) -> CardKeys {
        let secret = Secret { id, bytes: Zeroizing::new([byte; 32]) };
        CardKeys::from_secret(&secret)
    }

    #[test]
    fn hashes_are_equal_for_equal_cards_under_one_key() {
        let pan = |digits| Pan::new(digits).expect("digits");
        let ours = keys(1, 7);
        assert_eq!(ours.hash(&pan("6212345678901232")), ours.hash(&pan("6212345678901232")));
        assert_ne!(ours.hash(&pan("6212345678901232")), ours.hash(&pan("6200000000000005")));
        assert_ne!(ours.hash(&pan("6212345678901232")), keys(1, 8).hash(&pan("6212345678901232")));
    }

    #[test]
    fn a_digest_tells_parts_apart() {
        let ours = keys(1, 7);
        assert_eq!(ours.digest(&[b"ab", b"c"]), ours.digest(&[b"ab", b"c"]));
        assert_ne!(ours.digest(&[b"ab", b"c"]), ours.digest(&[b"a", b"bc"]));
        assert_ne!(ours.digest(&[b"ab", b""]), ours.digest(&[b"ab"]));
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_only() {
        let ours = keys(1, 7);
        let sealed = ours.seal(b"6212345678901232", b"row 1").expect("sealed");
        assert_eq!(sealed.len(), 1 + 12 + 16 + 16);
        assert_eq!(&**ours.open(&sealed, b"row 1").expect("opens"), b"6212345678901232");
        assert_ne!(sealed, ours.seal(b"6212345678901232", b"row 1").expect("sealed"));
        let parts = ours.seal_parts(&[b"621234", b"", b"5678901232"], b"row 1").expect("sealed");
        assert_eq!(&**ours.open(&parts, b"row 1").expect("opens"), b"6212345678901232");
        let refused = |keys: &CardKeys, bytes: &[u8], aad: &[u8]| {
            keys.open(bytes, aad).map(|_| ()).expect_err("must not open")
        };
        assert_eq!(refused(&ours, &sealed, b"row 2"), OpenError::Altered);
        assert_eq!(refused(&keys(1, 8), &sealed, b"row 1"), OpenError::Altered);
        assert_eq!(
            refused(&keys(2, 7), &sealed, b"row 1"),
            OpenError::OtherKey { found: 1, own: 2 }
        );
        for cut in 0..sealed.len() {
            let error = refused(&ours, &sealed[..cut], b"row 1");
            assert!(matches!(error, OpenError::Short | OpenError::Altered), "{cut}");
        }
        for at in 13..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(refused(&ours, &altered, b"row 1"), OpenError::Altered);
        }
    }

    /// Computed by another library (Python's cryptography): what is stored must open and be found for ever.
    #[test]
    fn stored_forms_do_not_change() {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let ours = keys(1, 7);
        let pan = Pan::new("6212345678901232").expect("digits");
        assert_eq!(hex(&ours.hash(&pan)), "0e59fa2d2564fffbd71801ee6e1c7555");
        assert_eq!(hex(&ours.digest(&[b"ab", b"c"])), "f4c1598f29ae3409d30e28260efbf949");
        let stored = "01000102030405060708090a0b8f51cd2ad8d81ad0db512d1b5e773d1a09a052ea255b8fd3e0\
                      a2e27398cf5ea6b144aac896";
        let pairs = stored.as_bytes().as_chunks::<2>().0.iter();
        let digit = |digit: u8| char::from(digit).to_digit(16).expect("hexadecimal");
        let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high) * 16 + digit(*low));
        let stored: Vec<u8> = pairs.map(byte).collect::<Result<_, _>>().expect("bytes");
        assert_eq!(&**ours.open(&stored, b"row 1").expect("opens"), b"6212345678901232;3012");
    }

    #[test]
    fn a_check_value_tells_secrets_apart_and_is_no_part_of_them() {
        assert_eq!(keys(1, 7).check_value(), keys(2, 7).check_value());
        assert_ne!(keys(1, 7).check_value(), keys(1, 8).check_value());
        assert_eq!(keys(1, 7).check_text(), "E77E646AFADA4EC7");
    }

    #[test]
    fn nothing_shows_in_debug() {
        assert_eq!(format!("{:?}", keys(1, 7)), "CardKeys(1, ***)");
    }
}

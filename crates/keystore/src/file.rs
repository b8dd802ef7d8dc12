//! The key file: one line, readable by its owner only.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use zeroize::Zeroizing;

/// The first word of the line.
const NAME: &str = "interlock-card-key";
/// The longest file that can be a key file.
const LONGEST: u64 = 200;

/// Why a key file cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is one already: it is never overwritten, since what it sealed would be lost.
    #[error("{}: exists already, and a key is never overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// There is none.
    #[error("{}: no such file; make one with: interlock keys init {}", path.display(), path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Others than its owner may read or write it.
    #[error("{}: mode {mode:04o}, 0600 expected; others may read it", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not a key file, or its key is not of the right length.
    #[error("{}: {found}, {expected} expected", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What was found; never the key.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes to be had")]
    NoRandom,
}

/// A secret and the number by which what it sealed names it.
pub(crate) struct Secret {
    pub(crate) id: u8,
    pub(crate) bytes: Zeroizing<[u8; 32]>,
}

/// Makes a file with a new secret, mode 0600.
pub(crate) fn make(path: &Path) -> Result<(), KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(&mut *bytes).map_err(|_| KeyFileError::NoRandom)?;
    let mut line = Zeroizing::new(format!("{NAME} 1 "));
    for byte in bytes.iter() {
        for nibble in [byte >> 4, byte & 0x0F] {
            line.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    line.push('\n');
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(KeyFileError::Exists { path: path.to_owned() });
        }
        Err(error) => return Err(io(error)),
    };
    file.write_all(line.as_bytes()).map_err(io)?;
    file.sync_all().map_err(io)
}

/// Reads a file that [`make`] made.
pub(crate) fn read(path: &Path) -> Result<Secret, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(KeyFileError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(io(error)),
    };
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Permissions { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(256));
    file.take(LONGEST + 1).read_to_end(&mut text).map_err(io)?;
    parse(&text).map_err(|(found, expected)| KeyFileError::Form {
        path: path.to_owned(),
        found,
        expected,
    })
}

fn parse(text: &[u8]) -> Result<Secret, (String, &'static str)> {
    let not_one =
        || (format!("{} bytes that are no key", text.len()), "a file made by: interlock keys init");
    let text = std::str::from_utf8(text).map_err(|_| not_one())?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let [NAME, id, digits] = words.as_slice() else { return Err(not_one()) };
    let id = id.parse().map_err(|_| (format!("key number {id}"), "a number from 0 to 255"))?;
    let length =
        || (format!("a key of {} characters", digits.len()), "64 hexadecimal digits (32 bytes)");
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return Err(length());
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|v| u8::try_from(v).ok());
        let (Some(high), Some(low)) = (value(*high), value(*low)) else { return Err(length()) };
        *byte = high << 4 | low;
    }
    Ok(Secret { id, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, mode: u32, expected: &str) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("card.key");
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        let error = read(&path).map(|_| ()).expect_err(expected).to_string();
        assert!(error.contains(expected) && error.contains("card.key"), "{error}");
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_reason() {
        let key = "0123456789abcdef".repeat(4);
        check("", 0o600, "0 bytes that are no key");
        check("hello", 0o600, "5 bytes that are no key");
        check(&"x".repeat(5_000), 0o600, "201 bytes that are no key");
        check(&format!("{NAME} 1 {}", key.replace("ef", "")), 0o600, "a key of 56 characters");
        check(&format!("{NAME} 1 {}", key.replace('a', "g")), 0o600, "64 hexadecimal digits");
        check(&format!("{NAME} 300 {key}"), 0o600, "a number from 0 to 255");
        check(&format!("{NAME} 1 {key}"), 0o640, "mode 0640, 0600 expected");
        check(&format!("{NAME} 1 {key}"), 0o604, "mode 0604, 0600 expected");
    }

    #[test]
    fn a_new_file_is_its_owners_and_never_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("card.key");
        assert!(matches!(read(&path), Err(KeyFileError::Missing { .. })));
        make(&path).expect("made");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600);
        let first = read(&path).expect("read").bytes;
        assert!(matches!(make(&path), Err(KeyFileError::Exists { .. })));
        assert_eq!(read(&path).expect("read").bytes, first);
        assert!(matches!(make(&dir.path().join("no/such")), Err(KeyFileError::Io { .. })));
    }
}

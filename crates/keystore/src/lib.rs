//! Keys, and what they do: here the protection of card numbers at rest.
//!
//! A key file is made once with [`CardKeys::init`] and read at each start with [`CardKeys::load`]. From
//! its one secret three keys and a check value are derived, so that what is used for search can open nothing:
//!
//! | use | with | gives |
//! |---|---|---|
//! | search and joins | HMAC-SHA-256, cut to 16 bytes | [`CardKeys::hash`]: equal for equal cards |
//! | content of a request | HMAC-SHA-256, cut to 16 bytes | [`CardKeys::digest`]: equal for equal parts |
//! | telling keys apart | HMAC-SHA-256, cut to 8 bytes | [`CardKeys::check_value`]: kept by the database |
//! | the little that reversals need | AES-256-GCM, random nonce | [`CardKeys::seal`], [`CardKeys::open`] |
//!
//! Losing the file loses the card numbers of reversals that are still owed; keep a copy where the
//! database's copies are not.

mod card;
mod file;
mod nonce;

pub use card::{CardKeys, OpenError, SealError};
pub use file::KeyFileError;

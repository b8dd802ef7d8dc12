//! `interlock decode` and `interlock encode`, one line at a time.

use bytes::BytesMut;

use crate::dialect::Dialect;
use crate::digits::to_hex;
use crate::error::DecodeError;
use crate::json::{decode_error_json, encode_error_json, frame_of, from_json, to_json};
use crate::message::Message;
use crate::table::to_table;

fn decode(dialect: &Dialect, line: &str, framed: bool) -> Result<Message, DecodeError> {
    Message::decode(dialect, frame_of(dialect, line, framed)?)
}

/// A line of JSON for a line of hexadecimal text, as `interlock decode --json` prints it. With `framed`
/// the bytes begin with the length header. Card data is masked unless `clear`.
///
/// # Errors
/// The line of JSON that says what is wrong and where.
pub fn decode_line(
    dialect: &Dialect,
    line: &str,
    framed: bool,
    clear: bool,
) -> Result<String, String> {
    decode(dialect, line, framed)
        .map(|message| to_json(dialect, &message, clear))
        .map_err(|error| decode_error_json(&error))
}

/// A table for people for a line of hexadecimal text, as `interlock decode` prints it.
///
/// # Errors
/// A sentence that says what is wrong and where, after a table of what could be read.
pub fn decode_table(
    dialect: &Dialect,
    line: &str,
    framed: bool,
    clear: bool,
) -> Result<String, String> {
    decode(dialect, line, framed).map(|message| to_table(dialect, &message, clear)).map_err(
        |error| {
            let read = error.partial.as_ref().map(|message| to_table(dialect, message, clear));
            format!("{}error ({}): {error}", read.unwrap_or_default(), error.kind.name())
        },
    )
}

/// A line of hexadecimal text for a line of JSON, as `interlock encode` prints it. With `framed` the
/// bytes begin with the length header.
///
/// # Errors
/// The line of JSON that says what is wrong; its offset is null.
pub fn encode_line(dialect: &Dialect, line: &str, framed: bool) -> Result<String, String> {
    let encoded = from_json(dialect, line).and_then(|message| {
        let mut bytes = BytesMut::new();
        if framed {
            message.encode_framed(dialect, &mut bytes)?;
        } else {
            message.encode(dialect, &mut bytes)?;
        }
        Ok(to_hex(&bytes))
    });
    encoded.map_err(|error| encode_error_json(&error))
}

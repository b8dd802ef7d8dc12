//! ISO 8583 codec, dialects, and the card-data types that hide themselves.
//!
//! A [`Dialect`] is a data file that says how one kind of host or terminal writes messages. With it a
//! [`Message`] is read from the bytes of a frame, and written again:
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use iso8583::{Dialect, Message};
//!
//! let dialect = Dialect::shipped("iso87-ascii").expect("shipped");
//! let frame = Bytes::from_static(b"08000020000000800000000001TERM0001");
//! let message = Message::decode(&dialect, frame.clone()).expect("a sound message");
//! assert_eq!(message.text(11).as_deref(), Some("000001"));
//! let mut again = BytesMut::new();
//! message.encode(&dialect, &mut again).expect("its own dialect");
//! assert_eq!(again, frame);
//! ```

mod card;
mod cause;
mod code;
mod decode;
mod dialect;
#[cfg(test)]
mod dice;
mod digits;
mod ebcdic;
mod encode;
mod error;
mod field;
mod form;
mod framing;
mod gbk;
mod header;
mod json;
mod kind;
mod lines;
mod long;
mod long_put;
mod mask;
mod message;
mod mti;
mod numbered;
mod plan;
mod put;
mod read;
mod reader;
mod sink;
mod slots;
mod table;
mod tlv;
mod value;
mod word;

pub use card::{Pan, PinBlock, Track2};
pub use cause::Cause;
pub use code::{Code, CodeError};
pub use dialect::{
    Class, Dialect, DialectError, DialectFault, Element, Elements, FormatFault, KindRow, LoadError,
    MatchSet, Meaning, NamedBy, NetworkRequest, Original, OriginalRule, Retry, ReversalPolicy,
    SHIPPED, Secondary, Side, Takes,
};
pub use digits::{from_hex, to_hex};
pub use error::{DecodeError, EncodeError, ErrorKind};
pub use field::{
    Content, Counts, Encoding, FieldSpec, Length, LengthEncoding, Padding, Part, Prefix, Privacy,
};
pub use framing::{Framing, FramingError};
pub use gbk::{from_gbk, to_gbk};
pub use header::{Header, HeaderLayout};
pub use json::{decode_error_json, encode_error_json, from_json, to_json};
pub use kind::{Kind, OnSilence};
pub use lines::{decode_line, decode_table, encode_line};
pub use message::Message;
pub use mti::{Mti, MtiError};
pub use table::to_table;
pub use tlv::{Tlv, TlvIter};
pub use value::{Currency, MerchantId, Rrn, Stan, TerminalId, ValueError};

//! ISO 8583 codec, dialects, and the card-data types that hide themselves.

mod cause;
mod code;
mod kind;

pub use cause::Cause;
pub use code::{Code, CodeError};
pub use kind::Kind;

//! Ledgers: what each side says that happened, one JSON object a line.

mod card;
mod line;
mod reader;
mod writer;

pub use card::pan_hash;
pub(crate) use card::{card_name, from_hex, hex};
pub use line::{Line, Role};
pub use reader::{BadLine, LedgerReader};
pub use writer::{LedgerError, LedgerWriter};

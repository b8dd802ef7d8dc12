//! The issuer simulator: a host that posts to accounts, keeps a ledger of it, and misbehaves by script.

mod action;
mod amounts;
mod file;
mod options;
mod rule;
mod script;

pub use file::ScriptError;
pub use options::IssuerOptions;
pub use script::Script;

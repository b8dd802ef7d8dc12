//! The issuer simulator: a host that posts to accounts, keeps a ledger of it, and misbehaves by script.

mod action;
mod amounts;
mod answer;
mod book;
mod connection;
mod desk;
mod file;
mod incoming;
mod options;
mod rule;
mod script;
mod server;

pub use book::Postings;
pub use file::ScriptError;
pub use options::IssuerOptions;
pub use script::Script;
pub use server::{Issuer, IssuerCounts, IssuerError};

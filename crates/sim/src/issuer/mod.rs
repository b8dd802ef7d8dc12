//! The issuer simulator: a host that posts to accounts, keeps a ledger of it, and misbehaves by script.

mod accounts;
mod action;
mod amounts;
mod answer;
mod book;
mod connection;
mod desk;
mod effect;
mod entry;
mod file;
mod host;
mod incoming;
mod options;
mod posting;
mod recall;
mod rule;
mod script;
mod server;
mod telling;

pub use book::Postings;
pub use file::ScriptError;
pub use options::IssuerOptions;
pub use script::Script;
pub use server::{Issuer, IssuerCounts, IssuerError};

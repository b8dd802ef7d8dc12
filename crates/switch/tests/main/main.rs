//! The whole runtime over loopback sockets, on an embedded database, against a small issuer of its own.

mod abuse;
mod day;
mod host;
mod life;
mod line;
mod links;
mod node;
mod originals;
mod purchase;
mod refusals;
mod reroutes;
mod safeguards;
mod terminal;

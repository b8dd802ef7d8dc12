//! The commands of the real binary, as their users call them.

mod check;
mod convert;
mod database;
mod dev;
mod issuer;
mod keys;
mod migrate;
mod safeguards;
mod serve;
mod support;
mod systemd;

//! Durable transaction state on Postgres and SQLite, by group commit under a fence

//! Conformance of the store: the same cases on SQLite and on a Postgres that the tests start themselves.

mod basics;
mod fixture;

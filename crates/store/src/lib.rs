//! Durable transaction state on Postgres and SQLite, by group commit under a fence.
//!
//! [`Store`] is one of two back ends with the same functions. A node takes its [`Lease`], starts a [`Writer`] for each
//! [`Lane`], recovers what its earlier lives left, and then hands over records; what became of them comes back as
//! [`Report`]s. Functions that write are safe to drop: the work goes on in a task of its own.

mod batch;
mod bound;
mod calendar;
mod card_key;
mod config;
mod connection;
mod counter;
mod day_setting;
mod days;
mod error;
mod fault;
mod find;
mod horizon;
mod image;
mod ledger;
mod node;
mod numbers;
mod originals;
mod outage;
mod postgres;
mod recovery;
mod resolve;
mod schema;
mod sqlite;
mod store;
mod writer;

pub use calendar::{Calendar, DayConfig, date_of, day_of};
pub use card_key::{KeptCardKey, look_at_card_key};
pub use config::StoreConfig;
pub use counter::{
    Balance, BatchFile, Ended, Fetched, Group, Line, Opening, Place, Rules, Settled, Settlement,
    SignIn, SignedIn, Source, Sum, TerminalState, TotalSide, Totals, UploadEnd, Uploaded,
};
pub use day_setting::{DaySetError, DaySetting};
pub use days::{DayClock, DayDoubt, DaysKept};
pub use error::StoreError;
pub use find::{CaseFile, Filter, OpenCounts, Owed};
pub use horizon::Horizon;
pub use ledger::LedgerRow;
pub use node::{Beat, Estate, Lane, Lease, READS, SilenceTracker, TakenOver};
pub use outage::{Logged, Outage};
pub use postgres::PostgresStore;
pub use resolve::{Resolution, ResolveError};
pub use sqlite::SqliteStore;
pub use store::Store;
pub use writer::{Report, Writer, WriterHandle};

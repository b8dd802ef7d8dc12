//! What can go wrong with the store, by whose fault.

use std::{io, path::PathBuf};

use switch_core::NodeNo;

/// A fault of the store. Messages name what was found and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address of the database is not one that the store knows.
    #[error("store.url {url:?}: {why}; expected sqlite://FILE or postgres://USER@HOST/DATABASE")]
    Url {
        /// As configured, without its password.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The server would forget what it has confirmed.
    #[error(
        "the database server runs with {setting} = {value}: a commit could be lost; switch it on, or allow it in so many words"
    )]
    Unsafe {
        /// The server's setting.
        setting: &'static str,
        /// Its value.
        value: String,
    },
    /// The database was brought to a version that needs a newer binary.
    #[error(
        "the database needs schema version {min_version} or newer, this binary knows version {own}"
    )]
    TooNew {
        /// What the database asks for.
        min_version: i64,
        /// What this binary knows.
        own: i64,
    },
    /// The database was not brought to this binary's version.
    #[error(
        "the database is at schema version {applied}, this binary needs {own}: run `interlock migrate`"
    )]
    Unmigrated {
        /// What the database has, 0 if nothing.
        applied: i64,
        /// What this binary needs.
        own: i64,
    },
    /// Another process serves under this node's name.
    #[error("node.id {name:?} is in use by {host}: one process a node")]
    Leased {
        /// The name that was asked for.
        name: String,
        /// Who has it.
        host: String,
    },
    /// Another process serves this embedded database.
    #[error("store.url: {} is in use by {host}: one process a file", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
        /// Who has it.
        host: String,
    },
    /// The business day is configured otherwise than the database has it.
    #[error(
        "day.{key} is {configured:?} here and {kept:?} in the database: it must be the same on all nodes"
    )]
    OtherDay {
        /// Which key.
        key: &'static str,
        /// What this node's configuration says.
        configured: String,
        /// What the database has.
        kept: String,
    },
    /// A setting of the business day that cannot be understood.
    #[error("day.{key} {value:?}: {expected}")]
    BadDay {
        /// Which key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The epoch of this node moved on: another process took its place, and this one must end.
    #[error("node {} was taken over: this process may write no more and must end", node.0)]
    Fenced {
        /// This node.
        node: NodeNo,
    },
    /// The embedded database failed at a commit: nobody can say what is on the disk, and the process must end.
    #[error("the embedded database failed at a commit, the process must end")]
    CommitFailed(#[source] sqlx::Error),
    /// All numbers of twelve digits are used up.
    #[error("all transaction numbers below {} are used up", switch_core::TxnId::LIMIT)]
    NumbersExhausted,
    /// A stored value that this binary does not know.
    #[error("a stored {what} is {value}, which this binary does not know")]
    Corrupt {
        /// What it should be.
        what: &'static str,
        /// What stands there.
        value: i64,
    },
    /// The store was used before the node had its lease.
    #[error("no business day is open: the node has no lease yet")]
    NoDay,
    /// The database refused, or could not be reached.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error("a migration of the database failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A file beside the embedded database failed.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl StoreError {
    /// Whether the process must end: another took its place, or nobody can say what is on the disk.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Fenced { .. }
            | Self::Leased { .. }
            | Self::InUse { .. }
            | Self::CommitFailed(_) => true,
            Self::Url { .. }
            | Self::Unsafe { .. }
            | Self::TooNew { .. }
            | Self::Unmigrated { .. }
            | Self::OtherDay { .. }
            | Self::BadDay { .. }
            | Self::NumbersExhausted
            | Self::Corrupt { .. }
            | Self::NoDay
            | Self::Database(_)
            | Self::Migration(_)
            | Self::File { .. } => false,
        }
    }
}

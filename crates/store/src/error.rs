//! What can go wrong with the store, by whose fault.

use std::{error::Error as _, io, path::PathBuf};

use sqlx::migrate::MigrateError;
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
    /// The server cannot be reached.
    #[error("store.url: no connection to {place} within {} s: {why}", crate::postgres::CONNECT_WITHIN.as_secs())]
    Unreachable {
        /// Its host and port, or its socket.
        place: String,
        /// The last attempt's reason.
        why: String,
    },
    /// The server knows neither the user nor the database, or lets neither in.
    #[error("store.url: {place} refuses user {user:?} on database {database:?}: {why}")]
    Refused {
        /// Its host and port, or its socket.
        place: String,
        /// As whom.
        user: String,
        /// Where.
        database: String,
        /// The server's reason.
        why: String,
    },
    /// The database is to be migrated, and this role may not.
    #[error(
        "role {role:?} may not create tables in schema {schema}: run interlock migrate as the owner, or GRANT CREATE"
    )]
    MayNotCreate {
        /// As whom.
        role: String,
        /// Where.
        schema: String,
    },
    /// The server would forget what it has confirmed.
    #[error(
        "the database server runs with {setting} = {value}: a commit could be lost in a crash or at a failover; set it to on \
         for this role and database, or allow it in so many words"
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
    /// The session that held this process's own lease was lost, and the server has not ended it yet.
    #[error(
        "the session that held the lease of node.id {name:?} was lost, and the server has not ended it yet: trying again"
    )]
    LeaseLingers {
        /// The node's name.
        name: String,
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
    #[error("the embedded database failed at a commit, the process must end: {}", reason(.0))]
    CommitFailed(sqlx::Error),
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
    /// The database refused, or could not be reached. Its message is part of this one, and no source: whoever prints a
    /// chain of causes would print it twice.
    #[error("the database failed: {}", reason(.0))]
    Database(sqlx::Error),
    /// A migration failed. Its message is part of this one.
    #[error("a migration of the database failed: {}", migration_reason(.0))]
    Migration(MigrateError),
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
            | Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::MayNotCreate { .. }
            | Self::LeaseLingers { .. }
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

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        Self::Migration(error)
    }
}

/// The database's own words, with the number that names them (SQLSTATE on the server). Never a statement's text, and never
/// the detail of a message, which holds values.
pub(crate) fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(refused) => match refused.code() {
            Some(code) => format!("{} ({code})", refused.message()),
            None => refused.message().to_owned(),
        },
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
            "the server does not answer".to_owned()
        }
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::PoolTimedOut => "no connection could be had in time".to_owned(),
        sqlx::Error::Configuration(source) => source.to_string(),
        other => other.to_string(),
    }
}

fn migration_reason(error: &MigrateError) -> String {
    match error.source().and_then(|source| source.downcast_ref::<sqlx::Error>()) {
        Some(source) => reason(source),
        None => error.to_string(),
    }
}

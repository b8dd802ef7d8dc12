//! How a batch can fail, and what the writer does about it.

use crate::StoreError;

/// What became of one statement that did not give rows back.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A record is bad, or its lock could not be had: split the batch until it stands alone. Nothing was written.
    Bad(sqlx::Error),
    /// A deadlock, or a busy database: the same again. Nothing was written.
    Repeat(sqlx::Error),
    /// The store does not work, and certainly nothing was written (M15).
    Down(sqlx::Error),
    /// Nobody knows whether it was written (I21).
    Unknown(sqlx::Error),
    /// The process must end.
    Fatal(StoreError),
}

/// What a statement that was answered did.
#[derive(Debug)]
pub(crate) enum Written {
    /// It was under the fence; for each record of the batch, whether it was applied.
    Done(Vec<bool>),
    /// It was not under the fence: nothing was written. The epoch or the day moved on.
    Missed,
}

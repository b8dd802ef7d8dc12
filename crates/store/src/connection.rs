//! A writer's connection to either back end: the same functions on both.

use std::sync::Arc;

use switch_core::{Day, Epoch, Found, Key, NodeNo, Record, TxnId};

use crate::{
    Lane, StoreError,
    fault::{Fault, Written},
    horizon::Horizon,
    postgres, sqlite,
};

/// Under which a batch is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fence {
    pub(crate) node: NodeNo,
    pub(crate) lane: Lane,
    pub(crate) epoch: Epoch,
}

/// A lane's own connection; made anew after a fault.
#[derive(Debug)]
pub(crate) enum Connection {
    Postgres(postgres::WriterConnection),
    Sqlite(sqlite::WriterConnection),
}

macro_rules! either {
    ($connection:expr, $own:ident => $call:expr) => {
        match $connection {
            Connection::Postgres($own) => $call.await,
            Connection::Sqlite($own) => $call.await,
        }
    };
}

impl Connection {
    /// Inserts rows that no row of the horizon stands against, in one statement under the fence.
    pub(crate) async fn intents(
        &mut self,
        fence: Fence,
        horizon: Horizon,
        records: &[&Record],
    ) -> Result<Written, Fault> {
        either!(self, own => own.intents(fence, horizon, records))
    }

    /// Applies changes and what follows from them, in one statement under the fence for each leaf.
    pub(crate) async fn outcomes(
        &mut self,
        fence: Fence,
        day: Day,
        records: &[&Record],
    ) -> Result<Written, Fault> {
        either!(self, own => own.outcomes(fence, day, records))
    }

    /// Commits an update of the lane's own fence row, which waits for its former statements: the day of the fence, or
    /// none if the epoch moved on.
    pub(crate) async fn reaffirm(&mut self, fence: Fence) -> Result<Option<Day>, StoreError> {
        either!(self, own => own.reaffirm(fence))
    }

    /// The rows under these keys in the horizon.
    pub(crate) async fn newest(
        &mut self,
        horizon: Horizon,
        keys: &[Key],
    ) -> Result<Vec<Found>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        either!(self, own => own.newest(horizon, keys))
    }

    /// The newest row under this key of any day.
    pub(crate) async fn any_day(
        &mut self,
        horizon: Horizon,
        key: Key,
    ) -> Result<Option<Found>, StoreError> {
        either!(self, own => own.any_day(horizon, key))
    }

    /// The rows under these keys of these days.
    pub(crate) async fn rows_at(
        &mut self,
        horizon: Horizon,
        places: &[(Day, Key)],
    ) -> Result<Vec<Found>, StoreError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        either!(self, own => own.rows_at(horizon, places))
    }

    /// Where the transactions of these obligations stand.
    pub(crate) async fn obligation_places(
        &mut self,
        ids: &[TxnId],
    ) -> Result<Vec<(Day, Key)>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        either!(self, own => own.obligation_places(ids))
    }

    /// Makes an idle connection anew where it was cut.
    pub(crate) async fn look(&mut self, fence: Fence) -> Result<(), StoreError> {
        match self {
            Self::Postgres(own) => own.look(fence).await,
            // A file cuts nobody.
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// Where the task that owns this connection runs, if not with its caller.
    pub(crate) fn thread(&self) -> Option<Arc<sqlite::Thread>> {
        match self {
            Self::Postgres(_) => None,
            Self::Sqlite(own) => Some(own.thread()),
        }
    }

    /// Gives the connection up; the next call makes a new one.
    pub(crate) fn abandon(&mut self) {
        match self {
            Self::Postgres(own) => own.abandon(),
            // It is shared, and was closed by whoever broke it.
            Self::Sqlite(_) => {}
        }
    }
}

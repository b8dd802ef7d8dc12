//! The sessions that read. Those of a node that serves answer nothing before they committed something themselves.
//!
//! What a session shows may stand on no replica: a primary that crashed while a commit waited for its replica shows that
//! commit after it has come back. A commit on the session waits for all that stands before it in the log. A session does
//! not outlive a crash, so once at its start is enough. Commands that only read have no lease and commit nothing: they
//! work with a role that may not write.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use sqlx::{
    PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use switch_core::NodeNo;

use super::session::{self, Promises, promised};
use crate::{StoreError, outage::Outage};

/// How long a read waits for a session before it has failed.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(5);

/// The row of the node that serves; its beat is left as it is.
const AFFIRM: &str = concat!("UPDATE node SET beat = beat WHERE node = $1 RETURNING ", promised!());

/// The node that serves with these sessions, once it has its lease.
#[derive(Debug)]
pub(super) struct Serving {
    node: OnceLock<(NodeNo, Instant)>,
    allow_unsafe: bool,
    outage: Outage,
}

impl Serving {
    pub(super) fn new(allow_unsafe: bool) -> Arc<Self> {
        Arc::new(Self { node: OnceLock::new(), allow_unsafe, outage: Outage::new("readers") })
    }

    /// From now on each session commits before it reads, and none is used that was there before.
    pub(super) fn begin(&self, node: NodeNo) {
        let _ = self.node.set((node, Instant::now()));
    }

    /// Commits an update of the node's own row, where a node serves; refuses a session whose commits promise too little.
    pub(super) async fn affirm(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let Some((node, _)) = self.node.get() else { return Ok(()) };
        let updated = sqlx::query_as(AFFIRM).bind(node.0).fetch_optional(connection);
        let promises: Option<Promises> = session::watched(updated).await?;
        match promises {
            Some(promises) if !self.allow_unsafe => promises.kept(),
            Some(_) => Ok(()),
            // Without a row there was no commit.
            None => Err(StoreError::Fenced { node: *node }),
        }
    }

    /// The same for a session of the pool, which tries again by itself and would not say why.
    async fn affirm_reader(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        match self.affirm(connection).await {
            Ok(()) => {
                self.outage.over();
                Ok(())
            }
            Err(error) => {
                self.outage.failed("a session for reading could not be had", &error);
                Err(sqlx::Error::Configuration(error.into()))
            }
        }
    }

    /// Whether a session of this age began after the lease. One that began a moment before it and was entered a moment
    /// after it was there when the lease itself was committed, which is as good.
    fn is_fresh(&self, age: Duration) -> bool {
        self.node.get().is_none_or(|(_, since)| age < since.elapsed())
    }
}

/// The pool of these sessions; it connects when it must.
pub(super) fn pool(most: u32, options: &PgConnectOptions, serving: &Arc<Serving>) -> PgPool {
    let (affirming, fresh) = (Arc::clone(serving), Arc::clone(serving));
    PgPoolOptions::new()
        .max_connections(most.max(1))
        .acquire_timeout(ACQUIRE_WITHIN)
        .acquire_slow_level(log::LevelFilter::Debug)
        .after_connect(move |connection, _| {
            let serving = Arc::clone(&affirming);
            Box::pin(async move { serving.affirm_reader(connection).await })
        })
        .before_acquire(move |_, meta| {
            let is_fresh = fresh.is_fresh(meta.age);
            Box::pin(std::future::ready(Ok(is_fresh)))
        })
        .connect_lazy_with(options.clone())
}

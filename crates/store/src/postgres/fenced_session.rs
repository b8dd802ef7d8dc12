//! A lane's session. Nothing can be asked of it before it committed the update of the lane's own fence row.
//!
//! A primary that crashed and came back shows rows that no replica has: a commit that was waiting for its replica is visible
//! then, and would be lost at the next failover. A commit on the new session waits until all that stands before it in the
//! log is where `synchronous_commit` wants it, so what is read after it will stay. And it waits for the lane's former
//! statement, so what is read after it is final (I21).

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use switch_core::Day;

use super::session::{self, Promises, promised};
use crate::{StoreError, connection::Fence};

/// A session that was idle for longer is asked for a sign of life before a statement is sent: that costs some 50 µs, and the
/// statement of a session that was cut meanwhile certainly did not begin.
const IDLE: Duration = Duration::from_millis(20);

const REAFFIRM: &str = concat!(
    "UPDATE fence SET epoch = epoch WHERE node = $1 AND lane = $2 AND epoch = $3 RETURNING day, ",
    promised!()
);

/// The answer to it.
#[derive(sqlx::FromRow)]
struct Affirmed {
    day: i32,
    #[sqlx(flatten)]
    promises: Promises,
}

/// A session whose first statement was the committed update of its fence row. There is no other way to make one.
#[derive(Debug)]
pub(super) struct FencedSession {
    connection: PgConnection,
    used: Instant,
}

impl FencedSession {
    /// Connects and commits the update: none where the epoch moved on.
    pub(super) async fn open(
        options: &PgConnectOptions,
        allow_unsafe: bool,
        fence: Fence,
    ) -> Result<Option<(Self, Day)>, StoreError> {
        let connection = session::pinned(options).await?;
        Self::affirm(connection, allow_unsafe, fence).await
    }

    /// The update again, on the same session. `lock_timeout` ends the wait for the lane's former statement, not that
    /// statement: the writer then tries again, for as long as it takes.
    pub(super) async fn again(
        self,
        allow_unsafe: bool,
        fence: Fence,
    ) -> Result<Option<(Self, Day)>, StoreError> {
        Self::affirm(self.connection, allow_unsafe, fence).await
    }

    async fn affirm(
        mut connection: PgConnection,
        allow_unsafe: bool,
        fence: Fence,
    ) -> Result<Option<(Self, Day)>, StoreError> {
        let updated = sqlx::query_as(REAFFIRM)
            .bind(fence.node.0)
            .bind(fence.lane.number())
            .bind(fence.epoch.0)
            .fetch_optional(&mut connection);
        let updated: Option<Affirmed> = session::watched(updated).await?;
        let Some(Affirmed { day, promises }) = updated else { return Ok(None) };
        if !allow_unsafe {
            promises.kept()?;
        }
        Ok(Some((Self { connection, used: Instant::now() }, Day(day))))
    }

    /// Whether the server still knows this session, asked where it was idle.
    pub(super) async fn is_alive(&mut self) -> bool {
        if self.used.elapsed() < IDLE {
            return true;
        }
        session::watched(self.connection.ping()).await.is_ok()
    }

    /// The connection, for one statement.
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        self.used = Instant::now();
        &mut self.connection
    }
}

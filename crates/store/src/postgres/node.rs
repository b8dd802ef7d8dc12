//! The lease, the beats, the numbers and the take-over on the server.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};
use switch_core::{Day, Epoch, Found, NodeNo, NumberBlock, TxnId, Wall};
use tokio::time::sleep;

use super::{
    PostgresStore,
    days::{keep_lock, keep_unlock},
    leaf, read, session,
};
use crate::{
    Beat, DayConfig, Estate, Lane, Lease, StoreError,
    calendar::Calendar,
    days::{self, AHEAD, Kept},
    image::{count, long},
    node::{BEAT, BEATS, BeatColumns, READS, TakenOver},
    numbers::{self, Open},
    recovery,
};

/// Class of the advisory locks of leases; the other half is the node's number.
pub(super) const LEASES: i32 = 0x494c_4e4f;
/// A killed process's session may take a moment to end.
const LEASE_TRIES: u32 = 40;
const LEASE_EVERY: Duration = Duration::from_millis(50);

/// The session that holds the lease.
#[derive(Debug)]
pub(super) struct Held {
    node: NodeNo,
    name: String,
    /// How this process named itself to others.
    host: String,
    connection: Option<PgConnection>,
}

impl PostgresStore {
    pub(crate) async fn lease(
        &self,
        name: &str,
        host: &str,
        now: Wall,
    ) -> Result<Lease, StoreError> {
        let calendar = Calendar::new(&self.config.day)?;
        let mut held = self.lease.lock().await;
        if held.is_some() {
            return Err(StoreError::Leased { name: name.to_owned(), host: host.to_owned() });
        }
        let mut connection = session::leasing(&self.options).await?;
        let node = sqlx::query_scalar(
            "WITH made AS (INSERT INTO node (name, host, lowest_open) SELECT $1, $2, next FROM number \
             ON CONFLICT (name) DO NOTHING RETURNING node) \
             SELECT node FROM made UNION ALL SELECT node FROM node WHERE name = $1 LIMIT 1",
        )
        .bind(name)
        .bind(host)
        .fetch_one(&mut connection);
        let node: i32 = session::watched(node).await?;
        lock(&mut connection, NodeNo(node), name).await?;
        self.serving.begin(NodeNo(node));
        // Nothing of the database is believed before something was committed on this session.
        self.serving.affirm(&mut connection).await?;
        self.agree_on_days(&mut connection, &calendar, now).await?;
        // Under a hanging commit of the former life this fails, and says so, rather than waiting for ever.
        let lease = session::watched_read(begin_life(&mut connection, node, host)).await?;
        let (name, host) = (name.to_owned(), host.to_owned());
        *held = Some(Held { node: lease.node, name, host, connection: Some(connection) });
        self.refresh_horizon(now.into()).await?;
        self.bound.begin(lease.node);
        Ok(lease)
    }

    /// Agrees on the zone and the cut-over, or refuses; opens the first day where there is none.
    async fn agree_on_days(
        &self,
        connection: &mut PgConnection,
        calendar: &Calendar,
        now: Wall,
    ) -> Result<(), StoreError> {
        let config = &self.config.day;
        let today = calendar.day_at(now);
        if kept(connection, config).await?.day.is_some() {
            return Ok(());
        }
        keep_lock(connection).await?;
        if kept(connection, config).await?.day.is_none() {
            for day in today.0..=today.0.saturating_add(AHEAD) {
                leaf::make(connection, Day(day)).await?;
            }
            let mut transaction = connection.begin().await?;
            sqlx::query(
                "UPDATE day SET opened = $2, number = number.next FROM number WHERE day = $1",
            )
            .bind(today.0)
            .bind(now.0)
            .execute(&mut *transaction)
            .await?;
            sqlx::query("UPDATE meta SET zone = $1, cutover = $2, day = $3")
                .bind(&config.zone)
                .bind(&config.cutover)
                .bind(today.0)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
        }
        Ok(keep_unlock(connection).await?)
    }

    pub(crate) async fn beat(
        &self,
        lease: &Lease,
        lowest_open: Option<TxnId>,
    ) -> Result<(), StoreError> {
        let mut guard = self.lease.lock().await;
        let held = guard.as_mut().ok_or(StoreError::Fenced { node: lease.node })?;
        let mut connection = match held.connection.take() {
            Some(connection) => connection,
            None => {
                let mut connection = session::leasing(&self.options).await?;
                match lock(&mut connection, held.node, &held.name).await {
                    Err(StoreError::Leased { name, host }) if host == held.host => {
                        return Err(StoreError::LeaseLingers { name });
                    }
                    locked => locked?,
                }
                connection
            }
        };
        let done = sqlx::query(BEAT)
            .bind(self.bound.allow(Instant::now(), lowest_open).map(|id| long(id.0)))
            .bind(lease.node.0)
            .bind(lease.epoch.0)
            .bind(READS)
            .execute(&mut connection);
        let done = session::watched(done).await?;
        held.connection = Some(connection);
        if done.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::Fenced { node: lease.node })
        }
    }

    pub(crate) async fn beats(&self) -> Result<Vec<Beat>, StoreError> {
        let rows: Vec<BeatColumns> = sqlx::query_as(BEATS).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(Beat::of_columns).collect())
    }

    pub(crate) async fn take_over(
        &self,
        taker: NodeNo,
        node: NodeNo,
        seen: Epoch,
    ) -> Result<Option<TakenOver>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        // Waits for the open batches of both lanes; from then on none of them can write.
        let raised = sqlx::query(
            "WITH f AS (SELECT node, lane FROM fence WHERE node = $1 AND epoch = $2 ORDER BY lane FOR UPDATE) \
             UPDATE fence SET epoch = epoch + 1 FROM f WHERE fence.node = f.node AND fence.lane = f.lane",
        )
        .bind(node.0)
        .bind(seen.0)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if raised != 2 {
            transaction.rollback().await?;
            return Ok(None);
        }
        // Its own estate, and those that it had taken over itself.
        let estates: Vec<(i32, i32)> = sqlx::query_as(
            "UPDATE node SET taken_by = $1, taken_epoch = CASE WHEN node = $2 THEN $3 ELSE taken_epoch END \
             WHERE node = $2 OR taken_by = $2 RETURNING node, taken_epoch",
        )
        .bind(taker.0)
        .bind(node.0)
        .bind(seen.0.saturating_add(1))
        .fetch_all(&mut *transaction)
        .await?;
        let adopted: Vec<i64> = sqlx::query_scalar(
            "UPDATE obligation SET owner = $1 WHERE owner = $2 AND status IN (1, 3) RETURNING id",
        )
        .bind(taker.0)
        .bind(node.0)
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Some(TakenOver {
            estates: estates.into_iter().map(Estate::of_columns).collect(),
            adopted: adopted.into_iter().map(|id| TxnId(count(id))).collect(),
        }))
    }

    pub(crate) async fn recover(
        &self,
        estate: Estate,
        after: TxnId,
        limit: u32,
    ) -> Result<Vec<Found>, StoreError> {
        let (bound, day): (i64, i32) = sqlx::query_as(recovery::BOUND_POSTGRES)
            .bind(estate.node.0)
            .bind(recovery::SLACK)
            .fetch_one(&self.pool)
            .await?;
        let rows = sqlx::query(recovery::in_flight_postgres())
            .bind(estate.node.0)
            .bind(estate.below.0)
            .bind(long(after.0))
            .bind(bound)
            .bind(i64::from(limit))
            .bind(day)
            .fetch_all(&self.pool)
            .await?;
        if rows.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
            self.bound.recovered(estate.node);
        }
        read::found(&rows, self.horizon.get())
    }

    pub(crate) async fn owed(
        &self,
        owner: NodeNo,
        after: TxnId,
        limit: u32,
    ) -> Result<Vec<Found>, StoreError> {
        let rows = sqlx::query(recovery::owed())
            .bind(owner.0)
            .bind(long(after.0))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        read::found(&rows, self.horizon.get())
    }

    pub(crate) async fn read_owed(&self, ids: &[TxnId]) -> Result<Vec<Found>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| long(id.0)).collect();
        let rows =
            sqlx::query(recovery::owed_ids_postgres()).bind(ids).fetch_all(&self.pool).await?;
        read::found(&rows, self.horizon.get())
    }

    pub(crate) async fn draw_numbers(&self, wanted: u32) -> Result<NumberBlock, StoreError> {
        let next: i64 =
            sqlx::query_scalar("UPDATE number SET next = next + $1 RETURNING next - $1")
                .bind(i64::from(wanted))
                .fetch_one(&self.pool)
                .await?;
        let [from, to, again, last] = numbers::ranges(next, wanted);
        let open: Vec<Open> = sqlx::query_as(numbers::OPEN)
            .bind(from)
            .bind(to)
            .bind(again)
            .bind(last)
            .fetch_all(&self.pool)
            .await?;
        let (first, wanted) = (count(next), u64::from(wanted));
        numbers::after(first, wanted)?;
        self.bound.drawn(Instant::now(), first, first + wanted);
        Ok(numbers::block(first, wanted, open))
    }
}

/// What is kept of the business day, if the configuration agrees with it.
async fn kept(connection: &mut PgConnection, config: &DayConfig) -> Result<Kept, StoreError> {
    let kept = sqlx::query_as("SELECT zone, cutover, day FROM meta").fetch_one(connection).await?;
    days::agree(config, &kept)?;
    Ok(kept)
}

/// Takes the session lock of the node's number, or names who has it.
async fn lock(connection: &mut PgConnection, node: NodeNo, name: &str) -> Result<(), StoreError> {
    for _ in 0..LEASE_TRIES {
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)")
            .bind(LEASES)
            .bind(node.0)
            .fetch_one(&mut *connection)
            .await?;
        if taken {
            return Ok(());
        }
        sleep(LEASE_EVERY).await;
    }
    let host = sqlx::query_scalar("SELECT host FROM node WHERE node = $1")
        .bind(node.0)
        .fetch_one(connection)
        .await?;
    Err(StoreError::Leased { name: name.to_owned(), host })
}

/// Raises the epoch: waits for the last statements of the node's former life, after which they can write no more.
async fn begin_life(
    connection: &mut PgConnection,
    node: i32,
    host: &str,
) -> Result<Lease, StoreError> {
    let mut transaction = connection.begin().await?;
    // Shared with whoever cuts the day over, so that a new fence row has the day that all others have.
    let day: i32 =
        sqlx::query_scalar("SELECT day FROM meta FOR SHARE").fetch_one(&mut *transaction).await?;
    for lane in Lane::ALL {
        sqlx::query(
            "INSERT INTO fence (node, lane, epoch, day) VALUES ($1, $2, 0, $3) ON CONFLICT DO NOTHING",
        )
        .bind(node)
        .bind(lane.number())
        .bind(day)
        .execute(&mut *transaction)
        .await?;
    }
    let epochs: Vec<i32> =
        sqlx::query_scalar("SELECT epoch FROM fence WHERE node = $1 ORDER BY lane FOR UPDATE")
            .bind(node)
            .fetch_all(&mut *transaction)
            .await?;
    let epoch = epochs.into_iter().max().unwrap_or(0).saturating_add(1);
    sqlx::query("UPDATE fence SET epoch = $2 WHERE node = $1")
        .bind(node)
        .bind(epoch)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "UPDATE node SET host = $2, taken_by = NULL, taken_epoch = NULL, reads = $3, reads_beat = beat \
         WHERE node = $1",
    )
        .bind(node)
        .bind(host)
        .bind(READS)
        .execute(&mut *transaction)
        .await?;
    let taken: Vec<(i32, i32)> = sqlx::query_as(
        "SELECT node, taken_epoch FROM node WHERE taken_by = $1 AND taken_epoch IS NOT NULL ORDER BY node",
    )
    .bind(node)
    .fetch_all(&mut *transaction)
    .await?;
    transaction.commit().await?;
    let estates = [(node, epoch)].into_iter().chain(taken).map(Estate::of_columns).collect();
    Ok(Lease { node: NodeNo(node), epoch: Epoch(epoch), estates })
}

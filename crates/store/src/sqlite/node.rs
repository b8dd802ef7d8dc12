//! The lease, the beats and the numbers of the embedded back end.

use std::{
    fs::{File, TryLockError},
    io::{self, ErrorKind, Read as _, Seek as _, Write as _},
    path::PathBuf,
    sync::PoisonError,
    time::Instant,
};

use sqlx::SqliteConnection;
use switch_core::{
    Day, Epoch, Found, NodeNo, NumberBlock, Obligation, ObligationStatus, TxnId, Wall,
};

use super::{SqliteStore, read};
use crate::{
    Beat, Estate, Lane, Lease, StoreError,
    calendar::Calendar,
    days,
    image::{count, long},
    node::{BEAT, BEATS, BeatColumns, READS, TakenOver},
    numbers::{self, Open},
    recovery,
};

impl SqliteStore {
    /// The file beside the database whose lock is the lease; it dies with the process.
    fn lock_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".lock");
        PathBuf::from(path)
    }

    fn lock_file(&self, host: &str) -> Result<(), StoreError> {
        let path = self.lock_path();
        let failed = |source| StoreError::File { path: path.clone(), source };
        let in_use = |host| StoreError::InUse { path: self.path.clone(), host };
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Err(in_use("this process".to_owned()));
        }
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(owner(file).map_err(failed)?)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        file.write_all(host.as_bytes()).map_err(failed)?;
        *held = Some(file);
        Ok(())
    }

    /// The process that serves this database, this one or another; none where it is not served.
    pub(super) fn served_by(&self) -> Result<Option<String>, StoreError> {
        let path = self.lock_path();
        let failed = |source| StoreError::File { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => owner(file).map(Some).map_err(failed),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    pub(crate) async fn lease(
        &self,
        name: &str,
        host: &str,
        now: Wall,
    ) -> Result<Lease, StoreError> {
        let calendar = Calendar::new(&self.config.day)?;
        self.lock_file(host)?;
        let mut turn = self.writer.begin().await?;
        let connection = turn.connection();
        let kept: days::Kept = sqlx::query_as("SELECT zone, cutover, day FROM meta")
            .fetch_one(&mut *connection)
            .await?;
        days::agree(&self.config.day, &kept)?;
        let day = kept.day.map_or_else(|| calendar.day_at(now), Day);
        let done = self.begin_life(connection, (name, host), day, now).await;
        let lease = turn.settle(done).await?;
        self.refresh_horizon(now.into()).await?;
        self.bound.begin(lease.node);
        Ok(lease)
    }

    async fn begin_life(
        &self,
        connection: &mut SqliteConnection,
        (name, host): (&str, &str),
        day: Day,
        now: Wall,
    ) -> Result<Lease, sqlx::Error> {
        let config = &self.config.day;
        sqlx::query("UPDATE meta SET zone = ?, cutover = ?, day = ?")
            .bind(config.zone.clone())
            .bind(config.cutover.clone())
            .bind(day.0)
            .execute(&mut *connection)
            .await?;
        sqlx::query(
            "INSERT INTO day (day, opened, number) SELECT ?, ?, next FROM number WHERE true ON CONFLICT (day) DO NOTHING",
        )
        .bind(day.0)
        .bind(now.0)
        .execute(&mut *connection)
        .await?;
        let node: i32 = sqlx::query_scalar(
            "INSERT INTO node (name, host, lowest_open, reads) SELECT ?, ?, next, ? FROM number WHERE true \
             ON CONFLICT (name) DO UPDATE SET host = excluded.host, taken_by = NULL, taken_epoch = NULL, \
             reads = excluded.reads, reads_beat = beat RETURNING node",
        )
        .bind(name.to_owned())
        .bind(host.to_owned())
        .bind(READS)
        .fetch_one(&mut *connection)
        .await?;
        for lane in Lane::ALL {
            sqlx::query(
                "INSERT INTO fence (node, lane, epoch, day) VALUES (?, ?, 0, ?) ON CONFLICT DO NOTHING",
            )
            .bind(node)
            .bind(lane.number())
            .bind(day.0)
            .execute(&mut *connection)
            .await?;
        }
        let epoch: i32 = sqlx::query_scalar("SELECT max(epoch) + 1 FROM fence WHERE node = ?")
            .bind(node)
            .fetch_one(&mut *connection)
            .await?;
        sqlx::query("UPDATE fence SET epoch = ?, day = ? WHERE node = ?")
            .bind(epoch)
            .bind(day.0)
            .bind(node)
            .execute(&mut *connection)
            .await?;
        // Only one process at a time writes this file: whoever else wrote here is gone, and its estate is ours.
        let others: Vec<(i32, i32)> = sqlx::query_as(
            "SELECT node, max(epoch) + 1 FROM fence WHERE node <> ? GROUP BY node ORDER BY node",
        )
        .bind(node)
        .fetch_all(&mut *connection)
        .await?;
        sqlx::query("UPDATE obligation SET owner = ? WHERE owner <> ? AND status IN (1, 3)")
            .bind(node)
            .bind(node)
            .execute(connection)
            .await?;
        let estates = [(node, epoch)].into_iter().chain(others).map(Estate::of_columns).collect();
        Ok(Lease { node: NodeNo(node), epoch: Epoch(epoch), estates })
    }

    pub(crate) async fn beat(
        &self,
        lease: &Lease,
        lowest_open: Option<TxnId>,
    ) -> Result<(), StoreError> {
        let mut turn = self.writer.begin().await?;
        let done = sqlx::query(BEAT)
            .bind(self.bound.allow(Instant::now(), lowest_open).map(|id| long(id.0)))
            .bind(lease.node.0)
            .bind(lease.epoch.0)
            .bind(READS)
            .execute(turn.connection())
            .await;
        if turn.settle(done).await?.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::Fenced { node: lease.node })
        }
    }

    pub(crate) async fn beats(&self) -> Result<Vec<Beat>, StoreError> {
        let rows: Vec<BeatColumns> = sqlx::query_as(BEATS).fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(Beat::of_columns).collect())
    }

    pub(crate) async fn recover(
        &self,
        estate: Estate,
        after: TxnId,
        limit: u32,
    ) -> Result<Vec<Found>, StoreError> {
        let rows = sqlx::query(recovery::in_flight_sqlite())
            .bind(estate.node.0)
            .bind(estate.below.0)
            .bind(long(after.0))
            .bind(recovery::SLACK)
            .bind(limit)
            .fetch_all(&self.readers)
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
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        read::found(&rows, self.horizon.get())
    }

    /// Nobody else writes this file: there is nothing to take.
    #[expect(clippy::unused_async, reason = "the same function on both back ends")]
    pub(crate) async fn take_over(
        &self,
        _taker: NodeNo,
        _node: NodeNo,
        _seen: Epoch,
    ) -> Result<Option<TakenOver>, StoreError> {
        Ok(None)
    }

    pub(crate) async fn read_owed(&self, ids: &[TxnId]) -> Result<Vec<Found>, StoreError> {
        let mut rows = Vec::new();
        for id in ids {
            let row = self.read_id(*id).await?;
            rows.extend(row.filter(|found| found.obligation.as_ref().is_some_and(is_open)));
        }
        Ok(rows)
    }

    pub(crate) async fn draw_numbers(&self, wanted: u32) -> Result<NumberBlock, StoreError> {
        let mut turn = self.writer.begin().await?;
        let drawn = draw(turn.connection(), wanted).await;
        let (next, open) = turn.settle(drawn).await?;
        let (first, wanted) = (count(next), u64::from(wanted));
        numbers::after(first, wanted)?;
        self.bound.drawn(Instant::now(), first, first + wanted);
        Ok(numbers::block(first, wanted, open))
    }
}

/// Who locked the file, as it wrote there.
fn owner(mut file: File) -> io::Result<String> {
    let mut host = String::new();
    file.read_to_string(&mut host)?;
    Ok(host)
}

/// Still to be conducted: owed or marked.
fn is_open(obligation: &Obligation) -> bool {
    match obligation.status {
        ObligationStatus::Marked | ObligationStatus::Owed => true,
        ObligationStatus::Cleared
        | ObligationStatus::Confirmed
        | ObligationStatus::Withdrawn
        | ObligationStatus::Denied
        | ObligationStatus::EndedByHand => false,
    }
}

async fn draw(
    connection: &mut SqliteConnection,
    wanted: u32,
) -> Result<(i64, Vec<Open>), sqlx::Error> {
    let next: i64 = sqlx::query_scalar("UPDATE number SET next = next + ? RETURNING next - ?")
        .bind(wanted)
        .bind(wanted)
        .fetch_one(&mut *connection)
        .await?;
    let [from, to, again, last] = numbers::ranges(next, wanted);
    let open = sqlx::query_as(numbers::OPEN)
        .bind(from)
        .bind(to)
        .bind(again)
        .bind(last)
        .fetch_all(connection)
        .await?;
    Ok((next, open))
}

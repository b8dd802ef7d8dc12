//! The business days on the server: one node keeps them at a time.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use switch_core::{CaseKind, Day, NoteKind, RowState, Wall};

use super::{PostgresStore, leaf, session};
use crate::{
    Calendar, DayClock, DaySetError, DaySetting, DaysKept, StoreError,
    day_setting::{self, may_set},
    days::{AHEAD, Current, Kalends, plan},
};

/// Key of the advisory lock of whoever keeps the days.
const KEEPER: i64 = 0x494c_4441;
/// The BRIN index learns of new pages so often.
const SUMMARISE_EVERY: Duration = Duration::from_secs(60);
/// Waits for locks less than `deadlock_timeout`, after which a waiting session would have autovacuum cancelled; and a
/// cut-over that has to wait longer than this holds nobody up, but tries again.
const SETTINGS: [(&str, &str); 2] = [("lock_timeout", "900ms"), ("statement_timeout", "0")];

/// How often the lock of the keeper of days is tried, each time for as long as `lock_timeout` says.
const LOCK_TRIES: u32 = 20;

/// A running node, whose session holds its lease ($1: the class of those locks), with a binary older than version $2.
const OLD_NODE: &str = "SELECT n.name FROM node n JOIN pg_locks l ON l.objid::bigint = n.node \
     WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.classid::bigint = $1 AND l.granted \
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND (n.reads_beat <> n.beat OR n.reads < $2) LIMIT 1";

const CURRENT: &str =
    "SELECT m.day, d.former, d.opened FROM meta m LEFT JOIN day d ON d.day = m.day";

/// The session that keeps the days.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    connection: Option<PgConnection>,
    summarised: Option<Instant>,
}

/// Waits until nobody else keeps the days.
pub(super) async fn keep_lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_lock($1)").bind(KEEPER).execute(connection).await.map(drop)
}

pub(super) async fn keep_unlock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(KEEPER).execute(connection).await.map(drop)
}

impl PostgresStore {
    /// Reads the current day, and whether the former one's identities still hold.
    pub(super) async fn refresh_horizon(&self, clock: DayClock) -> Result<(), StoreError> {
        let current: Current = sqlx::query_as(CURRENT).fetch_one(&self.pool).await?;
        self.horizon.set(current.judged(&self.config.day, clock)?);
        Ok(())
    }

    /// The server's clock.
    pub(crate) async fn clock(&self) -> Result<Option<Wall>, StoreError> {
        let now: i64 =
            sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
                .fetch_one(&self.pool)
                .await?;
        Ok(Some(Wall(now)))
    }

    pub(crate) async fn keep_days(&self, clock: DayClock) -> Result<DaysKept, StoreError> {
        self.refresh_horizon(clock).await?;
        let mut keeper = self.keeper.lock().await;
        let mut connection = match keeper.connection.take() {
            Some(connection) => connection,
            None => {
                let connecting = self.options.clone().options(SETTINGS);
                let mut connection = session::watched(connecting.connect()).await?;
                self.serving.affirm(&mut connection).await?;
                connection
            }
        };
        let ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(KEEPER)
            .fetch_one(&mut connection)
            .await?;
        if !ours {
            keeper.connection = Some(connection);
            drop(keeper);
            return self.look_at_days(clock).await;
        }
        let summarise = keeper.summarised.is_none_or(|last| last.elapsed() >= SUMMARISE_EVERY);
        let kept = self.keep(&mut connection, clock, summarise).await?;
        if summarise {
            keeper.summarised = Some(Instant::now());
        }
        keep_unlock(&mut connection).await?;
        keeper.connection = Some(connection);
        drop(keeper);
        if kept.cut_over_to.is_some() {
            self.refresh_horizon(clock).await?;
        }
        Ok(kept)
    }

    /// The current day and the clock's, while another node keeps them.
    async fn look_at_days(&self, clock: DayClock) -> Result<DaysKept, StoreError> {
        let current: Current = sqlx::query_as(CURRENT).fetch_one(&self.pool).await?;
        let current = Day(current.day.ok_or(StoreError::NoDay)?);
        let due = Calendar::new(&self.config.day)?.day_at(clock.now);
        Ok(DaysKept::at(current, due, clock))
    }

    pub(crate) async fn set_day(&self, setting: DaySetting, now: Wall) -> Result<Day, DaySetError> {
        let mut connection = self.options.clone().options(SETTINGS).connect().await?;
        let mut tries = 0;
        // `lock_timeout` ends the wait for another node's step.
        while let Err(error) = keep_lock(&mut connection).await {
            tries += 1;
            if tries > LOCK_TRIES {
                return Err(error.into());
            }
        }
        // The lock ends with the connection.
        let former = may_set(
            &self.config.day,
            sqlx::query_as(CURRENT).fetch_one(&mut connection).await?,
            setting.day,
            now,
        )?;
        if let Some(name) = sqlx::query_scalar(OLD_NODE)
            .bind(super::node::LEASES)
            .bind(day_setting::FOLLOWS)
            .fetch_optional(&mut connection)
            .await?
        {
            return Err(DaySetError::OldNode { name });
        }
        for day in setting.day.0..=setting.day.0.saturating_add(AHEAD) {
            leaf::make(&mut connection, Day(day)).await?;
        }
        set(&mut connection, former, setting, now).await?;
        Ok(former)
    }

    async fn keep(
        &self,
        connection: &mut PgConnection,
        clock: DayClock,
        summarise: bool,
    ) -> Result<DaysKept, StoreError> {
        let config = &self.config.day;
        let now = clock.now;
        let current: Current = sqlx::query_as(CURRENT).fetch_one(&mut *connection).await?;
        let current = Day(current.day.ok_or(StoreError::NoDay)?);
        let days: Vec<Kalends> =
            sqlx::query_as("SELECT day, former, opened, closed FROM day ORDER BY day")
                .fetch_all(&mut *connection)
                .await?;
        let due = Calendar::new(config)?.day_at(now);
        let plan = plan(config, (current, due), &days, clock);
        for day in plan.make {
            leaf::make(connection, day).await?;
        }
        let mut kept = DaysKept::at(current, due, clock);
        if let Some(to) = plan.cut_over
            && cut_over(connection, to, now).await?
        {
            kept.days = Some((to, due));
            kept.cut_over_to = Some(to);
        }
        if summarise {
            sqlx::query("SELECT brin_summarize_new_values(to_regclass($1))")
                .bind(format!("{}_brin", leaf::name(current)))
                .execute(&mut *connection)
                .await?;
        }
        for (day, next) in plan.close {
            kept.delivery_unknown += close(connection, day, next, now).await?;
        }
        for day in plan.drop {
            if drop_day(connection, day).await? {
                kept.dropped.push(day);
            } else {
                kept.held.push(day);
            }
        }
        Ok(kept)
    }
}

/// One transaction that moves every fence to the next day, and so waits for every open batch.
async fn cut_over(connection: &mut PgConnection, to: Day, now: Wall) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let current: i32 =
        sqlx::query_scalar("SELECT day FROM meta FOR UPDATE").fetch_one(&mut *transaction).await?;
    if current >= to.0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    open_day(&mut transaction, to, Day(current), now).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Makes `to` the current day of all fences, which waits for every open batch.
async fn open_day(
    transaction: &mut PgConnection,
    to: Day,
    former: Day,
    now: Wall,
) -> Result<(), sqlx::Error> {
    sqlx::query(day_setting::OPEN)
        .bind(to.0)
        .bind(former.0)
        .bind(now.0)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("UPDATE meta SET day = $1").bind(to.0).execute(&mut *transaction).await?;
    sqlx::query("SELECT FROM fence ORDER BY node, lane FOR UPDATE")
        .execute(&mut *transaction)
        .await?;
    sqlx::query("UPDATE fence SET day = $1").bind(to.0).execute(transaction).await?;
    Ok(())
}

/// As a cut-over, to any day: what a wrong clock wrote of days is cleared first.
async fn set(
    connection: &mut PgConnection,
    former: Day,
    setting: DaySetting,
    now: Wall,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT FROM meta FOR UPDATE").execute(&mut *transaction).await?;
    sqlx::query(day_setting::CLAMP)
        .bind(now.0)
        .bind(setting.day.0)
        .execute(&mut *transaction)
        .await?;
    open_day(&mut transaction, setting.day, former, now).await?;
    sqlx::query(day_setting::BATCHES).bind(setting.day.0).execute(&mut *transaction).await?;
    sqlx::query(day_setting::SAID)
        .bind(now.0)
        .bind(former.0)
        .bind(setting.day.0)
        .bind(setting.by)
        .bind(setting.reason)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// Opens cases for approvals of an ended day whose delivery is unknown: no copy was asked for since, and its terminal
/// has sent no later request (M10).
async fn close(
    connection: &mut PgConnection,
    day: Day,
    next: Day,
    now: Wall,
) -> Result<u64, sqlx::Error> {
    let (ended, following) = (leaf::name(day), leaf::name(next));
    let later = |leaf: &str| {
        format!(
            "NOT EXISTS (SELECT FROM {leaf} l WHERE l.key >= substr(t.key, 1, 8) \
             AND l.key <= substr(t.key, 1, 8) || '\\xffffffffffffff'::bytea AND l.created > t.created)"
        )
    };
    let statement = format!(
        "INSERT INTO cases (id, kind, opened) SELECT t.id, $2, $3 FROM \
         (SELECT id, max(at) AS at FROM note WHERE day = $1 AND kind = $4 GROUP BY id) n \
         JOIN {ended} t ON t.id = n.id WHERE t.state = $5 \
         AND NOT EXISTS (SELECT FROM note c WHERE c.id = n.id AND c.kind = $6 AND c.at > n.at) \
         AND {} AND {} ON CONFLICT (id, kind) DO NOTHING",
        later(&ended),
        later(&following),
    );
    let mut transaction = connection.begin().await?;
    let opened = sqlx::query(AssertSqlSafe(statement))
        .bind(day.0)
        .bind(i16::from(CaseKind::DeliveryUnknown.number()))
        .bind(now.0)
        .bind(i16::from(NoteKind::DeliveryUnknown.number()))
        .bind(i16::from(RowState::Approved.number()))
        .bind(i16::from(NoteKind::Copy.number()))
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    sqlx::query("UPDATE day SET closed = $2 WHERE day = $1")
        .bind(day.0)
        .bind(now.0)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(opened)
}

/// Drops a day with all that belongs to it, unless something of it is open.
async fn drop_day(connection: &mut PgConnection, day: Day) -> Result<bool, sqlx::Error> {
    let leaf = leaf::name(day);
    let there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(&leaf)
        .fetch_one(&mut *connection)
        .await?;
    if there {
        let open = format!(
            "SELECT EXISTS (SELECT FROM obligation WHERE day = $1 AND status IN (1, 3, 6)) \
             OR EXISTS (SELECT FROM claim WHERE day = $1 AND status = 1) \
             OR EXISTS (SELECT FROM claim c JOIN obligation o ON o.id = c.id WHERE c.day = $1 AND o.status IN (1, 3, 6)) \
             OR EXISTS (SELECT FROM cases c JOIN {leaf} t ON t.id = c.id WHERE c.resolved IS NULL)"
        );
        let open: bool =
            sqlx::query_scalar(AssertSqlSafe(open)).bind(day.0).fetch_one(&mut *connection).await?;
        if open {
            return Ok(false);
        }
        let resolved = format!("DELETE FROM cases c USING {leaf} t WHERE c.id = t.id");
        sqlx::query(AssertSqlSafe(resolved)).execute(&mut *connection).await?;
        leaf::drop_leaf(connection, day).await?;
    }
    for statement in [
        "DELETE FROM note WHERE day = $1",
        "DELETE FROM obligation WHERE day = $1",
        "DELETE FROM upload WHERE day = $1",
        "DELETE FROM batch WHERE closed_day = $1",
        "DELETE FROM claim WHERE day = $1",
        "DELETE FROM day WHERE day = $1",
    ] {
        sqlx::query(statement).bind(day.0).execute(&mut *connection).await?;
    }
    Ok(true)
}

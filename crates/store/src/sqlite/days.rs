//! The business days of the embedded back end: one table, days are a column.

use sqlx::SqliteConnection;
use switch_core::{CaseKind, Day, NoteKind, RowState, Wall};

use super::SqliteStore;
use crate::{
    Calendar, DayClock, DaySetError, DaySetting, DaysKept, StoreError,
    day_setting::{self, may_set},
    days::{Current, Kalends, plan},
};

const CURRENT: &str =
    "SELECT m.day, d.former, d.opened FROM meta m LEFT JOIN day d ON d.day = m.day";

/// The node of the process that serves this file ($1), where its binary is older than version $2.
const OLD_NODE: &str =
    "SELECT name FROM node WHERE host = $1 AND (reads_beat <> beat OR reads < $2) LIMIT 1";

/// Rows deleted at once, so that no batch waits long.
const DELETE_AT_ONCE: u64 = 2_000;

/// As on the server: no copy since, and no later request of the terminal on that day or the next (M10).
const CLOSE: &str = "INSERT INTO cases (id, kind, opened) SELECT t.id, $2, $3 FROM \
     (SELECT id, max(at) AS at FROM note WHERE day = $1 AND kind = $4 GROUP BY id) n \
     JOIN txn t ON t.id = n.id WHERE t.state = $5 \
     AND NOT EXISTS (SELECT 1 FROM note c WHERE c.id = n.id AND c.kind = $6 AND c.at > n.at) \
     AND NOT EXISTS (SELECT 1 FROM txn l WHERE l.day IN ($1, $7) AND l.key >= substr(t.key, 1, 8) \
     AND l.key <= CAST(substr(t.key, 1, 8) || x'ffffffffffffff' AS BLOB) AND l.created > t.created) \
     ON CONFLICT (id, kind) DO NOTHING";

const OPEN: &str = "SELECT EXISTS (SELECT 1 FROM obligation WHERE day = $1 AND status IN (1, 3, 6)) \
     OR EXISTS (SELECT 1 FROM claim WHERE day = $1 AND status = 1) \
     OR EXISTS (SELECT 1 FROM claim c JOIN obligation o ON o.id = c.id WHERE c.day = $1 AND o.status IN (1, 3, 6)) \
     OR EXISTS (SELECT 1 FROM cases c JOIN txn t ON t.id = c.id WHERE t.day = $1 AND c.resolved IS NULL)";

impl SqliteStore {
    /// Reads the current day, and whether the former one's identities still hold.
    pub(crate) async fn refresh_horizon(&self, clock: DayClock) -> Result<(), StoreError> {
        let current: Current = sqlx::query_as(CURRENT).fetch_one(&self.readers).await?;
        self.horizon.set(current.judged(&self.config.day, clock)?);
        Ok(())
    }

    pub(crate) async fn keep_days(&self, clock: DayClock) -> Result<DaysKept, StoreError> {
        let config = &self.config.day;
        let now = clock.now;
        let current: Current = sqlx::query_as(CURRENT).fetch_one(&self.readers).await?;
        let current = Day(current.day.ok_or(StoreError::NoDay)?);
        let days: Vec<Kalends> =
            sqlx::query_as("SELECT day, former, opened, closed FROM day ORDER BY day")
                .fetch_all(&self.readers)
                .await?;
        let due = Calendar::new(config)?.day_at(now);
        let plan = plan(config, (current, due), &days, clock);
        let mut kept = DaysKept::at(current, due, clock);
        if let Some(to) = plan.cut_over {
            let mut turn = self.writer.begin().await?;
            let done = cut_over(turn.connection(), current, to, now).await;
            turn.settle(done).await?;
            kept.days = Some((to, due));
            kept.cut_over_to = Some(to);
        }
        for (day, next) in plan.close {
            let mut turn = self.writer.begin().await?;
            let done = close(turn.connection(), day, next, now).await;
            kept.delivery_unknown += turn.settle(done).await?;
        }
        for day in plan.drop {
            if self.drop_day(day).await? {
                kept.dropped.push(day);
            } else {
                kept.held.push(day);
            }
        }
        self.refresh_horizon(clock).await?;
        Ok(kept)
    }

    pub(crate) async fn set_day(&self, setting: DaySetting, now: Wall) -> Result<Day, DaySetError> {
        if let Some(host) = self.served_by()?
            && let Some(name) = sqlx::query_scalar(OLD_NODE)
                .bind(host)
                .bind(day_setting::FOLLOWS)
                .fetch_optional(&self.readers)
                .await?
        {
            return Err(DaySetError::OldNode { name });
        }
        let mut turn = self.writer.begin().await.map_err(StoreError::from)?;
        // Nothing was written yet: the transaction is given up with its turn.
        let current = sqlx::query_as(CURRENT).fetch_one(turn.connection()).await?;
        let former = may_set(&self.config.day, current, setting.day, now)?;
        let done = set(turn.connection(), former, setting, now).await;
        turn.settle(done).await.map_err(StoreError::from)?;
        Ok(former)
    }

    /// Deletes a day with all that belongs to it, a little at a time, unless something of it is open.
    async fn drop_day(&self, day: Day) -> Result<bool, StoreError> {
        if sqlx::query_scalar(OPEN).bind(day.0).fetch_one(&self.readers).await? {
            return Ok(false);
        }
        for statement in [
            "DELETE FROM cases WHERE id IN (SELECT id FROM txn WHERE day = $1)",
            "DELETE FROM note WHERE day = $1",
            "DELETE FROM obligation WHERE day = $1",
            "DELETE FROM upload WHERE day = $1",
            "DELETE FROM batch WHERE closed_day = $1",
            "DELETE FROM claim WHERE day = $1",
            "DELETE FROM txn WHERE id IN (SELECT id FROM txn WHERE day = $1 LIMIT 2000)",
            "DELETE FROM day WHERE day = $1",
        ] {
            loop {
                let mut turn = self.writer.begin().await?;
                let done = sqlx::query(statement).bind(day.0).execute(turn.connection()).await;
                if turn.settle(done).await?.rows_affected() < DELETE_AT_ONCE {
                    break;
                }
            }
        }
        Ok(true)
    }
}

async fn cut_over(
    connection: &mut SqliteConnection,
    from: Day,
    to: Day,
    now: Wall,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO day (day) VALUES ($1) ON CONFLICT (day) DO NOTHING")
        .bind(to.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query(day_setting::OPEN)
        .bind(to.0)
        .bind(from.0)
        .bind(now.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query("UPDATE meta SET day = ?").bind(to.0).execute(&mut *connection).await?;
    sqlx::query("UPDATE fence SET day = ?").bind(to.0).execute(connection).await?;
    Ok(())
}

/// As a cut-over, to any day: what a wrong clock wrote of days is cleared first.
async fn set(
    connection: &mut SqliteConnection,
    former: Day,
    setting: DaySetting,
    now: Wall,
) -> Result<(), sqlx::Error> {
    sqlx::query(day_setting::CLAMP)
        .bind(now.0)
        .bind(setting.day.0)
        .execute(&mut *connection)
        .await?;
    cut_over(connection, former, setting.day, now).await?;
    sqlx::query(day_setting::BATCHES).bind(setting.day.0).execute(&mut *connection).await?;
    sqlx::query(day_setting::SAID)
        .bind(now.0)
        .bind(former.0)
        .bind(setting.day.0)
        .bind(setting.by)
        .bind(setting.reason)
        .execute(connection)
        .await?;
    Ok(())
}

async fn close(
    connection: &mut SqliteConnection,
    day: Day,
    next: Day,
    now: Wall,
) -> Result<u64, sqlx::Error> {
    let opened = sqlx::query(CLOSE)
        .bind(day.0)
        .bind(i16::from(CaseKind::DeliveryUnknown.number()))
        .bind(now.0)
        .bind(i16::from(NoteKind::DeliveryUnknown.number()))
        .bind(i16::from(RowState::Approved.number()))
        .bind(i16::from(NoteKind::Copy.number()))
        .bind(next.0)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    sqlx::query("UPDATE day SET closed = ? WHERE day = ?")
        .bind(now.0)
        .bind(day.0)
        .execute(connection)
        .await?;
    Ok(opened)
}

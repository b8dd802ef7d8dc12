//! The business days of the embedded back end: one table, days are a column.

use sqlx::SqliteConnection;
use switch_core::{CaseKind, Day, NoteKind, RowState, Wall};

use super::SqliteStore;
use crate::{
    Calendar, DaysKept, StoreError,
    days::{Current, Kalends, plan},
};

const CURRENT: &str =
    "SELECT m.day, d.former, d.opened FROM meta m LEFT JOIN day d ON d.day = m.day";

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
    pub(crate) async fn refresh_horizon(&self, now: Wall) -> Result<(), StoreError> {
        let current: Current = sqlx::query_as(CURRENT).fetch_one(&self.readers).await?;
        self.horizon.set(current.horizon(self.config.day.overlap, now)?);
        Ok(())
    }

    pub(crate) async fn keep_days(&self, now: Wall) -> Result<DaysKept, StoreError> {
        let config = &self.config.day;
        let current: Current = sqlx::query_as(CURRENT).fetch_one(&self.readers).await?;
        let current = Day(current.day.ok_or(StoreError::NoDay)?);
        let days: Vec<Kalends> =
            sqlx::query_as("SELECT day, former, opened, closed FROM day ORDER BY day")
                .fetch_all(&self.readers)
                .await?;
        let due = Calendar::new(config)?.day_at(now);
        let plan = plan(config, (current, due), &days, now);
        let mut kept = DaysKept::default();
        if let Some(to) = plan.cut_over {
            let mut turn = self.writer.begin().await?;
            let done = cut_over(turn.connection(), current, to, now).await;
            turn.settle(done).await?;
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
        self.refresh_horizon(now).await?;
        Ok(kept)
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
    sqlx::query(
        "INSERT INTO day (day, former, opened, number) SELECT ?, ?, ?, next FROM number WHERE true \
         ON CONFLICT (day) DO NOTHING",
    )
    .bind(to.0)
    .bind(from.0)
    .bind(now.0)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE meta SET day = ?").bind(to.0).execute(&mut *connection).await?;
    sqlx::query("UPDATE fence SET day = ?").bind(to.0).execute(connection).await?;
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

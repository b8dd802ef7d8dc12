//! A person's word on a transaction's cases: what an advice's issuer has (M12), and so what becomes of its claim (M11).

use switch_core::{Claim, ClaimStatus, Found, ObligationStatus, OnSilence, RowState, TxnId, Wall};

use crate::{Store, StoreError};

/// What a person found out about a transaction with open cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The issuer has the advice or refund: its claim stands.
    Delivered,
    /// The issuer does not have it, and it is not to be told again: its claim is released.
    Refused,
    /// Nothing that the switch must know.
    Seen,
}

impl Resolution {
    /// The name in notes and commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Seen => "seen",
        }
    }

    /// What the row becomes, if it changes. What was refused may have been taken after all (M9).
    pub(crate) fn state(self, found: &Found) -> Option<RowState> {
        let advice = found.row.kind.on_silence() == OnSilence::Deliver;
        match (self, found.row.state) {
            (Self::Delivered, RowState::Accepted | RowState::Disputed) => Some(RowState::Approved),
            (Self::Delivered, RowState::Declined | RowState::NeverSent) if advice => {
                Some(RowState::Approved)
            }
            (Self::Refused, RowState::Accepted | RowState::Disputed) => Some(RowState::Disputed),
            (Self::Delivered | Self::Refused | Self::Seen, _) => None,
        }
    }

    /// What the claim's status becomes, and how much the original's `claimed` grows with it: one that was released comes
    /// back with what was delivered after all, even where others have taken what was left.
    pub(crate) fn claim(self, claim: &Claim) -> Option<(ClaimStatus, i64)> {
        match (self, claim.status) {
            (Self::Delivered, ClaimStatus::Open | ClaimStatus::Released) => {
                Some((ClaimStatus::Stands, claim.amount))
            }
            (Self::Refused, ClaimStatus::Open) => Some((ClaimStatus::Released, 0)),
            (Self::Delivered | Self::Refused | Self::Seen, _) => None,
        }
    }

    /// Whether cases of this kind are closed by it: of an advice that still waits for a word, only the word closes those
    /// that ask for it.
    pub(crate) fn closes(self, found: Option<&Found>) -> &'static str {
        let waits = found.is_some_and(|found| {
            matches!(found.row.state, RowState::Accepted | RowState::Disputed)
        });
        if self == Self::Seen && waits { " AND kind NOT IN (3, 20, 21)" } else { "" }
    }
}

/// Why a case was not resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no such transaction.
    #[error("no transaction {}", .0.rrn())]
    Unknown(TxnId),
    /// None of its cases is open.
    #[error("no case of {} is open", .0.rrn())]
    NotOpen(TxnId),
    /// Its issuer has it or not: that it was seen says neither.
    #[error("{} is still to be delivered: say --as delivered or --as refused", .0.rrn())]
    WantsWord(TxnId),
    /// It changed meanwhile: look again.
    #[error("{} changed meanwhile: look at it again", .0.rrn())]
    Moved(TxnId),
    /// It is no advice or refund that waits for such a word.
    #[error("{} is {}: only an advice or refund that was accepted, disputed or refused can be called delivered, and one that was accepted or disputed refused", .0.rrn(), .1.name())]
    NotWaiting(TxnId, RowState),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ResolveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The note of a resolution (`NoteKind::Resolved`).
pub(crate) const NOTE: i16 = 23;
/// `ObligationStatus::Owed` and `Confirmed`.
pub(crate) const OWED: i16 = ObligationStatus::Owed.number() as i16;
pub(crate) const CONFIRMED: i16 = ObligationStatus::Confirmed.number() as i16;

/// A mark for the image of a row that no node's change carries (I21).
pub(crate) const fn mark(now: Wall) -> i64 {
    now.0 & 0x001f_ffff_ffff_ffff | (0x3ff << 53)
}

/// Makes the function of one back end: they differ only in their types and in the names of leaves.
macro_rules! resolver {
    ($connection:ty) => {
        /// Within a transaction of the caller's.
        pub(super) async fn resolve(
            connection: &mut $connection,
            id: switch_core::TxnId,
            found: Option<&switch_core::Found>,
            how: crate::Resolution,
            now: switch_core::Wall,
            leaf: impl Fn(switch_core::Day) -> String,
        ) -> Result<(), crate::ResolveError> {
            close_cases(connection, id, found, how, now).await?;
            let Some(found) = found else { return Ok(()) };
            let row = &found.row;
            note(connection, row, how, now).await?;
            match (how.state(found), how) {
                (Some(state), _) => {
                    change_row(connection, row, state, now, &leaf(row.day)).await?;
                    let Some(claim) = &found.claim else { return Ok(()) };
                    end_claim(connection, row.id, claim, how, now, &leaf(claim.day)).await
                }
                (None, crate::Resolution::Seen) => Ok(()),
                (None, crate::Resolution::Delivered | crate::Resolution::Refused) => {
                    Err(crate::ResolveError::NotWaiting(row.id, row.state))
                }
            }
        }

        async fn close_cases(
            connection: &mut $connection,
            id: switch_core::TxnId,
            found: Option<&switch_core::Found>,
            how: crate::Resolution,
            now: switch_core::Wall,
        ) -> Result<(), crate::ResolveError> {
            let close = "UPDATE cases SET resolved = $1 WHERE id = $2 AND resolved IS NULL";
            let close = format!("{close}{}", how.closes(found));
            let closed = sqlx::query(sqlx::AssertSqlSafe(close))
                .bind(now.0)
                .bind(crate::image::long(id.0))
                .execute(&mut *connection)
                .await?;
            if closed.rows_affected() > 0 {
                return Ok(());
            }
            let open: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM cases WHERE id = $1 AND resolved IS NULL)",
            )
            .bind(crate::image::long(id.0))
            .fetch_one(connection)
            .await?;
            Err(if open {
                crate::ResolveError::WantsWord(id)
            } else {
                crate::ResolveError::NotOpen(id)
            })
        }

        async fn note(
            connection: &mut $connection,
            row: &switch_core::Row,
            how: crate::Resolution,
            now: switch_core::Wall,
        ) -> Result<(), crate::ResolveError> {
            sqlx::query("INSERT INTO note (id, day, at, kind, detail) VALUES ($1, $2, $3, $4, $5)")
                .bind(crate::image::long(row.id.0))
                .bind(row.day.0)
                .bind(now.0)
                .bind(crate::resolve::NOTE)
                .bind(how.name().as_bytes().to_vec())
                .execute(&mut *connection)
                .await?;
            Ok(())
        }

        async fn change_row(
            connection: &mut $connection,
            row: &switch_core::Row,
            state: switch_core::RowState,
            now: switch_core::Wall,
            leaf: &str,
        ) -> Result<(), crate::ResolveError> {
            let id = crate::image::long(row.id.0);
            let changed = format!(
                "UPDATE {leaf} SET state = $1, version = version + 1, change = $2, \
                 approved = CASE WHEN state IN (4, 5) THEN amount ELSE approved END \
                 WHERE key = $3 AND id = $4 AND version = $5"
            );
            let changed = sqlx::query(sqlx::AssertSqlSafe(changed))
                .bind(i16::from(state.number()))
                .bind(crate::resolve::mark(now))
                .bind(row.key.0.to_vec())
                .bind(id)
                .bind(crate::image::signed(row.version))
                .execute(&mut *connection)
                .await?;
            if changed.rows_affected() != 1 {
                return Err(crate::ResolveError::Moved(row.id));
            }
            sqlx::query("UPDATE obligation SET status = $1 WHERE id = $2 AND status = $3")
                .bind(crate::resolve::CONFIRMED)
                .bind(id)
                .bind(crate::resolve::OWED)
                .execute(&mut *connection)
                .await?;
            Ok(())
        }

        async fn end_claim(
            connection: &mut $connection,
            taker: switch_core::TxnId,
            claim: &switch_core::Claim,
            how: crate::Resolution,
            now: switch_core::Wall,
            leaf: &str,
        ) -> Result<(), crate::ResolveError> {
            let id = crate::image::long(taker.0);
            let Some((status, taken)) = how.claim(claim) else { return Ok(()) };
            let ended = sqlx::query(
                "UPDATE claim SET status = $1, closed = $2 WHERE id = $3 AND status = $4",
            )
            .bind(i16::from(status.number()))
            .bind(now.0)
            .bind(id)
            .bind(i16::from(claim.status.number()))
            .execute(&mut *connection)
            .await?;
            if ended.rows_affected() != 1 {
                return Err(crate::ResolveError::Moved(taker));
            }
            let original = format!(
                "UPDATE {leaf} SET claimed = claimed + $1, version = version + 1, change = $2, \
                 claiming = CASE WHEN claiming = $3 THEN NULL ELSE claiming END \
                 WHERE key = $4 AND id = $5"
            );
            sqlx::query(sqlx::AssertSqlSafe(original))
                .bind(taken)
                .bind(crate::resolve::mark(now))
                .bind(id)
                .bind(claim.key.0.to_vec())
                .bind(crate::image::long(claim.original.0))
                .execute(&mut *connection)
                .await?;
            Ok(())
        }
    };
}
pub(crate) use resolver;

impl Store {
    /// Closes the open cases of a transaction, or of a line of a batch that is no transaction here, with what a person found
    /// out. Needs no lease: whoever conducts the transaction
    /// finds its row changed. Resolving it twice is an error that changes nothing.
    ///
    /// # Errors
    /// There is no such transaction, none of its cases is open, it does not wait for such a word, or the database failed.
    pub async fn resolve(&self, id: TxnId, how: Resolution, now: Wall) -> Result<(), ResolveError> {
        let found = self.read_id(id).await?;
        if found.is_none() && how != Resolution::Seen {
            return Err(ResolveError::Unknown(id));
        }
        let store = self.clone();
        // in a task of its own, so that a caller who goes away leaves no transaction open
        let task = tokio::spawn(async move {
            match &store {
                Self::Postgres(own) => own.resolve(id, found.as_ref(), how, now).await,
                Self::Sqlite(own) => own.resolve(id, found.as_ref(), how, now).await,
            }
        });
        match task.await {
            Ok(done) => done,
            Err(error) => Err(sqlx::Error::Io(std::io::Error::other(error)).into()),
        }
    }
}

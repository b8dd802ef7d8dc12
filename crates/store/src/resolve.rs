//! A person's word on a transaction's cases: what an advice's issuer has (M12), and so what becomes of its claim (M11).

use switch_core::{
    Claim, ClaimStatus, Found, ObligationCause, ObligationStatus, OnSilence, RowState, TxnId, Wall,
};

use crate::{
    Store, StoreError,
    store::{either, uncancelled},
};

/// What a person found out about a transaction with open cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The issuer has the advice or refund: its claim stands.
    Delivered,
    /// The issuer does not have it, and it is not to be told again: its claim is released.
    Refused,
    /// The issuer took the transaction back, whatever it answers to the reversal (M4): that ends, and its claim is released.
    Confirmed,
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
            Self::Confirmed => "confirmed",
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
            (Self::Confirmed, state) if may_be_confirmed(found) => Some(state),
            (Self::Delivered | Self::Refused | Self::Confirmed | Self::Seen, _) => None,
        }
    }

    /// What the obligation's status becomes.
    pub(crate) const fn status(self) -> ObligationStatus {
        match self {
            Self::Delivered | Self::Refused | Self::Seen => ObligationStatus::Confirmed,
            Self::Confirmed => ObligationStatus::EndedByHand,
        }
    }

    /// What the claim's status becomes, and how much the original's `claimed` grows with it: one that was released comes
    /// back with what was delivered after all, even where others have taken what was left.
    pub(crate) fn claim(self, claim: &Claim) -> Option<(ClaimStatus, i64)> {
        match (self, claim.status) {
            (Self::Delivered, ClaimStatus::Open | ClaimStatus::Released) => {
                Some((ClaimStatus::Stands, claim.amount))
            }
            (Self::Refused | Self::Confirmed, ClaimStatus::Open) => {
                Some((ClaimStatus::Released, 0))
            }
            (Self::Confirmed, ClaimStatus::Stands) => {
                Some((ClaimStatus::Released, claim.amount.saturating_neg()))
            }
            (Self::Delivered | Self::Refused | Self::Confirmed | Self::Seen, _) => None,
        }
    }

    /// Whether cases of this kind are closed by it: of an advice that still waits for a word, only the word closes those
    /// that ask for it.
    pub(crate) fn closes(self, found: Option<&Found>) -> &'static str {
        let waits = found.is_some_and(|found| {
            matches!(found.row.state, RowState::Accepted | RowState::Disputed)
        });
        let denied = found
            .and_then(|found| found.obligation.as_ref())
            .is_some_and(|known| known.is_open() && known.status != ObligationStatus::Marked);
        match (self, waits, denied) {
            (Self::Seen, true, true | false) => " AND kind NOT IN (3, 10, 20, 21)",
            (Self::Seen, false, true) => " AND kind NOT IN (1, 3, 9, 10)",
            (Self::Seen, false, false)
            | (Self::Delivered | Self::Refused | Self::Confirmed, true | false, true | false) => "",
        }
    }
}

/// M4: a person may end a reversal that its issuer denied, or that was tried until it became a case.
fn may_be_confirmed(found: &Found) -> bool {
    found.obligation.as_ref().is_some_and(|known| match known.status {
        ObligationStatus::Denied => true,
        ObligationStatus::Owed => known.parked && known.cause != ObligationCause::Delivery,
        ObligationStatus::Marked
        | ObligationStatus::Cleared
        | ObligationStatus::Confirmed
        | ObligationStatus::Withdrawn
        | ObligationStatus::EndedByHand => false,
    })
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
    /// Its issuer has it or not, or took it back or not: that it was seen says neither.
    #[error("{} is still owed to its issuer: say --as delivered or --as refused of an advice, --as confirmed of a reversal", .0.rrn())]
    WantsWord(TxnId),
    /// No reversal of it is denied or was given up as a case.
    #[error("only a reversal that its issuer denied, or that was tried until it became a case, can be called confirmed: that of {} is {}", .0.rrn(), .1)]
    NotParked(TxnId, &'static str),
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

/// A reversal as people name its state.
pub(crate) fn reversal_name(found: &Found) -> &'static str {
    match found.obligation.as_ref().map(|known| known.status) {
        None => "not owed",
        Some(ObligationStatus::Marked) => "not owed yet",
        Some(ObligationStatus::Cleared) => "not owed any more",
        Some(ObligationStatus::Owed) => "owed, and still tried",
        Some(ObligationStatus::Confirmed) => "confirmed",
        Some(ObligationStatus::Withdrawn) => "withdrawn",
        Some(ObligationStatus::Denied) => "denied",
        Some(ObligationStatus::EndedByHand) => "ended by hand",
    }
}

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
            (how, reason): (crate::Resolution, &str),
            now: switch_core::Wall,
            leaf: impl Fn(switch_core::Day) -> String,
        ) -> Result<(), crate::ResolveError> {
            close_cases(connection, id, found, how, now).await?;
            let Some(found) = found else { return Ok(()) };
            let row = &found.row;
            note(connection, row, (how, reason), now).await?;
            match (how.state(found), how) {
                (Some(state), _) => {
                    change_row(connection, row, (state, how), now, &leaf(row.day)).await?;
                    let Some(claim) = &found.claim else { return Ok(()) };
                    end_claim(connection, row.id, claim, how, now, &leaf(claim.day)).await
                }
                (None, crate::Resolution::Seen) => Ok(()),
                (None, crate::Resolution::Delivered | crate::Resolution::Refused) => {
                    Err(crate::ResolveError::NotWaiting(row.id, row.state))
                }
                (None, crate::Resolution::Confirmed) => {
                    let name = crate::resolve::reversal_name(found);
                    Err(crate::ResolveError::NotParked(row.id, name))
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
            if closed.rows_affected() > 0 || how == crate::Resolution::Confirmed {
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
            (how, reason): (crate::Resolution, &str),
            now: switch_core::Wall,
        ) -> Result<(), crate::ResolveError> {
            let detail = match reason {
                "" => how.name().to_owned(),
                reason => format!("{}: {reason}", how.name()),
            };
            sqlx::query("INSERT INTO note (id, day, at, kind, detail) VALUES ($1, $2, $3, $4, $5)")
                .bind(crate::image::long(row.id.0))
                .bind(row.day.0)
                .bind(now.0)
                .bind(crate::resolve::NOTE)
                .bind(detail.into_bytes())
                .execute(&mut *connection)
                .await?;
            Ok(())
        }

        async fn change_row(
            connection: &mut $connection,
            row: &switch_core::Row,
            (state, how): (switch_core::RowState, crate::Resolution),
            now: switch_core::Wall,
            leaf: &str,
        ) -> Result<(), crate::ResolveError> {
            let id = crate::image::long(row.id.0);
            let delivered = matches!(how, crate::Resolution::Delivered);
            let approved = if delivered {
                "CASE WHEN state IN (4, 5) THEN amount ELSE approved END"
            } else {
                "approved"
            };
            let changed = format!(
                "UPDATE {leaf} SET state = $1, version = version + 1, change = $2, \
                 approved = {approved} WHERE key = $3 AND id = $4 AND version = $5"
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
            sqlx::query("UPDATE obligation SET status = $1 WHERE id = $2 AND status IN (3, 6)")
                .bind(i16::from(how.status().number()))
                .bind(id)
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
            match how {
                crate::Resolution::Confirmed => owe_promised(connection, claim, now, leaf).await,
                crate::Resolution::Delivered
                | crate::Resolution::Refused
                | crate::Resolution::Seen => Ok(()),
            }
        }

        /// M8: the original whose terminal was told that it is reversed is owed, now that nothing claims it. Whoever starts next
        /// sends it; until then it is a case.
        async fn owe_promised(
            connection: &mut $connection,
            claim: &switch_core::Claim,
            now: switch_core::Wall,
            leaf: &str,
        ) -> Result<(), crate::ResolveError> {
            use switch_core::{CaseKind, Cause, ObligationCause, ObligationStatus, RowState};
            let id = crate::image::long(claim.original.0);
            let owed = sqlx::query(
                "UPDATE obligation SET status = $1, due = $2 WHERE id = $3 AND status = $4 AND cause = $5",
            )
            .bind(i16::from(ObligationStatus::Owed.number()))
            .bind(now.0)
            .bind(id)
            .bind(i16::from(ObligationStatus::Cleared.number()))
            .bind(i16::from(ObligationCause::Asked.number()))
            .execute(&mut *connection)
            .await?;
            if owed.rows_affected() == 0 {
                return Ok(());
            }
            let undone = format!("UPDATE {leaf} SET state = $1, cause = $2 WHERE key = $3 AND id = $4");
            sqlx::query(sqlx::AssertSqlSafe(undone))
                .bind(i16::from(RowState::Undone.number()))
                .bind(i16::from(Cause::NoAnswer.number()))
                .bind(claim.key.0.to_vec())
                .bind(id)
                .execute(&mut *connection)
                .await?;
            sqlx::query(
                "INSERT INTO cases (id, kind, opened) VALUES ($1, $2, $3) \
                 ON CONFLICT (id, kind) DO UPDATE SET resolved = NULL",
            )
            .bind(id)
            .bind(i16::from(CaseKind::ReversalUnanswered.number()))
            .bind(now.0)
            .execute(connection)
            .await?;
            Ok(())
        }
    };
}
pub(crate) use resolver;

impl Store {
    /// Closes the open cases of a transaction, or of a line of a batch that is no transaction here, with what a person found
    /// out and why, which is noted. Needs no lease: whoever conducts the transaction finds its row changed. Resolving it twice
    /// is an error that changes nothing.
    ///
    /// # Errors
    /// There is no such transaction, none of its cases is open, it does not wait for such a word, or the database failed.
    pub async fn resolve(
        &self,
        id: TxnId,
        how: Resolution,
        reason: &str,
        now: Wall,
    ) -> Result<(), ResolveError> {
        let found = self.read_id(id).await?;
        if found.is_none() && how != Resolution::Seen {
            return Err(ResolveError::Unknown(id));
        }
        let reason = reason.to_owned();
        uncancelled!(self, own => own.resolve(id, found.as_ref(), (how, &reason), now))
    }
}

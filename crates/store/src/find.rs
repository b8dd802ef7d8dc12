//! What people ask: transactions by what they remember of them, owed reversals, cases, the notes of a timeline.

use switch_core::{
    CaseKind, Code, Found, Kind, Note, NoteKind, Obligation, ObligationStatus, RowState, TxnId,
    Wall,
};

use crate::{Store, StoreError};

/// What is known of the transactions that are looked for; all of it must hold. `Default` finds any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Not created before.
    pub from: Option<Wall>,
    /// Created before.
    pub to: Option<Wall>,
    /// Terminal (41), without padding.
    pub terminal: Option<Vec<u8>>,
    /// Merchant (42), without padding.
    pub merchant: Option<Vec<u8>>,
    /// The terminal's STAN (11).
    pub stan: Option<u32>,
    /// Amount (4), minor units.
    pub amount: Option<i64>,
    /// Keyed hash of the card number.
    pub card_hash: Option<[u8; 16]>,
    /// Last four digits of the card number.
    pub last4: Option<[u8; 4]>,
    /// Name of the issuer.
    pub issuer: Option<String>,
    /// The host's own reference (37), as the kept answer has it.
    pub host_rrn: Option<Vec<u8>>,
    /// State.
    pub state: Option<RowState>,
    /// Numbers above, in ascending order; without it the newest come first.
    pub after: Option<TxnId>,
    /// Numbers below, to go on behind an answer that was cut off.
    pub before: Option<TxnId>,
}

/// A duty to reverse, with what its own table tells of its transaction, whose row may be long gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// The duty.
    pub obligation: Obligation,
    /// Kind of the transaction.
    pub kind: Kind,
    /// When its first copy was read.
    pub created: Wall,
    /// Amount (4), minor units.
    pub amount: i64,
    /// Currency (49).
    pub currency: Vec<u8>,
    /// The terminal's STAN (11).
    pub stan: u32,
    /// Merchant (42), without padding.
    pub merchant: Vec<u8>,
    /// Terminal (41), without padding.
    pub terminal: Vec<u8>,
    /// Name of the issuer that must be told.
    pub issuer: Option<String>,
    /// First six digits of the card number.
    pub first6: Vec<u8>,
    /// Last four digits of the card number.
    pub last4: Vec<u8>,
}

/// A case as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseFile {
    /// Of which transaction.
    pub id: TxnId,
    /// What happened.
    pub kind: CaseKind,
    /// When it was opened.
    pub opened: Wall,
    /// When it was resolved.
    pub resolved: Option<Wall>,
    /// What differs, where the kind does not say it all. Never a card number.
    pub detail: String,
    /// Written attempts at the reversal or delivery of its transaction; none where it has no such duty.
    pub attempts: Option<u32>,
    /// Code of the last answer to one of them.
    pub answered: Option<Code>,
}

/// What the store holds open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenCounts {
    /// Reversals owed.
    pub owed: u64,
    /// When the oldest of them was opened.
    pub oldest_owed: Option<Wall>,
    /// Advices and refunds that are to be delivered (M12).
    pub advices: u64,
    /// Undelivered approvals that are marked.
    pub marked: u64,
    /// Reversals that an issuer denied (M4).
    pub denied: u64,
    /// Open cases.
    pub cases: u64,
}

/// The columns of an [`Owed`].
pub(crate) const OWED: &str = "id, status, cause, owner, attempts, opened, due, parked, kind, created, amount, currency, \
     stan, merchant, terminal, issuer, card_first6, card_last4, answered";

/// Makes the functions of one back end: they differ only in their types.
macro_rules! finders {
    ($store:ty, $pool:ident, $db:ty, $row:ty, $before:literal, $behind:literal) => {
        /// Adds what holds of the transactions that are looked for.
        fn conditions(
            filter: &crate::Filter,
            floor: Option<i64>,
            query: &mut sqlx::QueryBuilder<$db>,
        ) {
            let mut word = " WHERE ";
            let mut and = |query: &mut sqlx::QueryBuilder<$db>, text: &'static str| {
                query.push(word).push(text);
                word = " AND ";
            };
            macro_rules! hold {
                ($value:expr, $text:literal) => {
                    if let Some(value) = $value {
                        and(query, $text);
                        query.push_bind(value);
                    }
                };
            }
            hold!(filter.from.map(|wall| wall.0), "t.created >= ");
            hold!(filter.to.map(|wall| wall.0), "t.created < ");
            hold!(filter.terminal.clone(), "t.terminal = ");
            hold!(filter.merchant.clone(), "t.merchant = ");
            hold!(filter.stan.map(crate::image::signed), "t.stan = ");
            hold!(filter.amount, "t.amount = ");
            hold!(filter.card_hash.map(|hash| hash.to_vec()), "t.card_hash = ");
            hold!(filter.last4.map(|digits| digits.to_vec()), "t.card_last4 = ");
            hold!(filter.issuer.clone(), "t.issuer = ");
            hold!(filter.host_rrn.clone(), $before);
            if filter.host_rrn.is_some() {
                query.push($behind);
            }
            hold!(filter.state.map(|state| i16::from(state.number())), "t.state = ");
            hold!(filter.after.map(|id| crate::image::long(id.0)), "t.id > ");
            hold!(floor, "t.id >= ");
            hold!(filter.before.map(|id| crate::image::long(id.0)), "t.id < ");
        }

        impl $store {
            /// With `floor`, only numbers from there on.
            pub(crate) async fn find_above(
                &self,
                filter: &crate::Filter,
                floor: Option<i64>,
                limit: u32,
            ) -> Result<Vec<switch_core::Found>, crate::StoreError> {
                let mut query = sqlx::QueryBuilder::<$db>::new(format!(
                    "SELECT {} FROM txn t {}",
                    crate::image::FOUND,
                    crate::image::BESIDE
                ));
                conditions(filter, floor, &mut query);
                let order = if filter.after.is_some() { "ASC" } else { "DESC" };
                query.push(" ORDER BY t.id ").push(order).push(" LIMIT ");
                query.push_bind(i64::from(limit));
                let rows = query.build().fetch_all(&self.$pool).await?;
                super::read::found(&rows, self.horizon.get())
            }

            pub(crate) async fn read_of_card(
                &self,
                card_hash: [u8; 16],
                kinds: &[switch_core::Kind],
                from: switch_core::Day,
            ) -> Result<Vec<switch_core::Found>, crate::StoreError> {
                let statement = format!(
                    "SELECT {} FROM txn t {} WHERE t.card_hash = $1 AND {} AND t.day >= $2 \
                     ORDER BY t.id DESC LIMIT $3",
                    crate::image::FOUND,
                    crate::image::BESIDE,
                    crate::originals::is_of(kinds)
                );
                let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
                    .bind(card_hash.to_vec())
                    .bind(from.0)
                    .bind(crate::originals::MOST)
                    .fetch_all(&self.$pool)
                    .await?;
                super::read::found(&rows, self.horizon.get())
            }

            pub(crate) async fn claims_of(
                &self,
                original: switch_core::TxnId,
            ) -> Result<Vec<crate::originals::ClaimRow>, crate::StoreError> {
                let claims = sqlx::query_as(crate::originals::CLAIMS_OF)
                    .bind(crate::image::long(original.0));
                Ok(claims.fetch_all(&self.$pool).await?)
            }

            pub(crate) async fn is_refunded(
                &self,
                row: &switch_core::Row,
            ) -> Result<bool, crate::StoreError> {
                let refunded = crate::originals::refunded();
                let refunded = sqlx::query_scalar(sqlx::AssertSqlSafe(refunded))
                    .bind(crate::image::long(row.id.0))
                    .bind(row.day.0);
                Ok(refunded.fetch_one(&self.$pool).await?)
            }

            pub(crate) async fn owed_list(
                &self,
                status: Option<switch_core::ObligationStatus>,
                limit: u32,
            ) -> Result<Vec<crate::Owed>, crate::StoreError> {
                let mut query = sqlx::QueryBuilder::<$db>::new(format!(
                    "SELECT {} FROM obligation",
                    crate::find::OWED
                ));
                if let Some(status) = status {
                    query.push(" WHERE status = ").push_bind(i16::from(status.number()));
                }
                query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
                let rows = query.build().fetch_all(&self.$pool).await?;
                rows.iter().map(owed_of).collect()
            }

            pub(crate) async fn notes(
                &self,
                id: switch_core::TxnId,
            ) -> Result<Vec<switch_core::Note>, crate::StoreError> {
                let mut query = sqlx::QueryBuilder::<$db>::new(
                    "SELECT day, at, kind, detail FROM note WHERE id = ",
                );
                query.push_bind(crate::image::long(id.0)).push(" ORDER BY seq LIMIT 1000");
                let rows = query.build().fetch_all(&self.$pool).await?;
                rows.iter()
                    .map(|row| {
                        use sqlx::Row as _;
                        crate::find::note_of(
                            id,
                            row.try_get(0)?,
                            row.try_get(1)?,
                            row.try_get(2)?,
                            row.try_get(3)?,
                        )
                    })
                    .collect()
            }

            /// With `resolved`, those too, where no transaction is named.
            pub(crate) async fn cases(
                &self,
                id: Option<switch_core::TxnId>,
                resolved: bool,
                limit: u32,
            ) -> Result<Vec<crate::CaseFile>, crate::StoreError> {
                let mut query = sqlx::QueryBuilder::<$db>::new(
                    "SELECT c.id, c.kind, c.opened, c.resolved, c.detail, o.attempts, o.answered \
                     FROM cases c LEFT JOIN obligation o ON o.id = c.id",
                );
                match id {
                    Some(id) => {
                        query.push(" WHERE c.id = ").push_bind(crate::image::long(id.0));
                    }
                    None if resolved => {}
                    None => {
                        query.push(" WHERE c.resolved IS NULL");
                    }
                }
                query.push(" ORDER BY c.opened DESC LIMIT ").push_bind(i64::from(limit));
                let rows = query.build().fetch_all(&self.$pool).await?;
                rows.iter()
                    .map(|row| {
                        use sqlx::Row as _;
                        let case = crate::find::case_of(
                            row.try_get(0)?,
                            row.try_get(1)?,
                            row.try_get(2)?,
                            row.try_get(3)?,
                            row.try_get(4)?,
                        )?;
                        case.with_duty(row.try_get(5)?, row.try_get(6)?)
                    })
                    .collect()
            }

            pub(crate) async fn open_cases(&self) -> Result<u64, crate::StoreError> {
                let open = sqlx::query_scalar("SELECT count(*) FROM cases WHERE resolved IS NULL");
                Ok(crate::image::count(open.fetch_one(&self.$pool).await?))
            }

            pub(crate) async fn open_counts(&self) -> Result<crate::OpenCounts, crate::StoreError> {
                use sqlx::Row as _;
                let row = sqlx::query(
                    "SELECT count(*) FILTER (WHERE status = 3 AND cause <> 7), \
                     min(opened) FILTER (WHERE status = 3 AND cause <> 7), \
                     count(*) FILTER (WHERE status = 1), \
                     (SELECT count(*) FROM cases WHERE resolved IS NULL), \
                     count(*) FILTER (WHERE status = 3 AND cause = 7), \
                     count(*) FILTER (WHERE status = 6) \
                     FROM obligation WHERE status IN (1, 3, 6)",
                )
                .fetch_one(&self.$pool)
                .await?;
                Ok(crate::OpenCounts {
                    owed: crate::image::count(row.try_get(0)?),
                    oldest_owed: row.try_get::<Option<i64>, _>(1)?.map(switch_core::Wall),
                    marked: crate::image::count(row.try_get(2)?),
                    cases: crate::image::count(row.try_get(3)?),
                    advices: crate::image::count(row.try_get(4)?),
                    denied: crate::image::count(row.try_get(5)?),
                })
            }
        }

        fn owed_of(row: &$row) -> Result<crate::Owed, crate::StoreError> {
            use crate::image::{count, known, unsigned};
            use sqlx::Row as _;
            use switch_core::{
                Kind, NodeNo, Obligation, ObligationCause, ObligationStatus, TxnId, Wall,
            };
            Ok(crate::Owed {
                obligation: Obligation {
                    id: TxnId(count(row.try_get(0)?)),
                    status: known("status", row.try_get(1)?, ObligationStatus::from_number)?,
                    cause: known("cause", row.try_get(2)?, ObligationCause::from_number)?,
                    owner: NodeNo(row.try_get(3)?),
                    attempts: unsigned(row.try_get(4)?),
                    opened: Wall(row.try_get(5)?),
                    due: Wall(row.try_get(6)?),
                    parked: row.try_get(7)?,
                    answered: crate::image::code_of(
                        row.try_get::<Option<String>, _>(18)?.as_deref(),
                    )?,
                },
                kind: known("kind", row.try_get(8)?, Kind::from_number)?,
                created: Wall(row.try_get(9)?),
                amount: row.try_get(10)?,
                currency: row.try_get(11)?,
                stan: unsigned(row.try_get(12)?),
                merchant: row.try_get(13)?,
                terminal: row.try_get(14)?,
                issuer: row.try_get(15)?,
                first6: row.try_get(16)?,
                last4: row.try_get(17)?,
            })
        }
    };
}
pub(crate) use finders;

pub(crate) fn note_of(
    id: TxnId,
    day: i32,
    at: i64,
    kind: i16,
    detail: Vec<u8>,
) -> Result<Note, StoreError> {
    Ok(Note {
        id,
        day: switch_core::Day(day),
        kind: crate::image::known("note", kind, NoteKind::from_number)?,
        at: Wall(at),
        detail: String::from_utf8_lossy(&detail).into_owned(),
    })
}

pub(crate) fn case_of(
    id: i64,
    kind: i16,
    opened: i64,
    resolved: Option<i64>,
    detail: Option<Vec<u8>>,
) -> Result<CaseFile, StoreError> {
    Ok(CaseFile {
        id: TxnId(crate::image::count(id)),
        kind: crate::image::known("case", kind, CaseKind::from_number)?,
        opened: Wall(opened),
        resolved: resolved.map(Wall),
        detail: String::from_utf8_lossy(&detail.unwrap_or_default()).into_owned(),
        attempts: None,
        answered: None,
    })
}

impl CaseFile {
    pub(crate) fn with_duty(
        self,
        attempts: Option<i32>,
        answered: Option<String>,
    ) -> Result<Self, StoreError> {
        let answered = crate::image::code_of(answered.as_deref())?;
        Ok(Self { attempts: attempts.map(crate::image::unsigned), answered, ..self })
    }
}

/// Calls the back end's function of the same name.
macro_rules! ask {
    ($store:expr, $own:ident => $call:expr) => {
        match $store {
            Store::Postgres($own) => $call.await,
            Store::Sqlite($own) => $call.await,
        }
    };
}

impl Store {
    /// At most `limit` transactions for which `filter` holds, the newest first (in ascending order with
    /// [`Filter::after`]). Works without a lease.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, filter: &Filter, limit: u32) -> Result<Vec<Found>, StoreError> {
        ask!(self, own => own.find(filter, limit))
    }

    /// At most `limit` duties to reverse of this status, or of any, the newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn owed_list(
        &self,
        status: Option<ObligationStatus>,
        limit: u32,
    ) -> Result<Vec<Owed>, StoreError> {
        ask!(self, own => own.owed_list(status, limit))
    }

    /// The unusual events of a transaction, in order.
    ///
    /// # Errors
    /// The database failed.
    pub async fn notes(&self, id: TxnId) -> Result<Vec<Note>, StoreError> {
        ask!(self, own => own.notes(id))
    }

    /// The cases of a transaction, or at most `limit` open ones of all, the newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn cases(&self, id: Option<TxnId>, limit: u32) -> Result<Vec<CaseFile>, StoreError> {
        ask!(self, own => own.cases(id, false, limit))
    }

    /// At most `limit` cases, resolved ones too, the newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn all_cases(&self, limit: u32) -> Result<Vec<CaseFile>, StoreError> {
        ask!(self, own => own.cases(None, true, limit))
    }

    /// How many cases are open, over all nodes: cheap enough to be asked each second.
    ///
    /// # Errors
    /// The database failed.
    pub async fn open_cases(&self) -> Result<u64, StoreError> {
        ask!(self, own => own.open_cases())
    }

    /// How much is open, over all nodes. It reads all that is owed.
    ///
    /// # Errors
    /// The database failed.
    pub async fn open_counts(&self) -> Result<OpenCounts, StoreError> {
        ask!(self, own => own.open_counts())
    }
}

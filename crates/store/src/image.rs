//! The columns of a transaction and of its obligation, and how a row of either back end becomes a `Found`.

use std::sync::Arc;

use bytes::Bytes;
use switch_core::{
    Card, Cause, Claim, ClaimStatus, Code, Day, Digest, Epoch, Fixed, Found, Key, Kind, NodeNo,
    Obligation, ObligationCause, ObligationStatus, Row, RowState, TxnId, Wall,
};

use crate::{StoreError, horizon::Horizon};

/// The columns of `txn`, in the order in which they are inserted.
pub(crate) const COLUMNS: &str = "id, created, amount, day, node, epoch, stan, kind, key, listener, merchant, terminal, \
     currency, digest, issuer, card_hash, card_first6, card_last4, card_sealed, carried, version, change, state, cause, \
     code, approved, answer, copies, late, concluded";

/// What a `Found` is read from: `txn AS t` left-joined with `obligation AS o` and `claim AS k`.
pub(crate) const FOUND: &str = "t.id, t.created, t.amount, t.day, t.node, t.epoch, t.stan, t.kind, t.key, t.listener, \
     t.merchant, t.terminal, t.currency, t.digest, t.issuer, t.card_hash, t.card_first6, t.card_last4, t.card_sealed, \
     t.carried, t.version, t.change, t.state, t.cause, t.code, t.approved, t.answer, t.copies, t.late, t.concluded, \
     o.status, o.cause, o.owner, o.attempts, o.opened, o.due, o.parked, \
     t.claimed, t.claiming, k.original, k.key, k.day, k.amount, k.status, \
     CASE WHEN t.claimed <> 0 THEN EXISTS (SELECT 1 FROM claim u JOIN obligation v ON v.id = u.id \
     WHERE u.original = t.id AND u.status = 2 AND v.status IN (1, 3, 6) AND v.cause <> 7) ELSE false END, o.answered";

/// What [`FOUND`] joins to `txn AS t`.
pub(crate) const BESIDE: &str =
    "LEFT JOIN obligation o ON o.id = t.id LEFT JOIN claim k ON k.id = t.id";

/// The first column after those of [`FOUND`].
pub(crate) const AFTER_FOUND: usize = 46;

/// What an obligation copies from its transaction, so that it outlives the leaf of its day (M4).
pub(crate) const COPIED: &str = "id, day, key, kind, created, amount, stan, listener, merchant, terminal, currency, issuer, \
     card_hash, card_first6, card_last4, card_sealed, carried";

/// Status, cause, owner, attempts, when it was opened, when it is due, whether it is parked, and the last answer.
pub(crate) type StoredObligation = (i16, i16, i32, i32, i64, i64, bool, Option<String>);

/// One row as either back end gives it, in the order of [`FOUND`].
pub(crate) struct Image {
    pub(crate) id: i64,
    pub(crate) created: i64,
    pub(crate) amount: i64,
    pub(crate) day: i32,
    pub(crate) node: i32,
    pub(crate) epoch: i32,
    pub(crate) stan: i32,
    pub(crate) kind: i16,
    pub(crate) key: Vec<u8>,
    pub(crate) listener: String,
    pub(crate) merchant: Vec<u8>,
    pub(crate) terminal: Vec<u8>,
    pub(crate) currency: Vec<u8>,
    pub(crate) digest: Vec<u8>,
    pub(crate) issuer: Option<String>,
    pub(crate) card: [Vec<u8>; 4],
    pub(crate) carried: Vec<u8>,
    pub(crate) version: i32,
    pub(crate) change: i64,
    pub(crate) state: i16,
    pub(crate) cause: i16,
    pub(crate) code: Option<String>,
    pub(crate) approved: i64,
    pub(crate) answer: Vec<u8>,
    pub(crate) copies: i32,
    pub(crate) late: i32,
    pub(crate) concluded: Option<i64>,
    pub(crate) obligation: Option<StoredObligation>,
    pub(crate) claimed: i64,
    pub(crate) claiming: Option<i64>,
    pub(crate) claim: Option<(i64, Vec<u8>, i32, i64, i16)>,
    pub(crate) claim_undone: bool,
}

/// Makes `image_of`, which reads an [`Image`] from a row type of one back end.
macro_rules! image_of {
    ($row:ty) => {
        pub(crate) fn image_of(row: &$row) -> Result<crate::image::Image, sqlx::Error> {
            use sqlx::Row as _;
            let obligation = match row.try_get::<Option<i16>, _>(30)? {
                None => None,
                Some(status) => Some((
                    status,
                    row.try_get(31)?,
                    row.try_get(32)?,
                    row.try_get(33)?,
                    row.try_get(34)?,
                    row.try_get(35)?,
                    row.try_get(36)?,
                    row.try_get(45)?,
                )),
            };
            let claim = match row.try_get::<Option<i64>, _>(39)? {
                None => None,
                Some(original) => Some((
                    original,
                    row.try_get(40)?,
                    row.try_get(41)?,
                    row.try_get(42)?,
                    row.try_get(43)?,
                )),
            };
            Ok(crate::image::Image {
                claimed: row.try_get(37)?,
                claiming: row.try_get(38)?,
                claim,
                claim_undone: row.try_get(44)?,
                id: row.try_get(0)?,
                created: row.try_get(1)?,
                amount: row.try_get(2)?,
                day: row.try_get(3)?,
                node: row.try_get(4)?,
                epoch: row.try_get(5)?,
                stan: row.try_get(6)?,
                kind: row.try_get(7)?,
                key: row.try_get(8)?,
                listener: row.try_get(9)?,
                merchant: row.try_get(10)?,
                terminal: row.try_get(11)?,
                currency: row.try_get(12)?,
                digest: row.try_get(13)?,
                issuer: row.try_get(14)?,
                card: [row.try_get(15)?, row.try_get(16)?, row.try_get(17)?, row.try_get(18)?],
                carried: row.try_get(19)?,
                version: row.try_get(20)?,
                change: row.try_get(21)?,
                state: row.try_get(22)?,
                cause: row.try_get(23)?,
                code: row.try_get(24)?,
                approved: row.try_get(25)?,
                answer: row.try_get(26)?,
                copies: row.try_get(27)?,
                late: row.try_get(28)?,
                concluded: row.try_get(29)?,
                obligation,
            })
        }
    };
}
pub(crate) use image_of;

impl Image {
    /// The row that this is, with its obligation.
    pub(crate) fn found(self, horizon: Option<Horizon>) -> Result<Found, StoreError> {
        let day = Day(self.day);
        let id = TxnId(count(self.id));
        let obligation = self.obligation.map(|stored| obligation_of(id, stored)).transpose()?;
        let claim = self.claim.map(claim_of).transpose()?;
        let [hash, first6, last4, sealed] = self.card;
        let row = Row {
            fixed: Arc::new(Fixed {
                key: Key(array(&self.key, "identity")?),
                id,
                kind: known("kind", self.kind, Kind::from_number)?,
                node: NodeNo(self.node),
                epoch: Epoch(self.epoch),
                created: Wall(self.created),
                listener: self.listener.into(),
                merchant: self.merchant.into(),
                terminal: self.terminal.into(),
                stan: unsigned(self.stan),
                amount: self.amount,
                currency: array(&self.currency, "currency")?,
                digest: Digest(array(&self.digest, "digest")?),
                issuer: self.issuer.map(Into::into),
                card: Card {
                    hash: array(&hash, "card hash")?,
                    first6: array(&first6, "card's first six")?,
                    last4: array(&last4, "card's last four")?,
                    sealed: Bytes::from(sealed),
                },
                carried: self.carried.into(),
            }),
            day,
            version: unsigned(self.version),
            change: self.change.cast_unsigned(),
            state: known("state", self.state, RowState::from_number)?,
            cause: known("cause", self.cause, Cause::from_number)?,
            code: code_of(self.code.as_deref())?,
            approved: self.approved,
            answer: self.answer.into(),
            copies: unsigned(self.copies),
            late: unsigned(self.late),
            concluded: self.concluded.map(Wall),
            claimed: self.claimed,
            claiming: self.claiming.map(|id| TxnId(count(id))),
        };
        let within_horizon = horizon.is_some_and(|horizon| horizon.holds(day));
        let claim_undone = self.claim_undone;
        Ok(Found { row, obligation, claim, claim_undone, within_horizon })
    }
}

fn obligation_of(
    id: TxnId,
    (status, cause, owner, attempts, opened, due, parked, answered): StoredObligation,
) -> Result<Obligation, StoreError> {
    Ok(Obligation {
        id,
        status: known("obligation's status", status, ObligationStatus::from_number)?,
        cause: known("obligation's cause", cause, ObligationCause::from_number)?,
        owner: NodeNo(owner),
        attempts: unsigned(attempts),
        opened: Wall(opened),
        due: Wall(due),
        parked,
        answered: code_of(answered.as_deref())?,
    })
}

fn claim_of(
    (original, key, day, amount, status): (i64, Vec<u8>, i32, i64, i16),
) -> Result<Claim, StoreError> {
    Ok(Claim {
        original: TxnId(count(original)),
        key: Key(array(&key, "identity")?),
        day: Day(day),
        amount,
        status: known("claim's status", status, ClaimStatus::from_number)?,
    })
}

pub(crate) fn code_of(text: Option<&str>) -> Result<Option<Code>, StoreError> {
    let code = text.map(Code::new).transpose();
    code.map_err(|_| StoreError::Corrupt { what: "response code", value: 0 })
}

pub(crate) fn known<T>(
    what: &'static str,
    number: i16,
    from: impl Fn(u8) -> Option<T>,
) -> Result<T, StoreError> {
    u8::try_from(number)
        .ok()
        .and_then(from)
        .ok_or(StoreError::Corrupt { what, value: i64::from(number) })
}

pub(crate) fn array<const N: usize>(
    bytes: &[u8],
    what: &'static str,
) -> Result<[u8; N], StoreError> {
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    bytes.try_into().map_err(|_| StoreError::Corrupt { what, value: length })
}

/// A count that the store keeps in a signed column. Counts begin at 0, so that nothing is lost.
pub(crate) fn unsigned(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// As [`unsigned`], for numbers of transactions.
pub(crate) fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A count for a signed column; one beyond it stays at its end.
pub(crate) fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// As [`signed`], for numbers of transactions.
pub(crate) fn long(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

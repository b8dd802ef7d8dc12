//! Proofs that something was committed, without which nothing is sent and nothing approved (M1, M2, M4).
//!
//! Their fields are private and their makers are private to this crate: [`Durable::of_commit`] is called only where
//! `Event::Persisted` is handled. A compile-fail test shows that nothing outside can make one.

use crate::{TxnId, event::Commit};

/// Proof that a record of this transaction was committed under this node's fence. Consumed by the effect that
/// forwards the request or gives the approval.
#[derive(Debug, PartialEq, Eq)]
pub struct Durable {
    id: TxnId,
    commit: Commit,
}

impl Durable {
    /// Called only where the engine handles `Event::Persisted` with a commit.
    pub(crate) const fn of_commit(id: TxnId, commit: Commit) -> Self {
        Self { id, commit }
    }

    /// Which transaction is durable.
    #[must_use]
    pub const fn id(&self) -> TxnId {
        self.id
    }

    /// The commit that made it so.
    #[must_use]
    pub const fn commit(&self) -> Commit {
        self.commit
    }

    /// The commit held an owed reversal: the right to send it until it is confirmed (M4).
    pub(crate) const fn into_owed(self) -> OwedProof {
        OwedProof { id: self.id }
    }
}

/// Proof that an owed reversal was committed, or adopted, under this node's fence. It lasts: a reversal is repeated
/// until it is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedProof {
    id: TxnId,
}

impl OwedProof {
    /// Which transaction's reversal is owed.
    #[must_use]
    pub const fn id(&self) -> TxnId {
        self.id
    }
}

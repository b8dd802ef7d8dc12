//! The transaction engine: a pure state machine that is told the time.
//!
//! No socket, no clock, no randomness, no thread. The caller feeds [`Event`]s to `Engine`, performs the
//! [`Effect`]s that `Engine` gives, and calls `Engine` when `Engine`
//! says so. The rules of money (M1 to M16, ARCHITECTURE.md) are enforced here and named where they are.

mod durable;
mod effect;
mod event;
mod ids;
mod network;
mod policy;
mod record;
mod row;
mod time;

pub use durable::{Durable, OwedProof};
pub use effect::{
    DuplicateResult, Effect, Forward, Notice, Outcome, Read, Reply, ReversalOut, ReversalResult,
    ShedReason, TxnOutcome,
};
pub use event::{
    Asked, Commit, Event, IssuerAnswer, NumberBlock, Persisted, ReadFailed, Request,
    ReversalRequest, Unsent,
};
pub use ids::{
    AskId, Day, Digest, Epoch, IssuerName, Key, LinkId, Name, NodeNo, RecordId, TerminalKey, TxnId,
};
pub use network::{
    DownReason, NetworkMessage, Session, SessionEffect, SessionEvent, SessionPolicy,
};
pub use policy::{EngineConfig, IssuerPolicy, ReversalSchedule};
pub use record::{Case, CaseKind, Change, Note, NoteKind, ObligationWrite, Progress, Record};
pub use row::{Card, Found, Obligation, ObligationCause, ObligationStatus, Row, RowState};
pub use time::{Instant, Now, Wall};

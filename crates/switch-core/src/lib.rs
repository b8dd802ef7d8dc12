//! The transaction engine: a pure state machine that is told the time.
//!
//! No socket, no clock, no randomness, no thread. The caller feeds [`Event`]s to [`Engine::handle`], performs the
//! [`Effect`]s that [`Engine::poll_effect`] gives, and calls [`Engine::handle_timeout`] when [`Engine::poll_timeout`]
//! says so. The rules of money (M1 to M16, ARCHITECTURE.md) are enforced here and named where they are.

mod admit;
mod advice;
mod answer;
mod bug;
mod claim;
mod conclude;
mod core;
mod delivery;
mod durable;
mod duty;
mod effect;
mod engine;
mod event;
mod finished;
mod follow;
mod forward;
mod ids;
mod late;
mod network;
mod numbers;
mod open_requests;
mod original;
mod pace;
mod persisted;
mod policy;
mod record;
mod recover;
mod row;
mod settle;
mod shed;
mod table;
mod terminal_reversal;
mod time;
mod txn;

// The codec's words that stand in rows and events, for the floors above that may not import the codec.
pub use iso8583::{Cause, Class, Code, Kind, OnSilence, Takes, numbered};

#[cfg(feature = "bugs")]
pub use bug::Bug;
pub use claim::{ClaimAsk, Named};
pub use durable::{Durable, OwedProof};
pub use effect::{
    DuplicateResult, Effect, Forward, Notice, Outcome, Read, Reply, ReversalOut, ReversalResult,
    ShedReason, TxnOutcome,
};
pub use engine::{Engine, Gauges};
pub use event::{
    Asked, Commit, Event, IssuerAnswer, Matched, NumberBlock, OriginalFound, Persisted, ReadFailed,
    Request, ReversalRequest, ReversalUnsent, Translated, Unsent,
};
pub use ids::{
    AskId, Day, Digest, Epoch, IssuerName, Key, LinkId, Name, NodeNo, RecordId, TerminalKey, TxnId,
};
pub use network::{
    DownReason, Exchange, NetworkMessage, Session, SessionEffect, SessionEvent, SessionPolicy,
};
pub use policy::{EngineConfig, IssuerPolicy, ReversalSchedule};
pub use record::{
    Case, CaseKind, Change, ClaimEnd, ClaimIntent, Note, NoteKind, ObligationWrite, Progress,
    Record, Said,
};
pub use row::{
    Card, Claim, ClaimStatus, Fixed, Found, Obligation, ObligationCause, ObligationStatus, Row,
    RowState,
};
pub use time::{Instant, Now, Wall};
pub use txn::State;

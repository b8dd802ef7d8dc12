//! What can happen in the world, and the one heap that says what happens next.

use std::{cmp::Ordering, collections::BinaryHeap};

use bytes::Bytes;
use iso8583::{Cause, Code, Kind};
use switch_core::{
    AskId, Event, IssuerAnswer, Key, Named, OriginalFound, Persisted, Read, ReadFailed, RecordId,
    Reply, Row, TxnId,
};

use super::oracle::Verdict;

/// A message from a terminal; what it says stands in its journal under `sale`.
#[derive(Debug, Clone, Copy)]
pub(super) struct TermMsg {
    pub(super) sale: usize,
    /// A reversal (0400), else the request itself.
    pub(super) reversal: bool,
    /// The number that a reversal names: its own, or another terminal's.
    pub(super) names: Option<TxnId>,
    /// Its terminal's batch was closed since.
    pub(super) other_batch: bool,
    /// Why the edge of the node that reads it refuses it, unless something stands (M2).
    pub(super) refused: Option<Cause>,
}

/// An answer to a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReplyMsg {
    /// Echoed from the terminal's message.
    pub(super) sale: usize,
    pub(super) reversal: bool,
    pub(super) code: Code,
    pub(super) approved: bool,
    pub(super) rrn: Option<TxnId>,
    pub(super) amount: i64,
    /// Approval code (38).
    pub(super) auth: u32,
}

/// A message to an issuer.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToIssuer {
    pub(super) id: TxnId,
    pub(super) reversal: bool,
    pub(super) repeat: bool,
    /// What the merchant's message says of itself, as carried through.
    pub(super) sale: usize,
    /// The transaction that it is about.
    pub(super) original: Option<TxnId>,
    pub(super) kind: Kind,
    pub(super) amount: i64,
    pub(super) currency: [u8; 3],
    pub(super) card: [u8; 16],
    /// When its first byte went to the kernel.
    pub(super) written: u64,
}

/// Something in the queue of a link.
#[derive(Debug, Clone)]
pub(super) enum Out {
    Request { id: TxnId, carried: Bytes, not_after: u64 },
    Reversal { id: TxnId, repeat: bool, row: Box<Row> },
}

/// A timer of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// Send a copy on a line of its own choice.
    Copy,
    /// Send a copy on a second line.
    SecondLine,
    HangUp,
    PowerOff,
    Vanish,
    /// Reverse without having waited.
    Reverse,
    /// The terminal's own time-out.
    GiveUp,
    /// Offline for long; now it is back.
    ComeBack,
}

/// Something inside a node's process: lost when it ends, late when it is stopped.
#[derive(Debug)]
pub(super) enum Proc {
    Engine(Box<Event>),
    Timer(u64),
    /// An original that was looked for, and what must come of it.
    Original {
        key: Key,
        original: Result<Option<Box<OriginalFound>>, ReadFailed>,
        verdict: Option<Verdict>,
    },
    Frame {
        conn: usize,
        n: u32,
        msg: TermMsg,
    },
    ConnEnd(usize),
    ReplyDeadline(usize),
    ConnWrite {
        ask: AskId,
        reply: Box<Reply>,
    },
    LinkSend {
        link: usize,
        out: Box<Out>,
    },
    LinkUp(usize),
    /// The issuer signs a link off, or on again.
    Signed {
        link: usize,
        on: bool,
    },
    LinkEnd(usize),
    LinkExpire(usize),
    Connect {
        issuer: usize,
    },
    Answer {
        link: usize,
        n: u32,
        answer: Box<IssuerAnswer>,
    },
    Results {
        lane: usize,
        statement: u64,
        results: Vec<(RecordId, Persisted)>,
    },
    Fenced {
        lane: usize,
    },
    OtherDay {
        lane: usize,
        statement: u64,
    },
    Unknown {
        lane: usize,
        statement: u64,
    },
    LaneBack(usize),
    Recover(Vec<TxnId>),
    StoreBack,
    Crash,
    Drain,
    DrainPoll,
}

/// A fault that begins at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    Crash,
    Pause,
    Drain,
    StoreStall,
    StoreDown,
    LinkReset,
    LinkStall,
    LinkHalfOpen,
    SignOff,
    IssuerRestart,
    WallJump,
    CutOver,
    Reload,
    Settle,
}

/// Something happens in the world.
#[derive(Debug)]
pub(super) enum Ev {
    NextSale(usize),
    /// A terminal asks something of a sale that another has just asked something of.
    Claim {
        terminal: usize,
        original: usize,
    },
    /// A terminal reverses a sale about which another is under way.
    ReverseClaimed(usize),
    Timer {
        sale: usize,
        turn: u32,
        what: Timer,
    },
    Boot(usize),
    Reply {
        conn: usize,
        n: u32,
        reply: ReplyMsg,
    },
    ConnClosed(usize),
    ConnUnstall(usize),
    ConnReset(usize),
    AtIssuer {
        link: usize,
        n: u32,
        msg: ToIssuer,
    },
    /// A slow issuer gets to its work.
    Process {
        issuer: usize,
        link: usize,
        msg: ToIssuer,
    },
    IssuerSend {
        link: usize,
        answer: Box<IssuerAnswer>,
        wander: bool,
    },
    LinkUnstall(usize),
    LinkDead(usize),
    Proc {
        node: usize,
        life: u32,
        what: Proc,
    },
    Start(usize),
    Wake {
        node: usize,
        life: u32,
    },
    TakeOver {
        by: usize,
        of: usize,
        seen: i32,
    },
    Begin(u64),
    Commit(u64),
    Read {
        node: usize,
        life: u32,
        read: Read,
    },
    Find {
        node: usize,
        life: u32,
        key: Key,
        named: Named,
        kinds: std::sync::Arc<[Kind]>,
    },
    Draw {
        node: usize,
        life: u32,
    },
    TryOps,
    Trouble(Trouble),
    Heal,
}

#[derive(Debug)]
struct Slot {
    at: u64,
    seq: u64,
    ev: Ev,
}

impl PartialEq for Slot {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Slot {}
impl PartialOrd for Slot {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Slot {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

/// The heap of (time, sequence, event).
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Slot>,
    seq: u64,
    /// Messages between issuers and nodes that are still under way.
    pub(super) messages: u64,
}

const fn is_message(ev: &Ev) -> bool {
    matches!(
        ev,
        Ev::AtIssuer { .. }
            | Ev::Process { .. }
            | Ev::IssuerSend { .. }
            | Ev::Proc { what: Proc::Answer { .. }, .. }
    )
}

impl Agenda {
    pub(super) fn add(&mut self, at: u64, ev: Ev) {
        self.seq += 1;
        self.messages += u64::from(is_message(&ev));
        self.heap.push(Slot { at, seq: self.seq, ev });
    }

    pub(super) fn pop(&mut self) -> Option<(u64, u64, Ev)> {
        let slot = self.heap.pop()?;
        self.messages -= u64::from(is_message(&slot.ev));
        Some((slot.at, slot.seq, slot.ev))
    }
}

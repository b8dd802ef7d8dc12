//! Identifiers: of a request (K), a transaction, a business day, a node, and of things under way.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use iso8583::Kind;

/// A short name from the configuration (an issuer, a listener), cheap to copy.
pub type Name = Arc<str>;
/// The configured name of an issuer.
pub type IssuerName = Name;

/// A hash of domain, merchant (42) and terminal (41): whose request it is. The first eight bytes of a [`Key`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TerminalKey(pub [u8; 8]);

/// The identity K of a request: terminal key, batch, STAN and kind, in that order, so that a terminal's rows lie
/// together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key(pub [u8; 15]);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.as_number());
    }
}

impl Ord for Key {
    /// As its bytes are ordered, in one comparison: every table of the engine is searched by it.
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_number().cmp(&other.as_number())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Key {
    const fn as_number(self) -> u128 {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o] = self.0;
        u128::from_be_bytes([0, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o])
    }

    /// The key of the request with these elements; `batch` and `stan` are at most 999 999.
    #[must_use]
    pub fn new(terminal: TerminalKey, batch: u32, stan: u32, kind: Kind) -> Self {
        let [t0, t1, t2, t3, t4, t5, t6, t7] = terminal.0;
        let [_, b0, b1, b2] = batch.to_be_bytes();
        let [_, s0, s1, s2] = stan.to_be_bytes();
        Self([t0, t1, t2, t3, t4, t5, t6, t7, b0, b1, b2, s0, s1, s2, kind.number()])
    }

    /// The batch, at most 999 999; zero in a dialect without one.
    #[must_use]
    pub fn batch(&self) -> u32 {
        let [_, _, _, _, _, _, _, _, b0, b1, b2, ..] = self.0;
        u32::from_be_bytes([0, b0, b1, b2])
    }

    /// The kind of the request; none where a stored identity has a number that this version does not know.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        let [.., kind] = self.0;
        Kind::from_number(kind)
    }

    /// Whose request it is.
    #[must_use]
    pub fn terminal(&self) -> TerminalKey {
        let [t0, t1, t2, t3, t4, t5, t6, t7, ..] = self.0;
        TerminalKey([t0, t1, t2, t3, t4, t5, t6, t7])
    }
}

impl fmt::Debug for TerminalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// A keyed digest of what a request asks for (elements 3, 4, 25, 49, card number, tags 9F26 and 9F36): equal in honest
/// repeats, different for other content (M7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 16]);

/// The number of a transaction: its RRN (37) towards both sides, and the source of its STAN (11) towards the issuer.
/// At most 999 999 999 999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TxnId(pub u64);

impl TxnId {
    /// One more than the largest number: an RRN has twelve digits.
    pub const LIMIT: u64 = 1_000_000_000_000;
    /// STANs repeat after so many numbers.
    pub const STANS: u64 = 1_000_000;

    /// The STAN towards the issuer: the last six digits.
    #[must_use]
    pub fn stan(self) -> u32 {
        u32::try_from(self.0 % Self::STANS).unwrap_or(0)
    }

    /// The retrieval reference number (37): twelve decimal digits.
    #[must_use]
    pub fn rrn(self) -> String {
        format!("{:012}", self.0)
    }
}

/// A business day: days since 1970-01-01. Only the store and the operator decide when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(pub i32);

/// The number that the store gave to a node's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeNo(pub i32);

/// Which life of a node: raised at every start and by a take-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub i32);

/// One message of one terminal connection that waits for an answer. The caller numbers them; never re-used in a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// One connection to an issuer. The caller numbers them; never re-used in a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// One record handed to a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub u64);

//! What one seed means: sizes, time-outs, and which faults are on (swarm testing: each seed a random subset).

use std::fmt;

use super::rng::Rng;

/// A millisecond in the world's nanoseconds.
pub(super) const MS: u64 = 1_000_000;
/// A second in the world's nanoseconds.
pub(super) const SEC: u64 = 1_000 * MS;

macro_rules! faults {
    ($($variant:ident = $name:literal, $usual:literal;)*) => {
        /// A class of fault. Its rate is in thousandths of what it applies to, or a count in a run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub(super) enum Fault { $($variant,)* }
        const FAULTS: &[(&str, u16)] = &[$(($name, $usual),)*];
    };
}

faults! {
    // the process: counts in a run
    CrashAtEffect = "crash-at-effect", 4;
    CrashAtTime = "crash-at-time", 4;
    CrashInRecovery = "crash-in-recovery", 250;
    Pause = "pause", 2;
    LongDown = "long-down", 300;
    Drain = "drain", 1;
    SlowEffects = "slow-effects", 100;
    EarlyTraffic = "early-traffic", 500;
    // the store: thousandths of statements, or counts
    StoreSlow = "store-slow", 30;
    StoreFail = "store-fail", 15;
    UnknownApplied = "unknown-applied", 20;
    UnknownLost = "unknown-lost", 20;
    StoreStall = "store-stall", 2;
    StoreDown = "store-down", 2;
    ReadFail = "read-fail", 40;
    // links to issuers: counts
    LinkReset = "link-reset", 4;
    LinkStall = "link-stall", 4;
    LinkHalfOpen = "link-half-open", 2;
    IssuerRestart = "issuer-restart", 2;
    // an issuer's answers: thousandths of requests
    Decline = "decline", 120;
    Silent = "silent", 40;
    SilentCharged = "silent-charged", 50;
    Late = "late", 60;
    Edge = "edge", 40;
    Twice = "twice", 50;
    Contradict = "contradict", 30;
    WrongStan = "wrong-stan", 20;
    WrongAmount = "wrong-amount", 25;
    UnknownCode = "unknown-code", 30;
    Partial = "partial", 60;
    Slow = "slow", 40;
    Forgetful = "forgetful", 1000;
    // its answers to reversals: thousandths
    ReversalSilent = "reversal-silent", 200;
    ReversalBusy = "reversal-busy", 150;
    ReversalLate = "reversal-late", 100;
    // terminals: thousandths of sales
    Repeat = "repeat", 120;
    TwoLines = "two-lines", 60;
    ReverseEarly = "reverse-early", 50;
    ReverseAfter = "reverse-after", 50;
    PowerCycle = "power-cycle", 30;
    HangUp = "hang-up", 60;
    Vanish = "vanish", 8;
    StanReuse = "stan-reuse", 40;
    ComeBackLate = "come-back-late", 15;
    TerminalStall = "terminal-stall", 40;
    LostTail = "lost-tail", 30;
    Repeater = "repeater", 500;
    // clocks: counts
    WallJump = "wall-jump", 2;
    CutOver = "cut-over", 1;
    NumberWrap = "number-wrap", 1000;
    ShortOverlap = "short-overlap", 1000;
    Reload = "reload", 2;
    Stranger = "stranger", 20;
    BadRecord = "bad-record", 8;
    LostUnread = "lost-unread", 60;
    SmallShedMemory = "small-shed-memory", 1000;
    // claims and advices: thousandths of sales, of claims, of copies; counts
    OtherKinds = "other-kinds", 200;
    Claims = "claims", 400;
    WrongClaim = "wrong-claim", 150;
    ClaimStorm = "claim-storm", 150;
    ReverseClaimed = "reverse-claimed", 80;
    VainReversal = "vain-reversal", 100;
    OtherBatch = "other-batch", 60;
    Settle = "settle", 2;
    OneCopy = "one-copy", 1000;
    ShortAge = "short-age", 1000;
    // what issuers answer: thousandths of requests, of reversals; lives of a node with another key: thousandths
    OtherCode = "other-code", 300;
    OpenCode = "open-code", 60;
    OtherIssuer = "other-issuer", 20;
    ReversalDenied = "reversal-denied", 60;
    OtherReversal = "other-reversal", 60;
    OtherKey = "other-key", 200;
    OldNode = "old-node", 150;
    // the list of merchants, or the routes, as a node knows them: thousandths of messages
    ListChanged = "list-changed", 60;
    // a host that signs off a line: a count
    SignOff = "sign-off", 2;
}

/// Everything that a seed decides before the world begins.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) seed: u64,
    pub(super) nodes: usize,
    pub(super) issuers: usize,
    pub(super) links: usize,
    pub(super) terminals: usize,
    /// Sales of each terminal.
    pub(super) sales: u64,
    /// Mean pause of a terminal between sales.
    pub(super) think: u64,
    /// The issuers' time-out (M3).
    pub(super) timeout: u64,
    /// The listener's response deadline (M2).
    pub(super) deadline: u64,
    /// The listener's grace time for the undelivered (M10).
    pub(super) grace: u64,
    /// The longest wait between attempts at a reversal.
    pub(super) longest: u64,
    /// Attempts at a reversal before a case opens.
    pub(super) attempts: u32,
    /// How long a former day's identities stay after its cut-over.
    pub(super) overlap: u64,
    /// Most in flight at an issuer.
    pub(super) max_in_flight: usize,
    /// Most that waits for the store.
    pub(super) max_lag: usize,
    /// Most finished transactions in memory.
    pub(super) max_finished: usize,
    /// How many business days old the original of a refund or completion may be.
    pub(super) days: u16,
    rates: Vec<u16>,
}

impl Options {
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x0070_7469_6f6e_7300);
        let density = rng.pick(&[150_u16, 350, 600, 850]);
        let strength = rng.pick(&[1_u16, 2, 2, 4]);
        let rate = |rng: &mut Rng, density: u16, usual: u16| {
            let on = rng.chance(density);
            let scaled = match usual {
                0..=4 => rng.range(1, u64::from(usual) * 2) as u16,
                1000 => 1000,
                _ => (usual.saturating_mul(strength) / 2).min(900),
            };
            if on { scaled } else { 0 }
        };
        // what came later has numbers of its own, so that the seeds of before still mean the same
        let (former, later) = FAULTS.split_at(Fault::OtherKinds as usize);
        let (later, latest) = later.split_at(Fault::OtherCode as usize - former.len());
        let mut codes = Rng::new(seed ^ 0x0063_6f64_6573_0000);
        let mut more = Rng::new(seed ^ 0x0063_6c61_696d_7300);
        let mut rates: Vec<u16> =
            former.iter().map(|(_, usual)| rate(&mut rng, density, *usual)).collect();
        rates.extend(later.iter().map(|(_, usual)| rate(&mut more, density.max(500), *usual)));
        rates.extend(latest.iter().map(|(_, usual)| rate(&mut codes, density.max(350), *usual)));
        let short = rates[Fault::ShortOverlap as usize] > 0;
        let timeout = rng.pick(&[3, 8, 15, 15, 30]) * SEC;
        Self {
            seed,
            nodes: rng.pick(&[1, 1, 2]),
            issuers: rng.pick(&[1, 1, 2]),
            links: rng.pick(&[1, 2, 2]),
            terminals: rng.range(3, 12) as usize,
            sales: rng.range(5, 14),
            think: rng.pick(&[300, 2_000, 8_000]) * MS,
            timeout,
            deadline: 50 * SEC,
            grace: rng.pick(&[5, 20, 60]) * SEC,
            longest: rng.pick(&[10, 40, 300]) * SEC,
            attempts: rng.pick(&[3, 8, 50]) as u32,
            overlap: if short { 150 } else { rng.pick(&[7_200, 7_200, 600]) } * SEC,
            max_in_flight: rng.pick(&[2, 100, 100, 100]) as usize,
            max_lag: rng.pick(&[4, 1000, 1000, 1000]) as usize,
            max_finished: rng.pick(&[0, 3, 1000, 1000]) as usize,
            days: if rates[Fault::ShortAge as usize] > 0 { 0 } else { 30 },
            rates,
        }
    }

    /// The rate of a fault; 0 where this seed has it off.
    pub(super) fn rate(&self, fault: Fault) -> u16 {
        self.rates.get(fault as usize).copied().unwrap_or(0)
    }

    /// Whether this seed has the fault at all.
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.rate(fault) > 0
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {} nodes {} issuers {}x{} terminals {}x{} think {}ms timeout {}s grace {}s longest {}s \
             attempts {} overlap {}s in-flight {} lag {} memory {} faults",
            self.seed,
            self.nodes,
            self.issuers,
            self.links,
            self.terminals,
            self.sales,
            self.think / MS,
            self.timeout / SEC,
            self.grace / SEC,
            self.longest / SEC,
            self.attempts,
            self.overlap / SEC,
            self.max_in_flight,
            self.max_lag,
            self.max_finished,
        )?;
        FAULTS
            .iter()
            .zip(&self.rates)
            .filter(|(_, rate)| **rate > 0)
            .try_for_each(|((name, _), rate)| write!(f, " {name}={rate}"))
    }
}

//! The engine alone, with a store and an issuer that are done at once: what the state machine itself costs.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use iso8583::{Class, Code, Kind};
use switch_core::{
    AskId, Asked, Card, Commit, Day, Digest, Effect, Engine, EngineConfig, Event, Forward, Instant,
    IssuerAnswer, IssuerPolicy, Key, LinkId, Matched, Name, Now, NumberBlock, Persisted, Reply,
    Request, ReversalSchedule, TerminalKey, TxnId, Wall,
};

/// So many purchases wait for their issuer's answer at any time: its tables are searched as under load.
const OPEN: u64 = 500;
/// As many terminals take turns.
const TERMINALS: u64 = 5_000;
/// As many numbers are drawn at a time, as the switch does.
const BLOCK: u64 = 10_000;
/// From one purchase to the next: 10,000 a second.
const PACE: Duration = Duration::from_micros(100);
const LINK: LinkId = LinkId(1);

/// An engine under a steady load, with what it has to remember.
#[derive(Debug)]
pub struct Load {
    engine: Engine,
    now: Now,
    issuer: Name,
    listener: Name,
    code: Code,
    /// Purchases begun, repeats asked for, and rows that the engine remembers.
    begun: u64,
    repeated: u64,
    finished: u64,
    /// What waits for the issuer, the oldest first.
    open: VecDeque<TxnId>,
    numbers: u64,
    asks: u64,
    replies: u64,
}

impl Load {
    /// An engine that remembers the last `finished` purchases, all answered with `code` ("00" approves).
    ///
    /// # Errors
    /// The engine did what a good day does not bring.
    pub fn new(finished: usize, code: &str) -> Result<Self> {
        let issuer: Name = Arc::from("issuer");
        let config = EngineConfig {
            issuers: vec![policy(&issuer)?],
            max_finished: finished,
            ..EngineConfig::default()
        };
        let mut load = Self {
            engine: Engine::new(config),
            now: Now { mono: Instant(1_000_000_000), wall: Wall(1_700_000_000_000_000) },
            issuer,
            listener: Arc::from("pos"),
            code: Code::new(code).context("no code")?,
            begun: 0,
            repeated: 0,
            finished: u64::try_from(finished)?,
            open: VecDeque::new(),
            numbers: 1,
            asks: 0,
            replies: 0,
        };
        load.tell(Event::LinkUp { issuer: Arc::clone(&load.issuer), link: LINK })?;
        for _ in 0..OPEN {
            load.begin()?;
        }
        for _ in 0..finished {
            load.purchase()?;
        }
        Ok(load)
    }

    /// All events of one purchase: request, intent written, sent, issuer's answer, outcome written, terminal answered.
    /// The first three are of a new one, the others of the one that has waited longest.
    ///
    /// # Errors
    /// It took another way.
    #[inline(never)]
    pub fn purchase(&mut self) -> Result<u64> {
        self.now = Now { mono: self.now.mono.plus(PACE), wall: self.now.wall.plus(PACE) };
        self.begin()?;
        let id = self.open.pop_front().context("nothing was forwarded")?;
        let answer = self.answer(id);
        self.answered(Event::Answer(Box::new(answer)))
    }

    /// A copy of a finished purchase, the one that was not asked for longest. An approval is given again, which is
    /// written first; a refusal is repeated from memory.
    ///
    /// # Errors
    /// It took another way.
    #[inline(never)]
    pub fn repeat(&mut self) -> Result<u64> {
        let first = self.begun - OPEN - self.finished;
        let request = self.request(first + self.repeated % self.finished);
        self.repeated += 1;
        self.answered(Event::Request(Box::new(request)))
    }

    fn begin(&mut self) -> Result<()> {
        let request = self.request(self.begun);
        self.begun += 1;
        self.tell(Event::Request(Box::new(request)))
    }

    fn answered(&mut self, event: Event) -> Result<u64> {
        let before = self.replies;
        self.tell(event)?;
        if self.replies != before + 1 {
            bail!("no answer");
        }
        Ok(self.replies)
    }

    fn tell(&mut self, event: Event) -> Result<()> {
        self.engine.handle(self.now, event);
        while let Some(effect) = self.engine.poll_effect() {
            if let Some(event) = self.perform(effect)? {
                self.engine.handle(self.now, event);
            }
        }
        Ok(())
    }

    /// What follows.
    fn perform(&mut self, effect: Effect) -> Result<Option<Event>> {
        Ok(Some(match effect {
            Effect::Persist { record, what: _ } => {
                let commit = Commit { day: Day(1), since: self.now.mono };
                Event::Persisted { record, result: Persisted::Applied(commit) }
            }
            Effect::Forward(Forward { durable, .. }) => {
                self.open.push_back(durable.id());
                Event::Written { id: durable.id(), link: LINK }
            }
            Effect::Reply { ask, reply: Reply::Approved { outcome, .. } } => {
                self.replies += 1;
                Event::ReplyWritten { ask, key: outcome.key }
            }
            Effect::Reply { ask: _, reply: Reply::Refused(_) } => {
                self.replies += 1;
                return Ok(None);
            }
            Effect::DrawNumbers => {
                let block = NumberBlock { first: self.numbers, count: BLOCK, skip: Vec::new() };
                self.numbers += BLOCK;
                Event::Numbers(block)
            }
            Effect::Notice(_) => return Ok(None),
            other => bail!("not on a good day: {other:?}"),
        }))
    }

    /// The request of the purchase with this number, the same each time but for who waits.
    fn request(&mut self, number: u64) -> Request {
        self.asks += 1;
        // as a hash does, so that neighbours in time are none in the tables
        let terminal = (number % TERMINALS + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let round = number / TERMINALS;
        let stan = u32::try_from(round % 999_999).unwrap_or(0) + 1;
        let batch = u32::try_from(round / 999_999).unwrap_or(0) + 1;
        Request {
            asked: Asked {
                ask: AskId(self.asks),
                listener: Arc::clone(&self.listener),
                deadline: self.now.mono.plus(Duration::from_secs(50)),
                grace: Duration::from_secs(60),
            },
            key: Key::new(TerminalKey(terminal.to_be_bytes()), batch, stan, Kind::Purchase),
            kind: Kind::Purchase,
            digest: Digest([9; 16]),
            refusal: None,
            issuer: Some(Arc::clone(&self.issuer)),
            original: None,
            takes_partial: false,
            merchant: Bytes::from_static(b"123456789012345"),
            terminal: Bytes::from_static(b"12345678"),
            stan,
            amount: 12_345,
            currency: *b"156",
            card: Card { sealed: Bytes::from_static(&[7; 48]), ..Card::default() },
            carried: Bytes::from_static(&[7; 150]),
        }
    }

    fn answer(&self, id: TxnId) -> IssuerAnswer {
        IssuerAnswer {
            issuer: Arc::clone(&self.issuer),
            matched: Matched::Number(id),
            to_reversal: false,
            code: self.code,
            class: if self.code == Code::APPROVED { Class::Approved } else { Class::Final },
            amount: Some(12_345),
            currency: Some(*b"156"),
            card_hash: None,
            terminal: Some(Bytes::from_static(b"12345678")),
            matches_terminal: false,
            merchant: Some(Bytes::from_static(b"123456789012345")),
            answer: Bytes::from_static(&[7; 60]),
        }
    }
}

fn policy(name: &Name) -> Result<IssuerPolicy> {
    let code = |text| Code::new(text).context("no code");
    Ok(IssuerPolicy {
        name: Arc::clone(name),
        timeout: Duration::from_secs(15),
        max_in_flight: 2_000,
        unknown_codes: vec![code("68")?, code("98")?],
        refusals: vec![code("51")?],
        reversal: ReversalSchedule {
            first: Duration::from_secs(2),
            factor: 2.0,
            longest: Duration::from_secs(300),
            attempts: 10,
            max_in_flight: 100,
            final_codes: vec![code("00")?, code("25")?],
        },
        repeats_advices: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_goes_on_for_ever() {
        for code in ["00", "51"] {
            let mut load = Load::new(50, code).expect("a load");
            for _ in 0..25_000 {
                load.purchase().expect("an answer");
            }
            for _ in 0..200 {
                load.repeat().expect("an answer");
            }
            let gauges = load.engine.gauges();
            assert_eq!((gauges.in_flight, gauges.transactions, gauges.finished), (500, 500, 50));
            assert_eq!((gauges.records_under_way, gauges.reversals_owed), (0, 0));
        }
    }
}

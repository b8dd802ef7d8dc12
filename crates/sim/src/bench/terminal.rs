//! One simulated terminal: sells, waits, repeats, reverses before its next sale, and believes.

mod answers;
mod away;
mod day;
mod follow;
mod journal;

use std::time::{Duration, Instant};

use iso8583::{EncodeError, Kind, Mti, OnSilence};

use self::day::{Managed, Today};
use self::follow::{Choice, plan_of};
use super::floor::{Floor, Turn};
use super::messages::marked;
use super::plan::Plan;
use super::requests::{Blanks, mti};
use super::stats::Live;
use super::till::{Origin, Till, is_notice};
use crate::random::Random;
use crate::text::Text;

/// Between tries of a reversal that was refused or is pending.
const PAUSE: Duration = Duration::from_millis(500);
/// So often a notice is repeated that is refused with codes that say nothing of its earlier copies.
const NOTICE_TRIES: u32 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// Pauses between transactions.
    Thinking,
    Waiting,
    /// The first answer is there; one to a copy is to come.
    Repeating,
    Reversing {
        tries: u32,
    },
    /// A reversal is still to be made before the next sale.
    Pending,
    /// A message of its day is under way.
    Managing,
    /// It has lived all of its days.
    Over,
    /// Without a connection; what follows once there is one.
    Away(Then),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Sell,
    Repeat,
    Reverse,
    Manage,
    Nothing,
}

/// A message of the day: none where the dialect has none.
type Framed = Option<Result<Vec<u8>, EncodeError>>;

/// The request that a terminal is about, or was last.
#[derive(Debug, Clone, Copy)]
struct Sale {
    kind: Kind,
    mti: Mti,
    card: usize,
    blanks: Blanks,
    plan: Plan,
    due: Instant,
    sent: Instant,
    copies: u32,
    /// Copies of a notice whose refusal says nothing of the others.
    refused: u32,
    first: Option<Answer>,
    rrn: Text<12>,
    reason: &'static str,
}

/// What must be alike in all answers to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    code: Text<4>,
    approval: Text<6>,
    rrn: Text<12>,
    amount: u64,
}

#[derive(Debug)]
pub(super) struct Terminal {
    number: u32,
    stan: u32,
    random: Random,
    state: State,
    sale: Sale,
    frame: Vec<u8>,
    reversal: Vec<u8>,
    deadline: Option<Instant>,
    /// The transaction that the present one is about.
    origin: Option<Origin>,
    /// What it has sold.
    till: Till,
    batch: u64,
    /// Draws that only a mix with kinds needs.
    choice: [Random; 2],
    /// Whether it must sign in before it sells.
    sign_in: bool,
    today: Option<Today>,
    managed: Managed,
    /// The totals (48) of its settlement.
    totals: String,
    /// When a sale was due that waits for a reversal.
    wanted: Option<Instant>,
    /// Whether it waits to be given a sale.
    pub(super) listed: bool,
}

impl Terminal {
    pub(super) fn new(floor: &Floor, number: u32, now: Instant) -> Self {
        let sale = Sale {
            kind: Kind::Purchase,
            mti: mti("0200"),
            card: 0,
            blanks: Blanks::default(),
            plan: Plan::Plain,
            due: now,
            sent: now,
            copies: 0,
            refused: 0,
            first: None,
            rrn: Text::default(),
            reason: "98",
        };
        Self {
            number,
            stan: floor.first_stan,
            random: Random::stream(floor.seed, u64::from(number)),
            state: State::Free,
            sale,
            frame: Vec::new(),
            reversal: Vec::new(),
            deadline: None,
            origin: None,
            till: Till::default(),
            batch: u64::from(floor.batch),
            choice: choice(floor, number),
            sign_in: false,
            today: floor.mix.day.as_ref().map(Today::new),
            managed: Managed::none(),
            totals: String::new(),
            wanted: None,
            listed: false,
        }
    }

    /// Its number (41).
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// When [`time`](Self::time) is to be called.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether a transaction can begin.
    pub(super) const fn is_free(&self) -> bool {
        matches!(self.state, State::Free | State::Pending)
    }

    /// Whether nothing is under way and every outcome is known.
    pub(super) const fn is_settled(&self) -> bool {
        matches!(
            self.state,
            State::Free | State::Thinking | State::Over | State::Away(Then::Sell | Then::Nothing)
        )
    }

    /// Begins the sale that was due at `due`; a pending reversal comes first.
    pub(super) fn begin(&mut self, due: Instant, turn: &mut Turn<'_>) {
        self.listed = false;
        if self.state == State::Pending {
            self.wanted = Some(due);
            self.reverse(turn);
        } else {
            self.next(due, turn);
        }
    }

    /// Tries a pending reversal; for the time after the load.
    pub(super) fn clear_up(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::Pending {
            self.reverse(turn);
        }
    }

    fn sell(&mut self, due: Instant, turn: &mut Turn<'_>) {
        let floor = turn.floor;
        self.stan = self.stan % 999_999 + 1;
        let mix = &floor.mix;
        let cards = u64::try_from(floor.cards.len()).unwrap_or(1);
        // As many draws for each sale, so that a seed gives the same sales whatever happens to them.
        let card = usize::try_from(self.random.below(cards)).unwrap_or(0);
        let amount = mix.amounts.draw(&mut self.random);
        let enquiry = self.random.chance(mix.balance_enquiries);
        let plan = Plan::draw(&mix.faults, &mut self.random);
        let cryptogram = self.random.below(10_000_000_000_000_000);
        let Choice { kind, origin, card, amount } = if floor.mix.kinds.is_empty() {
            let kind = if enquiry { Kind::BalanceEnquiry } else { Kind::Purchase };
            Choice { kind, origin: None, card, amount }
        } else {
            self.choose(floor, card, amount)
        };
        let blanks = Blanks {
            amount: if kind.moves_money() { amount } else { 0 },
            stan: u64::from(self.stan),
            terminal: u64::from(self.number),
            batch: self.batch,
            cryptogram,
            date: floor.clock.get() / 1_000_000,
            time: floor.clock.get() % 1_000_000,
        };
        self.origin = origin;
        self.sale = Sale {
            kind,
            mti: floor.dialect.row(kind).map_or_else(|| mti("0200"), |row| row.mti),
            card,
            blanks,
            plan: plan_of(kind, plan),
            due,
            sent: turn.now,
            copies: 0,
            refused: 0,
            first: None,
            rrn: Text::default(),
            reason: "98",
        };
        if let Err(error) = self.write_request(floor) {
            self.not_encoded(&error, turn);
            return;
        }
        floor.stats.borrow_mut().sent += 1;
        Live::add(&floor.live.sent);
        if let Some(name) = self.sale.plan.name() {
            floor.stats.borrow_mut().fault(name);
        }
        if self.sale.plan == Plan::ReverseFirst {
            self.reverse(turn);
        } else {
            self.send(turn);
        }
    }

    fn write_request(&mut self, floor: &Floor) -> Result<(), EncodeError> {
        let Sale { kind, card, blanks, .. } = self.sale;
        let Some(of) = floor.cards.get(card) else { return Ok(()) };
        match &self.origin {
            None => {
                let mut requests = floor.requests.borrow_mut();
                requests.write((kind, card), of, blanks, &mut self.frame)
            }
            Some(origin) => {
                self.frame = floor.requests.borrow().follow_up(kind, of, blanks, origin)?;
                Ok(())
            }
        }
    }

    /// Sends the request, or a copy of it. A copy of a notice is marked.
    fn send(&mut self, turn: &mut Turn<'_>) {
        let floor = turn.floor;
        self.sale.copies += 1;
        if self.sale.copies > 1
            && is_notice(self.sale.kind)
            && let Some(frame) = marked(&floor.dialect, floor.framing, &self.frame)
        {
            self.frame = frame;
        }
        self.journal(floor, "sent", "");
        turn.out.extend_from_slice(&self.frame);
        self.state = State::Waiting;
        let faults = &floor.mix.faults;
        let mut patience = floor.mix.timeout;
        if self.sale.copies > 1 {
            Live::add(&floor.live.repeated);
        } else {
            match self.sale.plan {
                Plan::Double => {
                    self.sale.copies += 1;
                    self.journal(floor, "sent", "");
                    Live::add(&floor.live.repeated);
                    turn.out.extend_from_slice(&self.frame);
                }
                Plan::Impatient | Plan::GiveUp => patience = faults.patience.min(patience),
                Plan::Vanish | Plan::VanishRepeat => turn.close = Some(faults.away),
                Plan::Lost => turn.close = Some(Duration::ZERO),
                Plan::Plain | Plan::Repeat | Plan::Reverse | Plan::ReverseFirst => {}
            }
        }
        self.deadline = Some(turn.now + patience);
    }

    /// A deadline has passed.
    pub(super) fn time(&mut self, turn: &mut Turn<'_>) {
        if self.deadline.is_none_or(|deadline| deadline > turn.now) {
            return;
        }
        self.deadline = None;
        match self.state {
            State::Waiting if self.sale.plan == Plan::Impatient && self.sale.copies == 1 => {
                self.send(turn);
            }
            State::Waiting if is_notice(self.sale.kind) => {
                self.unanswered(turn.floor);
                self.send(turn);
            }
            State::Waiting => {
                self.unanswered(turn.floor);
                self.reverse_or_free(turn);
            }
            State::Managing => {
                turn.floor.stats.borrow_mut().error("unanswered in its day");
                self.send_managed(turn);
            }
            State::Repeating => {
                turn.floor.stats.borrow_mut().error("copy unanswered");
                self.state = State::Free;
            }
            State::Reversing { tries } if tries < turn.floor.mix.reversal_tries => {
                self.try_reversal(tries, turn);
            }
            State::Reversing { .. } => {
                self.state = State::Pending;
                if self.wanted.take().is_some() {
                    turn.floor.stats.borrow_mut().error("held up by a reversal");
                }
            }
            State::Thinking => self.state = State::Free,
            State::Free | State::Pending | State::Over | State::Away(_) => {}
        }
    }

    /// Pauses before the next transaction.
    pub(super) fn think(&mut self, pause: Duration, now: Instant) {
        if self.state == State::Free {
            self.state = State::Thinking;
            self.deadline = Some(now + pause);
        }
    }

    /// A message cannot be written in this dialect: the next transaction follows after a pause, as it may fail too.
    fn not_encoded(&mut self, error: &EncodeError, turn: &Turn<'_>) {
        tracing::error!(%error, "a message cannot be written in this dialect");
        turn.floor.stats.borrow_mut().error("not encoded");
        self.wanted = None;
        self.state = State::Thinking;
        self.deadline = Some(turn.now + PAUSE);
    }

    fn unanswered(&self, floor: &Floor) {
        Live::add(&floor.live.unanswered);
        floor.stats.borrow_mut().error("unanswered");
        self.journal(floor, "unanswered", "");
    }

    /// The outcome is not known: what silence asks for.
    fn reverse_or_free(&mut self, turn: &mut Turn<'_>) {
        match self.sale.kind.on_silence() {
            OnSilence::Reverse => self.reverse(turn),
            OnSilence::Nothing => self.state = State::Free,
            OnSilence::Deliver => {
                self.state = State::Waiting;
                self.deadline = Some(turn.now + PAUSE);
            }
        }
    }

    /// Asks for the reversal of the last sale.
    fn reverse(&mut self, turn: &mut Turn<'_>) {
        let floor = turn.floor;
        let Sale { kind, card, blanks, reason, .. } = self.sale;
        self.till.take_back(blanks.stan, blanks.batch);
        let Some(card) = floor.cards.get(card) else { return };
        match floor.requests.borrow().reversal(kind, card, blanks, reason) {
            Ok(frame) => self.reversal = frame,
            Err(error) => {
                self.not_encoded(&error, turn);
                return;
            }
        }
        Live::add(&floor.live.reversals);
        self.try_reversal(0, turn);
    }

    fn try_reversal(&mut self, tries: u32, turn: &mut Turn<'_>) {
        self.journal(turn.floor, "reversal_sent", "");
        turn.out.extend_from_slice(&self.reversal);
        self.state = State::Reversing { tries: tries + 1 };
        self.deadline = Some(turn.now + turn.floor.mix.timeout);
    }
}

/// Draws of their own for kinds and originals, so that those of plain sales stay what they are.
fn choice(floor: &Floor, number: u32) -> [Random; 2] {
    let of = |stream: u64| Random::stream(floor.seed, u64::from(number) | stream << 32);
    [of(1), of(2)]
}

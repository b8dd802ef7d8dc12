//! A terminal's day: it signs in, sells, settles, uploads where the totals differ, and signs off.

use std::time::Instant;

use iso8583::{Kind, Message, Mti};

use super::{PAUSE, State, Terminal};
use crate::bench::floor::{Floor, Turn};
use crate::bench::kinds::Day;
use crate::bench::messages::Says;
use crate::bench::pacer::Phase;
use crate::bench::requests::{Blanks, mti};
use crate::bench::slips::{Slips, Upload};
use crate::ledger::{Line, Role};
use crate::totals::{BALANCED, ERROR, results};

/// How often a message of the day that is refused is sent again.
const TRIES: u32 = 20;
/// How often a sign-in is, before the terminal sells without it.
const SIGN_IN_TRIES: u32 = 3;

/// What a terminal is at in its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    SignIn,
    Sell,
    Settle,
    Upload,
    End,
    SignOff,
    Over,
}

impl Stage {
    /// The kind of its message.
    const fn kind(self) -> Kind {
        match self {
            Self::SignIn | Self::Sell | Self::Over => Kind::SignOn,
            Self::Settle => Kind::Settlement,
            Self::Upload => Kind::BatchUpload,
            Self::End => Kind::BatchEnd,
            Self::SignOff => Kind::SignOff,
        }
    }
}

/// A terminal's present day.
#[derive(Debug)]
pub(super) struct Today {
    pub(super) stage: Stage,
    /// Sales to be made.
    pub(super) left: u32,
    /// Days after this one.
    days: u32,
    uploads: Vec<Upload>,
    /// Of them, how many were answered.
    uploaded: usize,
    balanced: bool,
    /// How often it signed in because the host said so.
    sent_back: u32,
}

impl Today {
    pub(super) fn new(day: &Day) -> Self {
        Self {
            stage: if day.sign_in { Stage::SignIn } else { Stage::Sell },
            left: day.sales,
            days: day.days.saturating_sub(1),
            uploads: Vec::new(),
            uploaded: 0,
            balanced: true,
            sent_back: 0,
        }
    }
}

/// The message of the day that is under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Managed {
    stage: Stage,
    stan: u64,
    answer: Mti,
    tries: u32,
}

impl Managed {
    pub(super) fn none() -> Self {
        Self { stage: Stage::Over, stan: 0, answer: mti("0810"), tries: 0 }
    }
}

impl Terminal {
    /// Begins what comes next: a message of the day, or the sale that was due at `due`.
    pub(super) fn next(&mut self, due: Instant, turn: &mut Turn<'_>) {
        let stage = match &self.today {
            _ if self.sign_in => Some(Stage::SignIn),
            None => None,
            Some(today) => match today.stage {
                Stage::Sell if today.left == 0 => Some(Stage::Settle),
                Stage::Sell | Stage::Over => None,
                stage => Some(stage),
            },
        };
        if let Some(stage) = stage {
            self.wanted = Some(due);
            self.manage(stage, turn);
        } else if self.state != State::Over {
            if let Some(today) = &mut self.today {
                today.left = today.left.saturating_sub(1);
            }
            self.sell(due, turn);
        }
    }

    /// Sends a message of the day.
    fn manage(&mut self, stage: Stage, turn: &mut Turn<'_>) {
        let floor = turn.floor;
        self.stan = self.stan % 999_999 + 1;
        self.managed.stan = u64::from(self.stan);
        self.managed.stage = stage;
        self.managed.tries = 0;
        let blanks = Blanks {
            stan: self.managed.stan,
            terminal: u64::from(self.number),
            batch: self.batch,
            date: floor.clock.get() / 1_000_000,
            time: floor.clock.get() % 1_000_000,
            ..Blanks::default()
        };
        let frame = match stage {
            Stage::Settle => self.settlement(blanks, floor),
            Stage::Upload => self.upload(blanks, floor),
            Stage::End => {
                let today = self.today.as_ref();
                let balanced = today.is_none_or(|today| today.balanced);
                let count = today.map_or(0, |today| today.uploads.iter().map(Upload::count).sum());
                let says = Says::End { balanced, count };
                floor.requests.borrow().manage(Kind::BatchEnd, blanks, says)
            }
            Stage::SignIn | Stage::Sell | Stage::SignOff | Stage::Over => {
                floor.requests.borrow().manage(stage.kind(), blanks, Says::Nothing)
            }
        };
        let row = floor.dialect.row(stage.kind());
        self.managed.answer = row.map_or_else(|| mti("0810"), |row| row.mti.response());
        match frame {
            Some(Ok(frame)) => {
                self.frame = frame;
                self.send_managed(turn);
            }
            Some(Err(error)) => {
                tracing::error!(%error, "a message of the day cannot be written in this dialect");
                floor.stats.borrow_mut().error("not encoded");
                self.go_on(stage, turn);
            }
            None => self.go_on(stage, turn),
        }
    }

    /// Sends the message of the day that is under way, or a copy of it.
    pub(super) fn send_managed(&mut self, turn: &mut Turn<'_>) {
        turn.out.extend_from_slice(&self.frame);
        self.state = State::Managing;
        self.deadline = Some(turn.now + turn.floor.mix.timeout);
    }

    /// The settlement of what the journal says: in one line wrong, if that is so planted.
    fn settlement(&mut self, blanks: Blanks, floor: &Floor) -> super::Framed {
        let mut slips = Slips::of(&self.till, self.batch, floor);
        let planted = floor.mix.day.as_ref().map_or(0.0, |day| day.planted);
        let [first, _] = &mut self.choice;
        if first.chance(planted) {
            let what = slips.plant(first, (u64::from(self.number), self.batch), floor);
            floor.stats.borrow_mut().event("planted");
            self.tell(floor, Line { code: what.into(), ..Line::new(Role::Terminal, "planted") });
        }
        let totals = slips.totals();
        let text = totals.text(['0'; 2]);
        let mut told = Line::new(Role::Terminal, "settlement_sent");
        told.totals = text.as_str().into();
        told.amount = totals.net();
        self.tell(floor, told);
        if let Some(today) = &mut self.today {
            today.stage = Stage::Settle;
            today.uploads = slips.uploads(floor);
            today.uploaded = 0;
        }
        self.totals.clone_from(&text);
        floor.requests.borrow().manage(Kind::Settlement, blanks, Says::Totals(&text))
    }

    /// The next part of the upload; a notice has the trace number of its advice.
    fn upload(&mut self, blanks: Blanks, floor: &Floor) -> super::Framed {
        let today = self.today.as_ref()?;
        let requests = floor.requests.borrow();
        match today.uploads.get(today.uploaded)? {
            Upload::Records(records) => {
                requests.manage(Kind::BatchUpload, blanks, Says::Records(records))
            }
            Upload::Notice(done) => {
                self.managed.stan = done.blanks.stan;
                let card = floor.cards.get(done.card)?;
                requests.detail(done.kind, card, done.blanks, done.original.as_ref())
            }
        }
    }

    /// Whether a message answers the message of the day that is under way.
    pub(super) fn is_managed(&self, message: &Message) -> bool {
        message.mti() == self.managed.answer && message.number(11) == Some(self.managed.stan)
    }

    /// The answer to a message of the day.
    pub(super) fn managed_answer(&mut self, message: &Message, turn: &mut Turn<'_>) {
        let floor = turn.floor;
        let stage = self.managed.stage;
        let code = message.text(39).unwrap_or_default();
        let digits = message.text(48).and_then(|text| results(&text));
        let digits = digits.filter(|digits| digits.iter().all(|digit| matches!(digit, '1'..='3')));
        let settled = stage == Stage::Settle && digits.is_some();
        if !settled && !matches!(&*code, "" | "00") {
            self.refused(stage, &code, turn);
            return;
        }
        match stage {
            Stage::SignIn | Stage::Sell | Stage::Over => {
                let batch = floor.dialect.batch(message).and_then(|batch| batch.parse().ok());
                self.batch = batch.filter(|batch| *batch > 0).unwrap_or(self.batch);
                self.sign_in = false;
                self.event(floor, "signed_in", "");
            }
            Stage::Settle => {
                let Some(digits) = digits else {
                    floor.stats.borrow_mut().error("settlement without a result");
                    self.refused(stage, &code, turn);
                    return;
                };
                if digits.contains(&ERROR) {
                    // Something of the batch is not decided yet: the totals are told again.
                    self.refused(stage, &code, turn);
                    return;
                }
                self.settled(digits, floor);
            }
            Stage::Upload => {
                let count = self.today.as_ref().and_then(|today| today.uploads.get(today.uploaded));
                let copy = count.and_then(|upload| u32::try_from(upload.count()).ok());
                floor.stats.borrow_mut().event("uploaded");
                let line = Line::new(Role::Terminal, "uploaded");
                self.tell(floor, Line { copy: copy.unwrap_or(0), ..line });
            }
            Stage::End => self.event(floor, "batch_ended", ""),
            Stage::SignOff => self.event(floor, "signed_off", ""),
        }
        self.go_on(stage, turn);
    }

    fn settled(&mut self, digits: [char; 2], floor: &Floor) {
        let balanced = digits == [BALANCED; 2];
        floor.stats.borrow_mut().event(if balanced { "balanced" } else { "unbalanced" });
        floor.stats.borrow_mut().event("settled");
        if let Some(today) = &mut self.today {
            today.balanced = balanced;
            if balanced {
                today.uploads.clear();
            }
        }
        let code: String = digits.iter().collect();
        let mut line = Line::new(Role::Terminal, "settled");
        (line.code, line.totals) = (code.into(), self.totals.as_str().into());
        self.tell(floor, line);
    }

    /// A message of the day was refused: it is sent again, or a sign-in comes before.
    fn refused(&mut self, stage: Stage, code: &str, turn: &mut Turn<'_>) {
        let floor = turn.floor;
        floor.stats.borrow_mut().error("refused in its day");
        self.event(floor, "day_refused", code);
        self.managed.tries += 1;
        let signs_in = stage == Stage::SignIn;
        let sent_back = self.today.as_mut().filter(|today| today.sent_back < SIGN_IN_TRIES);
        if matches!(code, "77" | "A0")
            && !signs_in
            && let Some(today) = sent_back
        {
            today.sent_back += 1;
            self.sign_in = true;
            self.proceed(turn);
        } else if self.managed.tries < if signs_in { SIGN_IN_TRIES } else { TRIES } {
            self.state = State::Managing;
            self.deadline = Some(turn.now + PAUSE);
        } else {
            self.sign_in = false;
            self.go_on(stage, turn);
        }
    }

    /// What comes after a stage.
    fn go_on(&mut self, stage: Stage, turn: &mut Turn<'_>) {
        let floor = turn.floor;
        self.sign_in &= stage != Stage::SignIn;
        if let (Some(today), Some(day)) = (&mut self.today, &floor.mix.day) {
            today.uploaded += usize::from(stage == Stage::Upload);
            let more = today.uploaded < today.uploads.len();
            today.stage = match stage {
                // A sign-in may come in the middle of a day.
                Stage::SignIn if today.stage != Stage::SignIn => today.stage,
                Stage::SignIn | Stage::Sell => Stage::Sell,
                Stage::Settle | Stage::Upload if more => Stage::Upload,
                Stage::Settle | Stage::Upload => Stage::End,
                Stage::End => Stage::SignOff,
                Stage::SignOff | Stage::Over if today.days == 0 => Stage::Over,
                Stage::SignOff | Stage::Over => {
                    self.batch = self.batch % 999_999 + 1;
                    *today = Self::tomorrow(day, today.days);
                    today.stage
                }
            };
            if today.stage == Stage::Over {
                floor.living.set(floor.living.get().saturating_sub(1));
                self.deadline = None;
                self.wanted = None;
                self.state = State::Over;
                return;
            }
        }
        self.proceed(turn);
    }

    fn tomorrow(day: &Day, days: u32) -> Today {
        Today { days: days - 1, ..Today::new(day) }
    }

    /// The terminal is free, and goes on with what it wanted.
    fn proceed(&mut self, turn: &mut Turn<'_>) {
        self.deadline = None;
        self.state = State::Free;
        if turn.floor.pacer.phase() != Phase::Load {
            self.wanted = None;
        } else if let Some(due) = self.wanted.take() {
            self.next(due, turn);
        }
    }

    fn event(&self, floor: &Floor, event: &'static str, code: &str) {
        floor.stats.borrow_mut().event(event);
        self.tell(floor, Line { code: code.into(), ..Line::new(Role::Terminal, event) });
    }

    /// Writes a line that is about the day and no card.
    fn tell(&self, floor: &Floor, line: Line<'_>) {
        let mut journal = floor.journal.borrow_mut();
        if journal.is_kept() {
            journal.append(&Line {
                stan: format!("{:06}", self.managed.stan).into(),
                terminal: format!("{:08}", self.number).into(),
                merchant: floor.mix.merchant.as_str().into(),
                currency: floor.mix.currency.as_str().into(),
                kind: self.managed.stage.kind().name().into(),
                batch: format!("{:06}", self.batch).into(),
                ..line
            });
        }
    }
}

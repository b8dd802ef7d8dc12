//! What a terminal says of its batch when it settles: totals, and the details that it uploads where they differ.

use iso8583::Kind;

use super::floor::Floor;
use super::messages::Record;
use super::requests::Blanks;
use super::till::{Done, Till, is_notice};
use crate::random::Random;
use crate::totals::{Side, Totals, side};

/// Records in one message: more do not fit.
const RECORDS: usize = 8;

/// One line of the batch.
#[derive(Debug, Clone, Copy)]
struct Slip {
    side: Side,
    amount: i64,
    done: Done,
}

/// All lines of a batch that are counted.
#[derive(Debug)]
pub(super) struct Slips {
    all: Vec<Slip>,
    foreign: Vec<bool>,
}

/// One message of an upload.
#[derive(Debug)]
pub(super) enum Upload {
    Records(Vec<Record>),
    Notice(Box<Done>),
}

impl Upload {
    /// How many transactions it tells of.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Records(records) => records.len(),
            Self::Notice(_) => 1,
        }
    }
}

impl Slips {
    pub(super) fn of(till: &Till, batch: u64, floor: &Floor) -> Self {
        let all: Vec<Slip> = till.of_batch(batch).filter_map(slip).collect();
        let foreign = floor.cards.iter().map(|card| {
            let prefixes = &floor.mix.foreign_prefixes;
            prefixes.iter().any(|prefix| card.pan.expose().starts_with(prefix.as_str()))
        });
        Self { all, foreign: foreign.collect() }
    }

    /// Makes one line wrong, and says how.
    pub(super) fn plant(
        &mut self,
        random: &mut Random,
        (terminal, batch): (u64, u64),
        floor: &Floor,
    ) -> &'static str {
        let count = u64::try_from(self.all.len()).unwrap_or(0);
        let at = usize::try_from(random.below(count)).unwrap_or(0);
        match (self.all.get_mut(at), random.below(3)) {
            (Some(_), 0) => {
                self.all.remove(at);
                "dropped"
            }
            (Some(slip), 1) => {
                slip.amount += 100;
                slip.done.amount += 100;
                slip.done.blanks.amount += 100;
                "altered"
            }
            _ => {
                let cards = u64::try_from(floor.cards.len()).unwrap_or(0);
                let card = usize::try_from(random.below(cards)).unwrap_or(0);
                let amount = 100 + random.below(1000);
                let blanks = Blanks { amount, stan: 999_999, terminal, batch, ..Blanks::default() };
                let done = Done::new(Kind::Purchase, card, blanks, amount);
                self.all.extend(slip(&done));
                "added"
            }
        }
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for slip in &self.all {
            totals.add(self.is_foreign(slip), slip.side, slip.amount);
        }
        totals
    }

    /// The messages that tell each line: online transactions together, notices one by one.
    pub(super) fn uploads(&self, floor: &Floor) -> Vec<Upload> {
        let (notices, online): (Vec<&Slip>, Vec<&Slip>) =
            self.all.iter().partition(|slip| is_notice(slip.done.kind));
        let record = |slip: &&Slip| {
            let pan = floor.cards.get(slip.done.card).map(|card| card.pan.expose().to_owned());
            let Done { blanks, amount, .. } = slip.done;
            let foreign = self.is_foreign(slip);
            Record { foreign, stan: blanks.stan, pan: pan.unwrap_or_default(), amount }
        };
        let records = online.chunks(RECORDS).map(|some| some.iter().map(record).collect());
        let notices = notices.into_iter().map(|slip| Upload::Notice(Box::new(slip.done)));
        records.map(Upload::Records).chain(notices).collect()
    }

    fn is_foreign(&self, slip: &Slip) -> bool {
        self.foreign.get(slip.done.card).copied().unwrap_or(false)
    }
}

/// The line of a transaction, if it is counted. A tip counts with what it added.
fn slip(done: &Done) -> Option<Slip> {
    let changes = matches!(done.kind, Kind::Adjustment | Kind::Tip);
    let amount = i64::try_from(done.amount).ok()?;
    let amount = if changes { done.difference } else { amount };
    Some(Slip { side: side(done.kind)?, amount, done: *done })
}

//! A node's hold on its number: lanes, lease, beats, and when another node counts as dead.

use std::{collections::BTreeMap, time::Duration};

use switch_core::{Epoch, Instant, NodeNo, TxnId};

use crate::image;

/// Which of a node's two writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Inserts.
    Intents = 1,
    /// Changes and all else.
    Outcomes = 2,
}

impl Lane {
    /// Both, in the order in which their fences are locked.
    pub const ALL: [Self; 2] = [Self::Intents, Self::Outcomes];

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::Intents => 1,
            Self::Outcomes => 2,
        }
    }

    /// The label in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intents => "intents",
            Self::Outcomes => "outcomes",
        }
    }
}

/// The newest version whose stored numbers this binary reads: raised by each version that adds one.
pub const READS: i64 = 7;

/// What a node conducts beside its own: rows of this node in epochs below this one (M14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Estate {
    /// Whose rows.
    pub node: NodeNo,
    /// Of its lives before this one.
    pub below: Epoch,
}

impl Estate {
    pub(crate) const fn of_columns((node, below): (i32, i32)) -> Self {
        Self { node: NodeNo(node), below: Epoch(below) }
    }
}

/// What came to this node by a take-over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TakenOver {
    /// Whose rows must be recovered now: the dead node's, and those of nodes that it had taken over.
    pub estates: Vec<Estate>,
    /// Transactions whose reversal the dead node owed or had marked, and this node owes now.
    pub adopted: Vec<TxnId>,
}

/// The right to write as a node, for one life of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The number that stands for the node's name.
    pub node: NodeNo,
    /// This life.
    pub epoch: Epoch,
    /// What must be recovered: the node's own earlier lives first, then nodes that it took over and that did not return.
    pub estates: Vec<Estate>,
}

/// A node's last beat as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Whose.
    pub node: NodeNo,
    /// Its name.
    pub name: String,
    /// The host it runs on.
    pub host: String,
    /// Its epoch.
    pub epoch: Epoch,
    /// How many beats it ever made.
    pub count: i64,
    /// No transaction of it below this number is open.
    pub lowest_open: TxnId,
    /// Whether its epoch was set by a take-over, so that there is nothing left to take.
    pub taken: bool,
    /// Who conducts its estate, below which epoch, until it returns.
    pub heir: Option<(NodeNo, Epoch)>,
    /// The newest version whose stored numbers its binary reads.
    pub reads: i64,
}

impl Beat {
    pub(crate) fn of_columns(
        (node, name, host, count, lowest_open, epoch, taken_by, taken_epoch, reads): BeatColumns,
    ) -> Self {
        Self {
            node: NodeNo(node),
            name,
            host,
            epoch: Epoch(epoch),
            count,
            lowest_open: TxnId(image::count(lowest_open)),
            taken: taken_epoch == Some(epoch),
            heir: taken_by.map(NodeNo).zip(taken_epoch.map(Epoch)),
            reads,
        }
    }

    /// Its estate, where `own` is the heir.
    #[must_use]
    pub fn estate_of(&self, own: NodeNo) -> Option<Estate> {
        let (heir, below) = self.heir?;
        (heir == own).then_some(Estate { node: self.node, below })
    }
}

/// A beat of node $2 in its epoch $3: does nothing once the epoch moved on. $1: the lowest open number, or null. $4: the
/// newest version whose stored numbers this binary reads.
pub(crate) const BEAT: &str = "UPDATE node SET beat = beat + 1, reads = $4, reads_beat = beat + 1, \
     lowest_open = coalesce($1, lowest_open) \
     WHERE node = $2 AND EXISTS (SELECT 1 FROM fence WHERE fence.node = $2 AND lane = 1 AND epoch = $3)";

/// All nodes' beats. A binary of version 4 beats without saying what it reads.
pub(crate) const BEATS: &str = "SELECT n.node, n.name, n.host, n.beat, n.lowest_open, f.epoch, n.taken_by, n.taken_epoch, \
     CASE WHEN n.reads_beat = n.beat THEN n.reads ELSE 4 END \
     FROM node n JOIN fence f ON f.node = n.node AND f.lane = 1 ORDER BY n.node";

/// Node, name, host, beats, lowest open number, epoch, who took it over, epoch of that, what its binary reads.
pub(crate) type BeatColumns = (i32, String, String, i64, i64, i32, Option<i32>, Option<i32>, i64);

/// Says which other nodes are dead: those whose beat stood still for the whole patience while one's own beats succeeded.
/// Told the time on one's own monotonic clock; nothing is compared between clocks.
#[derive(Debug)]
pub struct SilenceTracker {
    own: NodeNo,
    patience: Duration,
    last_own: Option<Instant>,
    seen: BTreeMap<NodeNo, (Epoch, i64, Instant)>,
}

impl SilenceTracker {
    /// A beat stands still for so long before its node is dead.
    pub const PATIENCE: Duration = Duration::from_secs(15);
    /// Two own beats further apart than this break the watch: it begins anew.
    const GAP: Duration = Duration::from_secs(5);

    /// A tracker for this node.
    #[must_use]
    pub const fn new(own: NodeNo) -> Self {
        Self::with_patience(own, Self::PATIENCE)
    }

    /// A tracker that is patient for so long; more than a few seconds.
    #[must_use]
    pub const fn with_patience(own: NodeNo, patience: Duration) -> Self {
        Self { own, patience, last_own: None, seen: BTreeMap::new() }
    }

    /// One's own beat succeeded now, and these were all nodes' beats. Gives the dead ones with the epoch to take.
    pub fn observe(&mut self, now: Instant, beats: &[Beat]) -> Vec<(NodeNo, Epoch)> {
        let broken = self.last_own.is_none_or(|last| now.since(last) > Self::GAP);
        if broken {
            self.seen.clear();
        }
        self.last_own = Some(now);
        let mut dead = Vec::new();
        for beat in beats.iter().filter(|beat| beat.node != self.own && !beat.taken) {
            let seen = self.seen.entry(beat.node).or_insert((beat.epoch, beat.count, now));
            if (seen.0, seen.1) != (beat.epoch, beat.count) {
                *seen = (beat.epoch, beat.count, now);
            } else if now.since(seen.2) >= self.patience {
                dead.push((beat.node, beat.epoch));
            }
        }
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(node: i32, epoch: i32, count: i64) -> Beat {
        Beat {
            node: NodeNo(node),
            name: format!("n{node}"),
            host: "h".to_owned(),
            epoch: Epoch(epoch),
            count,
            lowest_open: TxnId(0),
            taken: false,
            heir: None,
            reads: READS,
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    #[test]
    fn a_beat_that_stands_still_for_the_whole_patience_is_dead() {
        let mut tracker = SilenceTracker::new(NodeNo(1));
        for second in 0..15 {
            assert_eq!(tracker.observe(at(second), &[beat(1, 1, 0), beat(2, 7, 3)]), []);
        }
        assert_eq!(tracker.observe(at(15), &[beat(2, 7, 3)]), [(NodeNo(2), Epoch(7))]);
        assert_eq!(tracker.observe(at(16), &[beat(2, 7, 4)]), [], "it beat again");
    }

    #[test]
    fn ones_own_silence_begins_the_watch_anew() {
        let mut tracker = SilenceTracker::new(NodeNo(1));
        for second in 0..14 {
            assert_eq!(tracker.observe(at(second), &[beat(2, 7, 3)]), []);
        }
        assert_eq!(tracker.observe(at(30), &[beat(2, 7, 3)]), [], "we were stopped, not it");
        for second in 31..45 {
            assert_eq!(tracker.observe(at(second), &[beat(2, 7, 3)]), []);
        }
        assert_eq!(tracker.observe(at(45), &[beat(2, 7, 3)]).len(), 1);
    }
}

//! Finished transactions, the newest: they answer copies without the store (M6).

use std::collections::VecDeque;
use std::time::Duration;

use crate::{Claim, Instant, Key, Now, Row, table::Table};

/// What is older than the repeat window is not answered from here: only the store knows whether its horizon has passed.
///
/// Each new request looks here, and each that ends goes in and pushes another out; so what is searched is small, and the
/// rows lie in the order in which they go.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Which of all that ever went in.
    places: Table<Key, u64>,
    rows: VecDeque<Option<Ended>>,
    /// How many were pushed out: the place of the first row.
    gone: u64,
}

/// One that ended, as it is known to be durable.
#[derive(Debug)]
struct Ended {
    since: Instant,
    row: Row,
    claim: Option<Claim>,
}

impl Finished {
    pub(crate) fn new(seed: u64) -> Self {
        Self { places: Table::seeded(seed), rows: VecDeque::new(), gone: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn get(&self, now: Now, key: Key, window: Duration) -> Option<&Row> {
        let index = self.index(*self.places.get(&key)?)?;
        let Ended { since, row, claim: _ } = self.rows.get(index)?.as_ref()?;
        let young = now.mono.since(*since) <= window && now.wall.since(row.created) <= window;
        young.then_some(row)
    }

    /// The row, and the claim of its transaction (M11).
    pub(crate) fn remove(&mut self, key: Key) -> Option<(Row, Option<Claim>)> {
        let index = self.places.remove(&key).and_then(|place| self.index(place))?;
        self.rows.get_mut(index)?.take().map(|ended| (ended.row, ended.claim))
    }

    pub(crate) fn insert(&mut self, now: Now, row: Row, claim: Option<Claim>, most: usize) {
        let key = row.key;
        let place = self.gone.saturating_add(u64::try_from(self.rows.len()).unwrap_or(0));
        let former = self.places.insert(key, place).and_then(|place| self.index(place));
        if let Some(former) = former.and_then(|index| self.rows.get_mut(index)) {
            *former = None;
        }
        self.rows.push_back(Some(Ended { since: now.mono, row, claim }));
        while self.rows.len() > most {
            self.gone += 1;
            if let Some(Some(Ended { row, .. })) = self.rows.pop_front() {
                self.places.remove(&row.key);
            }
        }
    }

    fn index(&self, place: u64) -> Option<usize> {
        usize::try_from(place.checked_sub(self.gone)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        Card, Cause, Day, Digest, Epoch, Fixed, Kind, NodeNo, RowState, TerminalKey, TxnId, Wall,
    };

    fn row(stan: u32, version: u32) -> Row {
        Row {
            fixed: Arc::new(Fixed {
                key: Key::new(TerminalKey([1; 8]), 1, stan, Kind::Purchase),
                id: TxnId(u64::from(stan)),
                kind: Kind::Purchase,
                node: NodeNo(1),
                epoch: Epoch(1),
                created: Wall(0),
                listener: "pos".into(),
                merchant: bytes::Bytes::new(),
                terminal: bytes::Bytes::new(),
                stan,
                amount: 1,
                currency: *b"156",
                digest: Digest([0; 16]),
                issuer: None,
                card: Card::default(),
                carried: bytes::Bytes::new(),
            }),
            day: Day(1),
            version,
            change: 0,
            state: RowState::Declined,
            cause: Cause::Issuer,
            code: None,
            approved: 0,
            answer: bytes::Bytes::new(),
            copies: 0,
            late: 0,
            concluded: None,
            claimed: 0,
            claiming: None,
        }
    }

    #[test]
    fn the_newest_stay_once_each() {
        let mut finished = Finished::new(7);
        let now = Now { mono: Instant(0), wall: Wall(0) };
        let window = Duration::from_secs(1);
        let version = |finished: &Finished, stan| {
            finished.get(now, row(stan, 0).key, window).map(|row| row.version)
        };
        for stan in [1, 2, 3] {
            finished.insert(now, row(stan, 0), None, 3);
        }
        finished.insert(now, row(2, 1), None, 3);
        assert_eq!([1, 2, 3].map(|stan| version(&finished, stan)), [None, Some(1), Some(0)]);
        assert_eq!(finished.remove(row(3, 0).key).map(|(row, _)| row.version), Some(0));
        finished.insert(now, row(4, 0), None, 3);
        finished.insert(now, row(5, 0), None, 3);
        assert_eq!(
            [2, 3, 4, 5].map(|stan| version(&finished, stan)),
            [Some(1), None, Some(0), Some(0)]
        );
        assert_eq!(finished.len(), 3);
        let later = Now { mono: Instant(0).plus(window * 2), wall: Wall(0) };
        assert!(finished.get(later, row(5, 0).key, window).is_none());
    }
}

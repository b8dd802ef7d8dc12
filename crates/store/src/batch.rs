//! What one batch holds: at most one record an identity, in the order of identities.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use switch_core::{Day, Key, Record, RecordId, TxnId};

/// Most records in a batch.
pub(crate) const LIMIT: usize = 512;

/// A record that waits for its writer.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: RecordId,
    pub(crate) record: Record,
}

/// What a record is about. Two records about the same thing never share a statement: one of them would silently be
/// dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Row(Key),
    Beside(TxnId),
}

fn subject(record: &Record) -> Subject {
    match record {
        Record::Intent(row) => Subject::Row(row.key),
        Record::Claim(claim) => Subject::Row(claim.row.key),
        Record::Change(change) => Subject::Row(change.row.key),
        Record::Progress(progress) => Subject::Row(progress.key),
        Record::Case(case) => Subject::Beside(case.id),
        Record::Note(note) => Subject::Beside(note.id),
    }
}

/// The original that a record changes beside its own row (M11).
fn original(record: &Record) -> Option<(Subject, Day)> {
    match record {
        Record::Claim(claim) => Some((Subject::Row(claim.key), claim.day)),
        Record::Change(change) => change.claim.map(|end| (Subject::Row(end.key), end.day)),
        Record::Intent(_) | Record::Progress(_) | Record::Case(_) | Record::Note(_) => None,
    }
}

/// Takes the next batch from the front: in order of arrival up to the limit or the first record whose subject is in the
/// batch already; then sorted by subject, so that two nodes' batches lock rows in one order.
pub(crate) fn take(waiting: &mut VecDeque<Entry>) -> Vec<Entry> {
    let mut subjects = BTreeSet::new();
    let fits = waiting
        .iter()
        .take(LIMIT)
        .take_while(|entry| {
            original(&entry.record).is_none_or(|(original, _)| subjects.insert(original))
                && subjects.insert(subject(&entry.record))
        })
        .count();
    let mut batch: Vec<Entry> = waiting.drain(..fits).collect();
    batch.sort_by_key(|entry| subject(&entry.record));
    batch
}

/// The batch in parts that each change rows of one day only, and originals of one day or none, so that each is one
/// statement. What changes no row goes with the changes of the current day.
pub(crate) fn by_day(batch: Vec<Entry>, today: Day) -> Vec<Vec<Entry>> {
    let mut parts: BTreeMap<(Day, Option<Day>), Vec<Entry>> = BTreeMap::new();
    for entry in batch {
        let day = match &entry.record {
            Record::Change(change) => change.row.day,
            Record::Intent(_)
            | Record::Claim(_)
            | Record::Progress(_)
            | Record::Case(_)
            | Record::Note(_) => today,
        };
        let original = original(&entry.record).map(|(_, day)| day);
        parts.entry((day, original)).or_default().push(entry);
    }
    parts.into_values().collect()
}

/// The batch in two halves, so that a bad record ends up alone.
pub(crate) fn halves(mut batch: Vec<Entry>) -> (Vec<Entry>, Vec<Entry>) {
    let rest = batch.split_off(batch.len() / 2);
    (batch, rest)
}

#[cfg(test)]
mod tests {
    use switch_core::{Case, CaseKind, Progress, Wall};

    use super::*;

    fn progress(key: u8) -> Record {
        Record::Progress(Progress {
            id: TxnId(u64::from(key)),
            key: Key([key; 15]),
            attempts: 1,
            answered: None,
            parked: false,
            at: Wall(0),
        })
    }

    fn case(id: u64) -> Record {
        Record::Case(Box::new(Case { id: TxnId(id), kind: CaseKind::IssuerGone, at: Wall(0) }))
    }

    fn check(records: Vec<Record>, batches: &[&[u64]]) {
        let mut waiting: VecDeque<Entry> = records
            .into_iter()
            .zip(1..)
            .map(|(record, id)| Entry { id: RecordId(id), record })
            .collect();
        for expected in batches {
            let ids: Vec<u64> = take(&mut waiting).iter().map(|entry| entry.id.0).collect();
            assert_eq!(ids, *expected);
        }
        assert!(waiting.is_empty());
    }

    #[test]
    fn a_batch_holds_a_subject_once_and_is_sorted() {
        check(vec![progress(3), progress(1), progress(2)], &[&[2, 3, 1]]);
        check(vec![progress(3), progress(1), progress(3)], &[&[2, 1], &[3]]);
        check(vec![case(1), case(1), progress(1)], &[&[1], &[3, 2]]);
    }

    #[test]
    fn a_batch_is_bounded() {
        let mut waiting: VecDeque<Entry> =
            (0..LIMIT as u64 + 3).map(|id| Entry { id: RecordId(id), record: case(id) }).collect();
        assert_eq!(take(&mut waiting).len(), LIMIT);
        assert_eq!(take(&mut waiting).len(), 3);
    }
}

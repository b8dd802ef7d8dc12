//! A closed loop of purchases against a store: intent, wait, outcome, wait, next.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant as Clock},
};

use anyhow::{Result, bail};
use bytes::Bytes;
use iso8583::{Cause, Code, Kind};
use store::{Lane, Lease, Report, Store, StoreConfig, Writer};
use switch_core::{
    Card, Change, Day, Digest, Fixed, Instant, Key, Persisted, Record, RecordId, Row, RowState,
    TerminalKey, TxnId, Wall,
};
use tokio::sync::mpsc;

/// A moment of the wall clock; the store is only told it.
pub(crate) const NOW: Wall = Wall(1_795_406_400_000_000);

/// What a round measured.
pub(crate) struct Round {
    width: usize,
    purchases: usize,
    took: Duration,
    millis: Vec<f64>,
    batch: f64,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = as_f64(self.purchases) / self.took.as_secs_f64();
        let at = |part: usize| self.millis.get(self.millis.len() * part / 100).unwrap_or(&0.0);
        let (width, batch) = (self.width, self.batch);
        write!(f, "{width:>9}   {rate:>10.0}   {:>6.2}   {:>6.2}   {batch:>7.1}", at(50), at(99))
    }
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn clock() -> Instant {
    static ZERO: OnceLock<Clock> = OnceLock::new();
    Instant(u64::try_from(ZERO.get_or_init(Clock::now).elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// A node's store with a lease, days made and the day open.
pub(crate) async fn open(url: &str) -> Result<(Store, Lease)> {
    let store = Store::open(&StoreConfig::new(url)).await?;
    store.migrate().await?;
    let lease = store.lease("bench", "bench", NOW).await?;
    Ok((store, lease))
}

/// Keeps `width` purchases under way for `seconds`.
pub(crate) async fn run(url: &str, width: usize, seconds: Duration) -> Result<Round> {
    let (store, lease) = open(url).await?;
    let (sender, mut reports) = mpsc::unbounded_channel();
    let intents = Writer::spawn(&store, &lease, Lane::Intents, sender.clone(), clock);
    let outcomes = Writer::spawn(&store, &lease, Lane::Outcomes, sender, clock);
    let mut under_way: BTreeMap<u64, (Clock, Row)> = BTreeMap::new();
    let mut number = 0;
    let mut millis = Vec::new();
    let mut begins: Vec<Instant> = Vec::new();
    let begin = Clock::now();
    for _ in 0..width {
        number += 1;
        let row = purchase(&lease, number);
        intents.send(RecordId(number), Record::Intent(Box::new(row.clone())));
        under_way.insert(number, (Clock::now(), row));
    }
    while !under_way.is_empty() {
        let Some(Report::Persisted(record, Persisted::Applied(commit))) = reports.recv().await
        else {
            bail!("a record was not applied");
        };
        begins.push(commit.since);
        let Some((since, row)) = under_way.remove(&record.0) else { bail!("reported twice") };
        if row.state == RowState::InFlight {
            let row = approved(row, commit.day);
            let change =
                Change { row: row.clone(), obligation: None, note: None, case: None, claim: None };
            outcomes.send(record, Record::Change(Box::new(change)));
            under_way.insert(record.0, (since, row));
            continue;
        }
        millis.push(since.elapsed().as_secs_f64() * 1_000.0);
        if begin.elapsed() < seconds {
            number += 1;
            let row = purchase(&lease, number);
            intents.send(RecordId(number), Record::Intent(Box::new(row.clone())));
            under_way.insert(number, (Clock::now(), row));
        }
    }
    let took = begin.elapsed();
    intents.finish().await;
    outcomes.finish().await;
    millis.sort_by(f64::total_cmp);
    begins.sort_unstable();
    let records = begins.len();
    begins.dedup();
    let batch = as_f64(records) / as_f64(begins.len().max(1));
    Ok(Round { width, purchases: millis.len(), took, millis, batch })
}

fn purchase(lease: &Lease, number: u64) -> Row {
    let low = u32::try_from(number % 1_000_000).unwrap_or(0);
    // Terminals in no order, as they come.
    let terminal = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) & 0xffff_0000_0000_0000;
    Row {
        fixed: Arc::new(Fixed {
            key: Key::new(TerminalKey(terminal.to_be_bytes()), 1, low, Kind::Purchase),
            id: TxnId(number),
            kind: Kind::Purchase,
            node: lease.node,
            epoch: lease.epoch,
            created: NOW,
            listener: "pos".into(),
            merchant: Bytes::from_static(b"123456789012345"),
            terminal: Bytes::from_static(b"12345678"),
            stan: low,
            amount: 12_345,
            currency: *b"156",
            digest: Digest([7; 16]),
            issuer: Some("unionpay".into()),
            card: Card {
                hash: number
                    .wrapping_mul(0x1234_5678_9abc_def1)
                    .to_be_bytes()
                    .repeat(2)
                    .try_into()
                    .unwrap_or_default(),
                first6: *b"621234",
                last4: *b"1232",
                sealed: Bytes::from_static(&[0x5a; 52]),
            },
            carried: Bytes::from_static(&[0x30; 60]),
        }),
        day: Day(0),
        version: 0,
        change: number,
        state: RowState::InFlight,
        cause: Cause::Issuer,
        code: None,
        approved: 0,
        answer: Bytes::new(),
        copies: 0,
        late: 0,
        concluded: None,
        claimed: 0,
        claiming: None,
    }
}

fn approved(row: Row, day: Day) -> Row {
    Row {
        day,
        version: 1,
        change: row.change + 1,
        state: RowState::Approved,
        code: Some(Code::APPROVED),
        approved: row.amount,
        answer: Bytes::from_static(&[0x31; 48]),
        concluded: Some(NOW),
        ..row
    }
}

//! A writer: the task that owns one lane's connection and commits what waits, as one batch, again and again.
//!
//! It is never cancelled, and nothing waits for it with a time-out: callers hand over records and read what became of
//! them from a channel (M1, M2).

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use switch_core::{
    Change, Commit, Found, Instant, Key, Persisted, Progress, Record, RecordId, TxnId,
};
use tokio::{
    sync::mpsc::{self, error::TryRecvError},
    task::JoinHandle,
};

use crate::{
    Lane, Lease, Store, StoreError,
    batch::{self, Entry},
    connection::{Connection, Fence},
    error::reason,
    fault::{Fault, Written},
    horizon::{Horizon, SharedHorizon},
    outage::Outage,
};

/// A deadlocked batch is tried so often; then it has failed.
const REPEATS: u32 = 20;
/// While the store is down it is tried so often.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// An idle session is looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A statement that has not ended by then: the store counts as down meanwhile (M15).
const PATIENCE: Duration = Duration::from_secs(3);

/// What a writer says, in the order in which it happened.
#[derive(Debug)]
pub enum Report {
    /// What became of a record: exactly one for each, unless the writer ended with `Fatal`.
    Persisted(RecordId, Persisted),
    /// The row under this key, read after every statement of the lane had ended (I21).
    Confirmed(Key, Option<Box<Found>>),
    /// The lane's database does not work: records fail at once until `Up` (M15).
    Down(Lane),
    /// It works again, and every earlier statement of the lane has ended.
    Up(Lane),
    /// The process must end: its epoch moved on, or the embedded database failed at a commit. The writer has ended.
    Fatal(Lane, StoreError),
}

enum Message {
    Record(Entry),
    Confirm(Key),
}

/// How to hand records to a writer. When it is dropped the writer writes what it was given, and ends.
#[derive(Debug)]
pub struct WriterHandle {
    sender: mpsc::UnboundedSender<Message>,
    task: JoinHandle<()>,
}

impl WriterHandle {
    /// Hands a record over; never waits. A `Report::Persisted` follows. The caller bounds what is under way (M16).
    pub fn send(&self, id: RecordId, record: Record) {
        // A writer that has ended said so with `Report::Fatal`.
        let _ = self.sender.send(Message::Record(Entry { id, record }));
    }

    /// Asks for the row under this key after every statement of the lane has ended; a `Report::Confirmed` follows.
    pub fn confirm(&self, key: Key) {
        let _ = self.sender.send(Message::Confirm(key));
    }

    /// Waits until everything handed over was written and reported.
    pub async fn finish(self) {
        drop(self.sender);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a writer ended before its time");
        }
    }
}

/// One lane of a node.
#[derive(Debug)]
pub struct Writer {
    connection: Connection,
    fence: Fence,
    horizon: SharedHorizon,
    reports: mpsc::UnboundedSender<Report>,
    clock: fn() -> Instant,
    receiver: mpsc::UnboundedReceiver<Message>,
    waiting: VecDeque<Entry>,
    confirms: Vec<Key>,
    /// Whether the connection's last word was understood.
    up: bool,
    outage: Outage,
}

impl Writer {
    /// Starts a lane's task. `clock` is the caller's monotonic clock, so that `Commit::since` shares its zero.
    pub fn spawn(
        store: &Store,
        lease: &Lease,
        lane: Lane,
        reports: mpsc::UnboundedSender<Report>,
        clock: fn() -> Instant,
    ) -> WriterHandle {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut writer = Self {
            connection: store.writer_connection(),
            fence: Fence { node: lease.node, lane, epoch: lease.epoch },
            horizon: store.horizon().clone(),
            reports,
            clock,
            receiver,
            waiting: VecDeque::new(),
            confirms: Vec::new(),
            up: false,
            outage: Outage::new(lane.name()),
        };
        let thread = writer.connection.thread();
        let work = async move {
            if let Err(error) = writer.run().await {
                let _ = writer.reports.send(Report::Fatal(lane, error));
            }
        };
        let task = match thread {
            Some(thread) => thread.spawn(work),
            None => tokio::spawn(work),
        };
        WriterHandle { sender, task }
    }

    async fn run(&mut self) -> Result<(), StoreError> {
        self.come_up().await?;
        while self.gather().await? {
            while !self.waiting.is_empty() || !self.confirms.is_empty() {
                self.write().await?;
                self.confirm().await?;
                self.gather_ready();
            }
        }
        Ok(())
    }

    /// Waits for something to do; false when nothing more will come. Meanwhile looks whether the session still lives, so that
    /// an idle node too knows that its store is down.
    async fn gather(&mut self) -> Result<bool, StoreError> {
        loop {
            match tokio::time::timeout(LOOK_EVERY, self.receiver.recv()).await {
                Ok(Some(message)) => {
                    self.keep(message);
                    self.gather_ready();
                    return Ok(true);
                }
                Ok(None) => return Ok(false),
                Err(_elapsed) => {
                    if let Err(error) = self.connection.look(self.fence).await {
                        self.outage.failed("an idle session is gone", &error);
                        self.come_up().await?;
                    }
                }
            }
        }
    }

    fn gather_ready(&mut self) {
        while self.waiting.len() < batch::LIMIT {
            match self.receiver.try_recv() {
                Ok(message) => self.keep(message),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
    }

    /// Nothing that waits can be written now: it fails, and may be handed over again once the store is up.
    fn refuse_waiting(&mut self) {
        loop {
            self.gather_ready();
            let refused = std::mem::take(&mut self.waiting);
            if refused.is_empty() {
                return;
            }
            self.report_all(refused, &Persisted::Failed);
        }
    }

    fn keep(&mut self, message: Message) {
        match message {
            Message::Record(entry) => self.waiting.push_back(entry),
            Message::Confirm(key) => self.confirms.push(key),
        }
    }

    fn report(&self, id: RecordId, result: Persisted) {
        let _ = self.reports.send(Report::Persisted(id, result));
    }

    fn report_all(&self, entries: impl IntoIterator<Item = Entry>, result: &Persisted) {
        for entry in entries {
            self.report(entry.id, result.clone());
        }
    }

    /// Writes one batch of what waits, in as many parts as it takes.
    async fn write(&mut self) -> Result<(), StoreError> {
        let Some(horizon) = self.horizon.get() else { return Err(StoreError::NoDay) };
        let mut parts = batch::by_day(batch::take(&mut self.waiting), horizon.day);
        let mut repeats = 0;
        while let Some(part) = parts.pop() {
            let since = (self.clock)();
            let fault = match self.statement(&part).await {
                Ok(Written::Done(applied)) => {
                    if repeats > 0 {
                        self.outage.over();
                    }
                    self.done(part, &applied, since).await?;
                    continue;
                }
                Ok(Written::Missed) => {
                    // Not under the fence: another day, or the end of this life.
                    if !self.reaffirm_or_down().await? {
                        self.report_all(
                            parts.into_iter().flatten().chain(part),
                            &Persisted::Failed,
                        );
                        return self.come_up().await;
                    }
                    parts.push(part);
                    continue;
                }
                Err(fault) => fault,
            };
            match fault {
                Fault::Bad(error) => {
                    if part.len() > 1 {
                        let (first, second) = batch::halves(part);
                        parts.extend([second, first]);
                    } else {
                        let reason = reason(&error);
                        tracing::error!(reason, "a record was refused by the database");
                        self.report_all(part, &Persisted::Failed);
                    }
                }
                Fault::Repeat(error) if repeats < REPEATS => {
                    self.outage.failed_because("a batch is repeated", &reason(&error));
                    repeats += 1;
                    parts.push(part);
                }
                Fault::Repeat(error) | Fault::Down(error) => {
                    let reason = reason(&error);
                    self.outage.failed_because("a batch was certainly not written", &reason);
                    self.report_all(parts.into_iter().flatten().chain(part), &Persisted::Failed);
                    return self.come_up().await;
                }
                Fault::Unknown(error) => {
                    let reason = reason(&error);
                    self.outage.failed_because("nobody knows whether a batch was written", &reason);
                    self.report_all(part, &Persisted::Unknown);
                    self.report_all(parts.into_iter().flatten(), &Persisted::Failed);
                    return self.come_up().await;
                }
                Fault::Fatal(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn statement(&mut self, part: &[Entry]) -> Result<Written, Fault> {
        let Some(horizon) = self.horizon.get() else {
            return Err(Fault::Fatal(StoreError::NoDay));
        };
        let begun = std::time::Instant::now();
        let records: Vec<&Record> = part.iter().map(|entry| &entry.record).collect();
        let (connection, fence) = (&mut self.connection, self.fence);
        let call = async {
            match fence.lane {
                Lane::Intents => connection.intents(fence, horizon, &records).await,
                Lane::Outcomes => connection.outcomes(fence, horizon.day, &records).await,
            }
        };
        let written = beside(&self.reports, fence.lane, PATIENCE, call).await;
        let lane = fence.lane.name();
        metrics::histogram!("interlock_store_commit_seconds", "lane" => lane)
            .record(begun.elapsed().as_secs_f64());
        metrics::histogram!("interlock_store_batch_size", "lane" => lane)
            .record(f64::from(u32::try_from(part.len()).unwrap_or(u32::MAX)));
        written
    }

    /// Reports a part that was written under the fence; reads the rows that stood in the way of the others.
    async fn done(
        &mut self,
        part: Vec<Entry>,
        applied: &[bool],
        since: Instant,
    ) -> Result<(), StoreError> {
        let Some(horizon) = self.horizon.get() else { return Err(StoreError::NoDay) };
        let mut lost = Vec::new();
        for (entry, applied) in part.into_iter().zip(applied) {
            if *applied {
                let day = match &entry.record {
                    Record::Change(change) => change.row.day,
                    Record::Intent(_)
                    | Record::Claim(_)
                    | Record::Progress(_)
                    | Record::Case(_)
                    | Record::Note(_) => horizon.day,
                };
                self.report(entry.id, Persisted::Applied(Commit { day, since }));
            } else {
                lost.push(entry);
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        match self.rows_in_the_way(horizon, &lost).await {
            Ok(mut rows) => {
                for entry in lost {
                    let row = rows.remove(&entry.id).map(Box::new);
                    self.report(entry.id, Persisted::Lost(row));
                }
                Ok(())
            }
            Err(error) => {
                // They were not applied; but what stands there must be read again before anybody goes on.
                self.outage.failed("the rows that stood in the way could not be read", &error);
                self.report_all(lost, &Persisted::Unknown);
                self.come_up().await
            }
        }
    }

    async fn rows_in_the_way(
        &mut self,
        horizon: Horizon,
        lost: &[Entry],
    ) -> Result<BTreeMap<RecordId, Found>, StoreError> {
        let mut intents: BTreeMap<Key, RecordId> = BTreeMap::new();
        let mut changes: BTreeMap<TxnId, (&Change, RecordId)> = BTreeMap::new();
        let mut progresses: BTreeMap<TxnId, (&Progress, RecordId)> = BTreeMap::new();
        for entry in lost {
            match &entry.record {
                Record::Intent(row) => drop(intents.insert(row.key, entry.id)),
                Record::Claim(claim) => drop(intents.insert(claim.row.key, entry.id)),
                Record::Change(change) => drop(changes.insert(change.row.id, (change, entry.id))),
                Record::Progress(owed) => drop(progresses.insert(owed.id, (owed, entry.id))),
                Record::Case(_) | Record::Note(_) => {}
            }
        }
        let mut rows = BTreeMap::new();
        let keys: Vec<Key> = intents.keys().copied().collect();
        for found in self.connection.newest(horizon, &keys).await? {
            if let Some(id) = intents.get(&found.row.key) {
                rows.insert(*id, found);
            }
        }
        let mut places: Vec<_> =
            changes.values().map(|(change, _)| (change.row.day, change.row.key)).collect();
        let owed: Vec<TxnId> = progresses.keys().copied().collect();
        places.extend(self.connection.obligation_places(&owed).await?);
        for found in self.connection.rows_at(horizon, &places).await? {
            let changed = changes.get(&found.row.id).map(|(_, id)| id);
            let owed = progresses.get(&found.row.id).map(|(_, id)| id);
            if let Some(id) = changed.or(owed) {
                rows.insert(*id, found);
            }
        }
        Ok(rows)
    }

    /// Answers those who do not know what became of their records.
    async fn confirm(&mut self) -> Result<(), StoreError> {
        while !self.confirms.is_empty() {
            match self.read_confirmed().await {
                Ok(rows) => {
                    for key in std::mem::take(&mut self.confirms) {
                        let row = rows.get(&key).cloned().map(Box::new);
                        let _ = self.reports.send(Report::Confirmed(key, row));
                    }
                }
                Err(error) => {
                    self.outage.failed("rows of unknown commits could not be read", &error);
                    self.come_up().await?;
                }
            }
        }
        Ok(())
    }

    async fn read_confirmed(&mut self) -> Result<BTreeMap<Key, Found>, StoreError> {
        let Some(horizon) = self.horizon.get() else { return Err(StoreError::NoDay) };
        let mut keys = self.confirms.clone();
        keys.sort_unstable();
        keys.dedup();
        let found = self.connection.newest(horizon, &keys).await?;
        let mut rows: BTreeMap<Key, Found> =
            found.into_iter().map(|found| (found.row.key, found)).collect();
        // A change may be of a row of an older day; an intent never is.
        if self.fence.lane == Lane::Outcomes {
            for key in keys {
                if !rows.contains_key(&key)
                    && let Some(found) = self.connection.any_day(horizon, key).await?
                {
                    rows.insert(key, found);
                }
            }
        }
        Ok(rows)
    }

    /// Updates one's own fence again, on the present connection or a new one: true if this life goes on.
    async fn reaffirm_or_down(&mut self) -> Result<bool, StoreError> {
        match self.connection.reaffirm(self.fence).await {
            Ok(Some(day)) => {
                self.horizon.moved_to(day);
                Ok(true)
            }
            Ok(None) => Err(StoreError::Fenced { node: self.fence.node }),
            Err(error) => {
                self.outage.failed("the node's fence could not be updated", &error);
                Ok(false)
            }
        }
    }

    /// Tries until the store works: a connection on which one's own fence row was updated, so that every earlier
    /// statement of this lane has ended (I21). Meanwhile what is handed over fails at once. Ends too where nothing more can
    /// be handed over.
    async fn come_up(&mut self) -> Result<(), StoreError> {
        let was_up = std::mem::replace(&mut self.up, false);
        if was_up {
            let _ = self.reports.send(Report::Down(self.fence.lane));
        }
        let mut told = was_up;
        self.connection.abandon();
        loop {
            if self.reaffirm_or_down().await? {
                break;
            }
            if !told {
                let _ = self.reports.send(Report::Down(self.fence.lane));
                told = true;
            }
            self.refuse_waiting();
            if self.receiver.is_closed() && self.receiver.is_empty() {
                // Nobody hands anything over any more, and nobody waits for a row.
                self.confirms.clear();
                return Ok(());
            }
            tokio::time::sleep(RETRY_EVERY).await;
        }
        self.up = true;
        self.outage.over();
        let _ = self.reports.send(Report::Up(self.fence.lane));
        Ok(())
    }
}

/// Waits for a statement to its end. A lane whose statement takes longer than `patience` is reported as down meanwhile
/// (M15), and as up once the database has answered; what could not be written is told by the result.
async fn beside(
    reports: &mpsc::UnboundedSender<Report>,
    lane: Lane,
    patience: Duration,
    statement: impl Future<Output = Result<Written, Fault>>,
) -> Result<Written, Fault> {
    let mut statement = std::pin::pin!(statement);
    // The statement goes on where its patience ends: it is only borrowed.
    if let Ok(written) = tokio::time::timeout(patience, statement.as_mut()).await {
        return written;
    }
    let _ = reports.send(Report::Down(lane));
    let written = statement.await;
    match &written {
        Ok(_) | Err(Fault::Bad(_) | Fault::Repeat(_)) => drop(reports.send(Report::Up(lane))),
        Err(Fault::Down(_) | Fault::Unknown(_) | Fault::Fatal(_)) => {}
    }
    written
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_statement_that_takes_long_means_down_and_goes_on() {
        let (reports, mut said) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let statement = async {
                ended.await.expect("told");
                Ok(Written::Missed)
            };
            beside(&reports, Lane::Intents, Duration::from_millis(1), statement).await
        });
        assert!(matches!(said.recv().await, Some(Report::Down(Lane::Intents))));
        end.send(()).expect("the statement was not given up");
        assert!(matches!(said.recv().await, Some(Report::Up(Lane::Intents))));
        assert!(matches!(task.await.expect("no panic"), Ok(Written::Missed)));
    }

    #[tokio::test]
    async fn what_is_written_in_time_says_nothing() {
        let (reports, mut said) = mpsc::unbounded_channel();
        let statement = std::future::ready(Ok(Written::Done(vec![true])));
        let written = beside(&reports, Lane::Outcomes, PATIENCE, statement).await;
        assert!(matches!(written, Ok(Written::Done(_))));
        drop(reports);
        assert!(said.recv().await.is_none());
    }
}

//! Reads rows for the engine: keys that wait are read together, in one question (M6); what may have to be looked for in every
//! day is read a few at a time, so that one blocks no other.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use store::{Outage, Store, StoreError};
use switch_core::{Event, Key, Read, ReadFailed};
use tokio::sync::{Semaphore, mpsc};

use crate::{
    desk::Directory,
    input::Inputs,
    originals::{self, Lookup},
};

/// Most rows read at once.
const AT_ONCE: usize = 500;
/// Originals looked for at a time, and rows of any day: a store with few connections makes them wait for one another.
const LOOKS: usize = 3;
const ROWS: usize = 2;
/// Most originals that wait to be looked for; what comes beside them is refused as if the store were down (M15, M16).
const MOST_LOOKS: usize = 2_000;

/// What the engine wants to know of the store.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// A row.
    Row(Read),
    /// The transaction that a request is about (M11).
    Original(Lookup),
}

/// Answers each question with one event, until the driver ends.
pub(crate) async fn read_rows(
    store: Store,
    directory: Arc<ArcSwap<Directory>>,
    mut reads: mpsc::UnboundedReceiver<Question>,
    inputs: Inputs,
) {
    let reader = Arc::new(Reader {
        store,
        directory,
        inputs,
        waiting: Semaphore::new(MOST_LOOKS),
        looks: Semaphore::new(LOOKS),
        rows: Semaphore::new(ROWS),
        outage: Outage::new("reads"),
    });
    let mut waiting = Vec::with_capacity(AT_ONCE);
    while reads.recv_many(&mut waiting, AT_ONCE).await > 0 {
        let mut keys = Vec::new();
        for question in waiting.drain(..) {
            match question {
                Question::Row(Read::Key(key)) => keys.push(key),
                // a lane's own
                Question::Row(Read::Confirm { .. }) => {}
                Question::Row(read @ (Read::AnyDay(_) | Read::Id(_))) => {
                    tokio::spawn(Arc::clone(&reader).read_row(read));
                }
                Question::Original(lookup) => {
                    tokio::spawn(Arc::clone(&reader).find_original(lookup));
                }
            }
        }
        if !keys.is_empty() {
            reader.read_keys(&keys).await;
        }
    }
}

struct Reader {
    store: Store,
    directory: Arc<ArcSwap<Directory>>,
    inputs: Inputs,
    waiting: Semaphore,
    looks: Semaphore,
    rows: Semaphore,
    outage: Outage,
}

impl Reader {
    /// The result as the engine takes it; a failure is logged.
    fn logged<T>(&self, what: &'static str, found: Result<T, StoreError>) -> Result<T, ReadFailed> {
        match found {
            Ok(found) => {
                self.outage.over();
                Ok(found)
            }
            Err(error) => {
                self.outage.failed(what, &error);
                Err(ReadFailed)
            }
        }
    }

    async fn read_row(self: Arc<Self>, read: Read) {
        let _turn = self.rows.acquire().await;
        let found = match read {
            Read::Key(_) | Read::Confirm { .. } => return,
            Read::AnyDay(key) => self.store.read_newest_of(&[key]).await,
            Read::Id(id) => self.store.read_id(id).await,
        };
        let found = self.logged("a row could not be read", found).map(|found| found.map(Box::new));
        self.inputs.event(Event::RowRead { read, found });
    }

    async fn find_original(self: Arc<Self>, lookup: Lookup) {
        let key = lookup.key;
        let Ok(_place) = self.waiting.try_acquire() else {
            tracing::warn!("more originals are looked for than the store answers");
            return self.inputs.event(Event::OriginalRead { key, original: Err(ReadFailed) });
        };
        let _turn = self.looks.acquire().await;
        let found = originals::find(&self.store, &self.directory.load_full(), &lookup).await;
        let original = self.logged("an original could not be looked for", found);
        let original = original.map(|found| found.map(Box::new));
        self.inputs.event(Event::OriginalRead { key, original });
    }

    async fn read_keys(&self, keys: &[Key]) {
        let found = self.logged("rows could not be read", self.store.read_keys(keys).await);
        let mut found = found.map(|found| {
            found.into_iter().map(|found| (found.row.key, found)).collect::<BTreeMap<_, _>>()
        });
        for &key in keys {
            let found = match &mut found {
                Ok(found) => Ok(found.remove(&key).map(Box::new)),
                Err(failed) => Err(*failed),
            };
            self.inputs.event(Event::RowRead { read: Read::Key(key), found });
        }
    }
}

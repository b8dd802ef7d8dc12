//! Reads rows for the engine: keys that wait are read together, in one question (M6).

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use store::Store;
use switch_core::{Event, Key, Read, ReadFailed};
use tokio::sync::mpsc;

use crate::{
    desk::Directory,
    input::Inputs,
    originals::{self, Lookup},
};

/// Most rows read at once.
const AT_ONCE: usize = 500;

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
    let mut waiting = Vec::with_capacity(AT_ONCE);
    while reads.recv_many(&mut waiting, AT_ONCE).await > 0 {
        let keys: Vec<Key> = waiting
            .iter()
            .filter_map(|question| match question {
                Question::Row(Read::Key(key)) => Some(*key),
                Question::Row(Read::Confirm { .. } | Read::AnyDay(_) | Read::Id(_))
                | Question::Original(_) => None,
            })
            .collect();
        if !keys.is_empty() {
            read_keys(&store, &keys, &inputs).await;
        }
        for question in waiting.drain(..) {
            let read = match question {
                Question::Row(read) => read,
                Question::Original(lookup) => {
                    find_original(&store, &directory, &lookup, &inputs).await;
                    continue;
                }
            };
            let found = match read {
                Read::Key(_) | Read::Confirm { .. } => continue,
                Read::AnyDay(key) => store.read_any_day(key).await,
                Read::Id(id) => store.read_id(id).await,
            };
            let found = found.map(|found| found.map(Box::new)).map_err(|error| {
                tracing::warn!(%error, "a row could not be read");
                ReadFailed
            });
            inputs.event(Event::RowRead { read, found });
        }
    }
}

async fn find_original(
    store: &Store,
    directory: &ArcSwap<Directory>,
    lookup: &Lookup,
    inputs: &Inputs,
) {
    let found = originals::find(store, &directory.load_full(), lookup).await;
    let original = found.map(|found| found.map(Box::new)).map_err(|error| {
        tracing::warn!(%error, "an original could not be looked for");
        ReadFailed
    });
    inputs.event(Event::OriginalRead { key: lookup.key, original });
}

async fn read_keys(store: &Store, keys: &[Key], inputs: &Inputs) {
    let mut found = match store.read_keys(keys).await {
        Ok(found) => {
            Ok(found.into_iter().map(|found| (found.row.key, found)).collect::<BTreeMap<_, _>>())
        }
        Err(error) => {
            tracing::warn!(%error, "rows could not be read");
            Err(ReadFailed)
        }
    };
    for &key in keys {
        let found = match &mut found {
            Ok(found) => Ok(found.remove(&key).map(Box::new)),
            Err(failed) => Err(*failed),
        };
        inputs.event(Event::RowRead { read: Read::Key(key), found });
    }
}

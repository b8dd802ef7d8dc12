//! Reads rows for the engine: keys that wait are read together, in one question (M6).

use std::collections::BTreeMap;

use store::Store;
use switch_core::{Event, Key, Read, ReadFailed};
use tokio::sync::mpsc;

use crate::input::Inputs;

/// Most rows read at once.
const AT_ONCE: usize = 500;

/// Answers each read with one event, until the driver ends.
pub(crate) async fn read_rows(
    store: Store,
    mut reads: mpsc::UnboundedReceiver<Read>,
    inputs: Inputs,
) {
    let mut waiting = Vec::with_capacity(AT_ONCE);
    while reads.recv_many(&mut waiting, AT_ONCE).await > 0 {
        let keys: Vec<Key> = waiting
            .iter()
            .filter_map(|read| match read {
                Read::Key(key) => Some(*key),
                Read::Confirm { .. } | Read::AnyDay(_) | Read::Id(_) => None,
            })
            .collect();
        if !keys.is_empty() {
            read_keys(&store, &keys, &inputs).await;
        }
        for read in waiting.drain(..) {
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

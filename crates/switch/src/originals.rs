//! The transaction that a request names, looked for in the store, with what names it to its issuer (M11).

use std::sync::Arc;

use bytes::Bytes;
use iso8583::Kind;
use store::{Store, StoreError};
use switch_core::{Day, Found, Key, Named, OriginalFound, Row};

use crate::{blob, desk::Directory, issuer};

/// What is to be looked for.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    /// The request's identity.
    pub(crate) key: Key,
    pub(crate) named: Named,
    pub(crate) kinds: Arc<[Kind]>,
}

/// Pre-authorisations are looked for in so many business days at most.
const MOST_DAYS: i32 = 400;

/// The newest transaction that is so named.
pub(crate) async fn find(
    store: &Store,
    directory: &Directory,
    lookup: &Lookup,
) -> Result<Option<OriginalFound>, StoreError> {
    let found = match lookup.named {
        Named::Trace { batch, stan } => {
            let terminal = lookup.key.terminal();
            let keys: Vec<Key> =
                lookup.kinds.iter().map(|kind| Key::new(terminal, batch, stan, *kind)).collect();
            store.read_newest_of(&keys).await?
        }
        Named::Number(id) => store.read_id(id).await?,
        Named::Authorisation { card, code, date } => {
            let from = store.today().map_or(Day(0), |today| Day(today.0 - MOST_DAYS));
            let held = store.read_of_card(card, &lookup.kinds, from).await?;
            held.into_iter().find(|found| {
                authorisation(&found.row) == Some(code)
                    && date.is_none_or(|date| date_of(&found.row) == Some(date))
            })
        }
    };
    let Some(found) = found else { return Ok(None) };
    // Zero: a dialect without batches.
    let (terminal, batch) = (found.row.key.terminal(), found.row.key.batch());
    let settled = batch > 0 && store.batch_closed(terminal, batch, found.row.day).await?;
    Ok(Some(describe(store, directory, found, settled)))
}

fn describe(store: &Store, directory: &Directory, found: Found, settled: bool) -> OriginalFound {
    let row = &found.row;
    let days = store.today().map_or(0, |today| today.0.saturating_sub(row.day.0));
    let host = row.issuer.as_ref().and_then(|name| directory.issuers.get(name));
    let elements = host.map_or_else(Bytes::new, |host| issuer::original_named(host, row));
    OriginalFound {
        settled,
        days_old: u32::try_from(days).unwrap_or(0),
        authorisation: authorisation(row),
        date: date_of(row),
        elements,
        found,
    }
}

/// The authorisation code (38) that it was answered with.
pub(crate) fn authorisation(row: &Row) -> Option<[u8; 6]> {
    let text = blob::field(&row.answer, 38)?;
    six(text)
}

/// An authorisation code as six characters, filled with blanks on the right.
pub(crate) fn six(text: &[u8]) -> Option<[u8; 6]> {
    let text = text.trim_ascii_end();
    if text.is_empty() {
        return None;
    }
    let mut code = *b"      ";
    for (to, from) in code.iter_mut().zip(text) {
        *to = *from;
    }
    (text.len() <= 6).then_some(code)
}

/// Month times 100, plus day, of its answer's date (13).
fn date_of(row: &Row) -> Option<u16> {
    blob::text(&row.carried, 13)?.parse().ok()
}

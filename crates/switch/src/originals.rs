//! The transaction that a request names, looked for in the store, with what names it to its issuer (M11).

use std::sync::Arc;

use bytes::Bytes;
use iso8583::Kind;
use store::{Store, StoreError};
use switch_core::{Day, Found, Key, Named, OriginalFound, Row, Translated, TxnId};

use crate::{
    acquirer::{number_beside, translate},
    blob,
    desk::Directory,
    input::OpenAsk,
    issuer,
};

/// What is to be looked for.
#[derive(Clone)]
pub(crate) struct Lookup {
    /// The request's identity.
    pub(crate) key: Key,
    pub(crate) named: Named,
    pub(crate) kinds: Arc<[Kind]>,
    /// The request's merchant (42), and its message with the port's settings when it was read.
    pub(crate) merchant: Bytes,
    pub(crate) ask: Arc<OpenAsk>,
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lookup({:?})", self.named)
    }
}

impl Lookup {
    /// Whether it is of the request's domain.
    fn is_of_domain(&self, row: &Row) -> bool {
        self.ask.desk.terminal_key(&row.merchant, &row.terminal) == row.key.terminal()
    }

    /// Whether the request, which knows card and authorisation code only, may mean it.
    fn may_mean(&self, row: &Row, code: [u8; 6], date: Option<u16>) -> bool {
        authorisation(row) == Some(code)
            && date.is_none_or(|date| date_of(row) == Some(date))
            && row.merchant == self.merchant
            && self.is_of_domain(row)
    }

    /// What the request becomes for the issuer of this row.
    fn translated(&self, directory: &Directory, row: &Row) -> Translated {
        let Some(host) = row.issuer.as_ref().and_then(|name| directory.issuers.get(name)) else {
            return Translated::NoIssuer;
        };
        let (ask, kind) = (&self.ask, self.key.kind());
        let Some(kind) = kind else { return Translated::Inexpressible };
        let named = issuer::original_named(host, row);
        match translate(&ask.desk, &ask.message, ask.read.wall, kind, host, &named) {
            Ok(more) => Translated::Carried(more),
            Err(_) => Translated::Inexpressible,
        }
    }
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
        Named::Number(TxnId(0)) => None,
        Named::Number(id) => store.read_id(id).await?,
        Named::Authorisation { card, code, date } => {
            let from = store.today().map_or(Day(0), |today| Day(today.0 - MOST_DAYS));
            let mut held = store.read_of_card(card, &lookup.kinds, from).await?;
            held.retain(|found| lookup.may_mean(&found.row, code, date));
            // a code may come again: one of which something is left, before one that was used up; and of these, one whose
            // issuer can have the request
            let is_open =
                |found: &Found| found.row.state.is_told_approved() && found.row.left() > 0;
            let open = held.iter().position(|found| {
                is_open(found)
                    && !matches!(
                        lookup.translated(directory, &found.row),
                        Translated::Inexpressible
                    )
            });
            let open = open.or_else(|| held.iter().position(is_open));
            held.into_iter().nth(open.unwrap_or(0))
        }
    };
    let Some(found) = found else { return Ok(None) };
    describe(store, directory, lookup, found).await.map(Some)
}

async fn describe(
    store: &Store,
    directory: &Directory,
    lookup: &Lookup,
    found: Found,
) -> Result<OriginalFound, StoreError> {
    let row = &found.row;
    let (terminal, batch) = (row.key.terminal(), row.key.batch());
    let days = store.today().map_or(0, |today| today.0.saturating_sub(row.day.0));
    Ok(OriginalFound {
        same_domain: lookup.is_of_domain(row),
        // in a dialect without batches no batch is ever closed
        settled: store.batch_closed(terminal, batch, row.day).await?,
        refunded: row.claimed > 0 && store.is_refunded(row).await?,
        days_old: u32::try_from(days).unwrap_or(0),
        authorisation: authorisation(row),
        date: date_of(row),
        also_named: also_named(store, lookup, row).await?,
        translated: lookup.translated(directory, row),
        found,
    })
}

/// Another transaction of the same merchant whose number the request gives too, where that may be one of its own.
async fn also_named(
    store: &Store,
    lookup: &Lookup,
    row: &Row,
) -> Result<Option<TxnId>, StoreError> {
    let ask = &lookup.ask;
    let beside = number_beside(&ask.desk, &ask.message, ask.read.wall).filter(|id| *id != row.id);
    let Some(id) = beside.filter(|_| !matches!(lookup.named, Named::Number(_))) else {
        return Ok(None);
    };
    let other = store.read_id(id).await?.map(|found| found.row);
    let own = |other: &Row| other.merchant == lookup.merchant && lookup.is_of_domain(other);
    Ok(other.filter(own).map(|_| id))
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

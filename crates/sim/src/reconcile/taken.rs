//! What issuers have undone of each transaction: never more than was done (M11).

use std::collections::HashMap;

use super::issuers::{Issuers, Posting};
use super::kinds::{adjusts, direction};
use crate::text::Text;

/// What stands about one original.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    /// Paid back of it.
    paid: i64,
    /// Added to it.
    added: i64,
    /// Completions and releases of a hold.
    uses: u32,
}

/// The originals of which more was undone than done, and what is wrong with each.
pub(super) fn over_undone(issuers: &Issuers) -> Vec<(Posting, String)> {
    let mut all: HashMap<Text<12>, Taken> = HashMap::new();
    for posting in issuers.postings.iter().filter(|posting| !posting.original.is_empty()) {
        if !posting.stands() {
            continue;
        }
        let kind = posting.kind.as_str();
        let taken = all.entry(posting.original).or_default();
        match (adjusts(kind), direction(kind)) {
            (true, _) => taken.added += posting.net,
            (false, -1) => taken.paid += posting.net,
            (false, _) => taken.uses += u32::from(kind != "script-result"),
        }
    }
    let mut found: Vec<(Posting, String)> = all
        .into_iter()
        .filter_map(|(rrn, taken)| Some((*issuers.posting_of(rrn)?, taken)))
        .filter_map(|(original, taken)| {
            let worth = original.net + taken.added;
            let detail = if original.kind.as_str() == "pre-authorisation" {
                (taken.uses > 1).then(|| format!("a hold was used {} times", taken.uses))
            } else {
                (taken.paid > worth).then(|| format!("{} paid back of {worth}", taken.paid))
            };
            Some((original, detail?))
        })
        .collect();
    found.sort_by_key(|(original, _)| original.rrn);
    found
}

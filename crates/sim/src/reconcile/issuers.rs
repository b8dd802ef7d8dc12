//! What issuers have posted, read from their ledgers.

use std::collections::HashMap;

use super::kinds::{adjusts, direction, kind_of_event};
use super::terminals::Sender;
use crate::ledger::Line;
use crate::text::Text;

/// All that an issuer has of one transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Posting {
    pub(super) rrn: Text<12>,
    pub(super) sender: Sender,
    pub(super) currency: Text<3>,
    pub(super) card: Text<32>,
    /// The name of its kind; empty if only reversals came.
    pub(super) kind: Text<24>,
    /// RRN of the transaction that it is about.
    pub(super) original: Text<12>,
    /// The amount posted last.
    pub(super) amount: i64,
    /// What stands of it now: charged, held, paid back or released, each counted up; of a changed amount the difference.
    pub(super) net: i64,
    /// Whether it was posted, and not taken back since.
    pub(super) in_effect: bool,
    /// Postings that came while another was in effect.
    pub(super) charged_again: u32,
    /// Copies of the request that were forwarded.
    pub(super) duplicates: u32,
    /// Reversals that arrived, with or without effect.
    pub(super) reversals: u32,
    /// Whether lines with this RRN name several terminals.
    pub(super) reused: bool,
    /// Whether the request itself arrived, not only a reversal.
    pub(super) arrived: bool,
    /// Which ledger file it stands in.
    pub(super) issuer: usize,
    pub(super) joined: bool,
}

impl Posting {
    /// What is taken from the card now; less than 0 if it was paid.
    pub(super) fn money(&self, kind: &str) -> i64 {
        self.net * direction(if self.kind.is_empty() { kind } else { self.kind.as_str() })
    }

    /// Whether something of it stands.
    pub(super) fn stands(&self) -> bool {
        if adjusts(self.kind.as_str()) { self.in_effect } else { self.net > 0 }
    }
}

/// All transactions of all issuers.
#[derive(Debug, Default)]
pub(super) struct Issuers {
    pub(super) postings: Vec<Posting>,
    by_rrn: HashMap<Text<12>, u32>,
    by_sender: HashMap<Sender, u32>,
}

impl Issuers {
    /// Takes one line of the issuer number `issuer` in. Balance enquiries move no money, and nobody keeps them.
    pub(super) fn add(&mut self, issuer: usize, line: &Line<'_>) {
        if line.kind == "balance-enquiry" {
            return;
        }
        let event = &*line.event;
        let posts = matches!(
            event,
            "charged"
                | "refunded"
                | "voided"
                | "held"
                | "released"
                | "completed"
                | "adjusted"
                | "noted"
        );
        let undoes = event == "reversed" || event.starts_with("reversal_");
        if !posts && !undoes && !matches!(event, "declined" | "duplicate" | "received" | "repeated")
        {
            return;
        }
        let posting = self.posting(issuer, line);
        posting.reused |= posting.sender.terminal.as_str() != line.terminal.trim_end()
            && !line.terminal.is_empty();
        posting.reversals += u32::from(undoes);
        if !undoes && posting.kind.is_empty() {
            let of_event = kind_of_event(event);
            posting.kind = Text::new(if line.kind.is_empty() { of_event } else { &line.kind });
        }
        let adjusts = adjusts(posting.kind.as_str());
        let amount = if adjusts { line.difference } else { line.amount };
        match event {
            "duplicate" => posting.duplicates += 1,
            "declined" | "received" | "repeated" => posting.arrived = true,
            "reversed" => {
                posting.net -= amount;
                posting.in_effect = false;
            }
            _ if posts => {
                posting.charged_again += u32::from(posting.net != 0);
                posting.arrived = true;
                posting.in_effect = true;
                posting.amount = line.amount;
                posting.net += if event == "noted" { 0 } else { amount };
                posting.currency = Text::new(&line.currency);
                posting.original = Text::new(&line.original);
            }
            _ => {}
        }
    }

    fn posting(&mut self, issuer: usize, line: &Line<'_>) -> &mut Posting {
        let rrn: Text<12> = Text::new(line.rrn.trim());
        let sender = Sender::new(&line.merchant, &line.terminal, &line.stan);
        let next = u32::try_from(self.postings.len()).unwrap_or(u32::MAX);
        let at = if rrn.is_empty() {
            *self.by_sender.entry(sender).or_insert(next)
        } else {
            self.by_sender.entry(sender).or_insert(next);
            *self.by_rrn.entry(rrn).or_insert(next)
        };
        if at == next {
            self.postings.push(Posting {
                rrn,
                sender,
                currency: Text::new(&line.currency),
                card: Text::new(&line.pan_hash),
                kind: Text::default(),
                original: Text::default(),
                amount: 0,
                net: 0,
                in_effect: false,
                charged_again: 0,
                duplicates: 0,
                reversals: 0,
                reused: false,
                arrived: false,
                issuer,
                joined: false,
            });
        }
        let at = usize::try_from(at).unwrap_or(0);
        self.postings.get_mut(at).expect("an index that was pushed above or before")
    }

    /// The transaction of that RRN.
    pub(super) fn posting_of(&self, rrn: Text<12>) -> Option<&Posting> {
        self.postings.get(usize::try_from(*self.by_rrn.get(&rrn)?).ok()?)
    }

    /// The transaction of that RRN, marked as joined.
    pub(super) fn join(&mut self, rrn: &str) -> Option<Posting> {
        let at = *self.by_rrn.get(&Text::new(rrn))?;
        self.take(at)
    }

    /// The transaction of that sender, marked as joined: only where terminal and issuer count the same STANs.
    pub(super) fn join_sender(&mut self, sender: &Sender) -> Option<Posting> {
        let at = *self.by_sender.get(sender)?;
        self.take(at)
    }

    fn take(&mut self, at: u32) -> Option<Posting> {
        let posting = self.postings.get_mut(usize::try_from(at).ok()?)?;
        if posting.joined {
            return None;
        }
        posting.joined = true;
        Some(*posting)
    }
}

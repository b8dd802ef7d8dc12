//! What issuers have posted, read from their ledgers.

use std::collections::HashMap;

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
    /// The amount charged last.
    pub(super) amount: i64,
    /// What is charged now.
    pub(super) net: i64,
    /// Charges that came while another was in effect.
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
        let moves = matches!(event, "charged" | "reversed" | "refunded" | "voided");
        let undoes = event == "reversed" || event.starts_with("reversal_");
        if !moves && !undoes && !matches!(event, "declined" | "duplicate" | "received") {
            return;
        }
        let posting = self.posting(issuer, line);
        posting.reused |= posting.sender.terminal.as_str() != line.terminal.trim_end()
            && !line.terminal.is_empty();
        posting.reversals += u32::from(undoes);
        match event {
            "charged" => {
                if posting.net > 0 {
                    posting.charged_again += 1;
                }
                posting.arrived = true;
                posting.amount = line.amount;
                posting.net += line.amount;
                posting.currency = Text::new(&line.currency);
            }
            "duplicate" => posting.duplicates += 1,
            "declined" | "received" => posting.arrived = true,
            "reversed" => posting.net -= line.amount,
            "refunded" | "voided" => {
                posting.net -= line.amount;
                posting.arrived = true;
                posting.amount = line.amount;
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
                amount: 0,
                net: 0,
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

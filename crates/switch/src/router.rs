//! Which link of an issuer takes a frame.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use link::{NeverSent, Slip};
use switch_core::{Forward, LinkId, Name, ReversalOut};

use crate::{
    clock,
    input::{Inputs, LinkHandle, LinkReceipt, OpenAsk, ToIssuer},
};

/// The links that are up.
pub(crate) struct Router {
    inputs: Inputs,
    /// Most requests that wait on one link.
    most: usize,
    issuers: HashMap<Name, Links>,
}

#[derive(Default)]
struct Links {
    up: Vec<LinkHandle>,
    /// Requests go round.
    next: usize,
}

impl Links {
    /// Whether any of them is not mute.
    fn any_speaks(&self) -> bool {
        self.up.iter().any(|link| !link.is_mute())
    }

    /// The next link with room for a request; a mute one only where all are mute.
    fn with_room(&mut self, most: usize) -> Option<&LinkHandle> {
        let count = self.up.len();
        let any_speaks = self.any_speaks();
        let room = |at: &usize| {
            self.up.get(*at).is_some_and(|link| {
                link.waiting.requests.load(Ordering::Relaxed) < most
                    && !(any_speaks && link.is_mute())
            })
        };
        let found = (0..count).map(|step| (self.next + step) % count).find(room)?;
        self.next = found + 1;
        self.up.get(found)
    }
}

impl Router {
    pub(crate) fn new(inputs: Inputs, most: usize) -> Self {
        Self { inputs, most, issuers: HashMap::new() }
    }

    /// Links that are up, over all issuers.
    pub(crate) fn links_up(&self) -> usize {
        self.issuers.values().map(|links| links.up.len()).sum()
    }

    pub(crate) fn add(&mut self, issuer: &Name, link: LinkHandle) {
        self.issuers.entry(issuer.clone()).or_default().up.push(link);
    }

    pub(crate) fn remove(&mut self, issuer: &Name, link: LinkId) {
        if let Some(links) = self.issuers.get_mut(issuer) {
            links.up.retain(|known| known.id != link);
        }
    }

    /// Queues a request on the next link with room. Whatever becomes of it, its slip tells.
    pub(crate) fn forward(&mut self, forward: Forward, ask: Option<Arc<OpenAsk>>) {
        let id = forward.durable.id();
        let links = self.issuers.entry(forward.issuer).or_default();
        let none_up = links.up.is_empty();
        let link = links.with_room(self.most);
        let waiting = link.map(|link| Arc::clone(&link.waiting));
        if let Some(waiting) = &waiting {
            waiting.requests.fetch_add(1, Ordering::Relaxed);
        }
        let receipt = LinkReceipt::Request {
            id,
            link: link.map_or(LinkId(0), |link| link.id),
            inputs: self.inputs.clone(),
            waiting,
        };
        let slip = Slip::new(receipt);
        match (link, ask) {
            (Some(link), Some(ask)) => {
                let not_after = clock::std(forward.not_after);
                // A link that has just gone gives the command back, and with it the slip.
                let carried = forward.carried;
                let _ = link.queue.send(ToIssuer::Forward { ask, id, carried, not_after, slip });
            }
            (None, _) if none_up => slip.never_sent(NeverSent::Gone),
            (None, _) => slip.never_sent(NeverSent::QueueFull),
            (Some(_), None) => {
                tracing::error!(rrn = id.0, "the message to be forwarded is no longer there");
                slip.never_sent(NeverSent::Gone);
            }
        }
    }

    /// Queues a reversal on the link that carried its original while that is up, else on the next. Where that link is mute and
    /// another is not, it ends first: then the reversal is tried again on the other.
    pub(crate) fn reverse(&mut self, reversal: ReversalOut) {
        let id = reversal.owed.id();
        let links = self.issuers.entry(reversal.issuer).or_default();
        let own = reversal.link.and_then(|own| links.up.iter().find(|link| link.id == own));
        let go_round = own.is_some_and(LinkHandle::is_mute) && links.any_speaks();
        let link = own.cloned().or_else(|| links.with_room(usize::MAX).cloned());
        let waiting = link.as_ref().map(|link| Arc::clone(&link.waiting));
        if let Some(waiting) = &waiting {
            waiting.reversals.fetch_add(1, Ordering::Relaxed);
        }
        let receipt = LinkReceipt::Reversal {
            id,
            link: link.as_ref().map_or(LinkId(0), |link| link.id),
            inputs: self.inputs.clone(),
            waiting,
        };
        let slip = Slip::new(receipt);
        if let Some(link) = link {
            let (row, repeat) = (reversal.row, reversal.repeat);
            let _ = link.queue.send(if go_round {
                ToIssuer::GoRound { slip }
            } else {
                ToIssuer::Reverse { row, repeat, slip }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use tokio::sync::mpsc;

    use super::*;
    use crate::input::Waiting;

    fn link(id: u64, mute: bool) -> LinkHandle {
        LinkHandle {
            id: LinkId(id),
            queue: mpsc::unbounded_channel().0,
            waiting: Arc::new(Waiting::default()),
            mute: Arc::new(AtomicBool::new(mute)),
        }
    }

    #[test]
    fn mute_links_get_work_only_where_all_are_mute() {
        for (mute, expected) in [
            ([false, false, false], [1, 2, 3, 1]),
            ([false, true, false], [1, 3, 1, 3]),
            ([true, true, false], [3, 3, 3, 3]),
            ([true, true, true], [1, 2, 3, 1]),
        ] {
            let up = (1..).zip(mute).map(|(id, mute)| link(id, mute)).collect();
            let mut links = Links { up, next: 0 };
            let taken = expected.map(|_| links.with_room(1).map(|link| link.id.0));
            assert_eq!(taken, expected.map(Some), "{mute:?}");
        }
    }

    #[test]
    fn a_full_link_that_speaks_goes_before_a_mute_one() {
        let mut links = Links { up: vec![link(1, false), link(2, true)], next: 0 };
        for handle in &links.up {
            handle.waiting.requests.store(usize::from(handle.id.0 == 1), Ordering::Relaxed);
        }
        assert!(links.with_room(1).is_none(), "refused as never sent rather than unknown");
    }
}

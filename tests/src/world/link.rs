//! Connections to issuers: a writer that owns the socket says of each message once whether it was written (M5).

use std::collections::VecDeque;

use switch_core::{Event, LinkId, ReversalUnsent, Unsent};

use super::{
    coverage::Sit,
    event::{Ev, Out, Proc, ToIssuer},
    network::Dir,
    options::{Fault, MS, SEC},
    state::World,
};

/// A connection to an issuer.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) node: usize,
    pub(super) life: u32,
    pub(super) issuer: usize,
    /// The node uses it.
    pub(super) n_open: bool,
    /// The issuer's side is open.
    pub(super) i_open: bool,
    pub(super) to: Dir,
    pub(super) from: Dir,
    pub(super) queue: VecDeque<Out>,
    /// The issuer signed off: nothing is sent.
    pub(super) off: bool,
    /// When the first message was written since something was heard.
    asked: Option<u64>,
    last_hop: u64,
}

/// So long after a message without a sound, echo included, a line is mute.
const MUTE: u64 = 5 * SEC;

impl World {
    pub(super) fn open_link(&mut self, node: usize, issuer: usize) -> usize {
        self.links.push(Link {
            node,
            life: self.nodes[node].life,
            issuer,
            n_open: true,
            i_open: true,
            to: Dir::new(),
            from: Dir::new(),
            queue: VecDeque::new(),
            off: false,
            asked: None,
            last_hop: 0,
        });
        self.links.len() - 1
    }

    fn link_hop(&mut self, link: usize) -> u64 {
        let hop = self.hop();
        let l = &mut self.links[link];
        l.last_hop = l.last_hop.max(self.now + hop);
        l.last_hop - self.now
    }

    /// What the writer of a link says, in order.
    fn link_tells(&mut self, link: usize, event: Event) {
        let hop = self.link_hop(link);
        let node = self.links[link].node;
        self.tell(node, hop, event);
    }

    /// The node's writer has something for the issuer.
    pub(super) fn link_send(&mut self, link: usize, out: Out) {
        let l = &self.links[link];
        if l.off {
            self.hit(Sit::SignedOffUnsent);
            self.never_sent(link, &out, Unsent::NoLink);
        } else if !l.n_open {
            self.never_sent(link, &out, Unsent::NoLink);
        } else if l.to.blocked(self.now) || !l.queue.is_empty() {
            if l.queue.len() >= 16 {
                self.never_sent(link, &out, Unsent::QueueFull);
                return;
            }
            if let Out::Request { not_after, .. } = &out {
                let after = not_after.saturating_sub(self.now) + 1;
                let node = l.node;
                self.plan(node, after, Proc::LinkExpire(link));
            }
            self.links[link].queue.push_back(out);
        } else {
            self.link_write(link, out);
        }
    }

    fn never_sent(&mut self, link: usize, out: &Out, why: Unsent) {
        match out {
            Out::Request { id, .. } => {
                self.trace.line(self.now, || format!("link {link}: {} never sent: {why:?}", id.0));
                self.link_tells(link, Event::NeverSent { id: *id, why });
            }
            Out::Reversal { id, .. } => {
                self.link_tells(
                    link,
                    Event::ReversalNeverSent { id: *id, why: ReversalUnsent::NoLink },
                );
            }
        }
    }

    fn link_write(&mut self, link: usize, out: Out) {
        if let Out::Request { not_after, .. } = &out
            && self.now > *not_after
        {
            self.never_sent(link, &out, Unsent::TooLate);
            return;
        }
        let latency = self.latency();
        let now = self.now;
        let asked = &mut self.links[link].asked;
        *asked = asked.or(Some(now));
        let (msg, told) = self.written(link, &out);
        let (n, at) = self.links[link].to.take(now, latency);
        self.trace.line(now, || format!("link {link}: wrote {msg:?}"));
        self.link_tells(link, told);
        self.agenda.add(at, Ev::AtIssuer { link, n, msg });
    }

    /// The wire log, the checks and the message of what was just written.
    fn written(&mut self, link: usize, out: &Out) -> (ToIssuer, Event) {
        let written = self.now;
        let link_id = LinkId(link as u64);
        match out {
            Out::Request { id, carried, .. } => {
                self.check_forwarded(link, *id);
                let (sale, original) = self.carried(*id, carried);
                let s = &self.ledgers.sales[sale];
                let msg = ToIssuer {
                    id: *id,
                    reversal: false,
                    repeat: false,
                    sale,
                    original,
                    kind: s.kind,
                    amount: s.amount,
                    currency: *b"156",
                    card: [s.card; 16],
                    written,
                };
                (msg, Event::Written { id: *id, link: link_id })
            }
            Out::Reversal { id, repeat, row } => {
                self.check_reversal_written(link, *id, *repeat, row);
                let (sale, original) = self.carried(*id, &row.carried);
                let msg = ToIssuer {
                    id: *id,
                    reversal: !super::trade::is_advice(row.kind),
                    repeat: *repeat,
                    sale,
                    original,
                    kind: row.kind,
                    amount: row.amount,
                    currency: row.currency,
                    card: row.card.hash,
                    written,
                };
                (msg, Event::ReversalWritten { id: *id, link: link_id })
            }
        }
    }

    /// The sale and the original that a message carries to its issuer.
    fn carried(
        &mut self,
        id: switch_core::TxnId,
        carried: &[u8],
    ) -> (usize, Option<switch_core::TxnId>) {
        super::edge::carried_by(carried).unwrap_or_else(|| {
            self.broken("I17", || format!("{} carries {carried:?}", id.0));
            (0, None)
        })
    }

    /// The queue again: after a stall, or when something in it may be too old.
    pub(super) fn link_flush(&mut self, link: usize) {
        let queue = std::mem::take(&mut self.links[link].queue);
        let blocked = self.links[link].to.blocked(self.now);
        for out in queue {
            let expired = matches!(&out, Out::Request { not_after, .. } if self.now > *not_after);
            if expired {
                self.never_sent(link, &out, Unsent::TooLate);
            } else if blocked {
                self.links[link].queue.push_back(out);
            } else {
                self.link_send(link, out);
            }
        }
    }

    pub(super) fn link_unstall(&mut self, link: usize) {
        let l = &self.links[link];
        let (node, life) = (l.node, l.life);
        self.agenda.add(self.now, Ev::Proc { node, life, what: Proc::LinkExpire(link) });
    }

    /// The connection breaks for both sides, and loses a tail of what was under way.
    pub(super) fn link_reset(&mut self, link: usize) {
        let l = &self.links[link];
        let (node, life) = (l.node, l.life);
        let to = self.rng.range(u64::from(l.to.delivered), u64::from(l.to.next)) as u32;
        let from = self.rng.range(u64::from(l.from.delivered), u64::from(l.from.next)) as u32;
        let l = &mut self.links[link];
        l.to.lost_from = l.to.lost_from.min(to);
        l.from.lost_from = l.from.lost_from.min(from);
        l.i_open = false;
        let latency = self.latency();
        self.agenda.add(self.now + latency, Ev::Proc { node, life, what: Proc::LinkEnd(link) });
    }

    /// The node sees the end of a link: what is queued was never sent, then the link is down.
    pub(super) fn link_end(&mut self, link: usize) {
        let l = &mut self.links[link];
        if !l.n_open {
            return;
        }
        l.n_open = false;
        l.i_open = false;
        let (node, issuer) = (l.node, l.issuer);
        for out in std::mem::take(&mut l.queue) {
            self.never_sent(link, &out, Unsent::NoLink);
        }
        let name = self.issuer_name(issuer);
        self.nodes[node].links.retain(|up| *up != link);
        self.link_tells(link, Event::LinkDown { issuer: name, link: LinkId(link as u64) });
        let wait = self.reconnect_wait();
        self.plan(node, wait, Proc::Connect { issuer });
    }

    /// The issuer signed a link off: what is queued was never sent, and nothing goes there until it signs on.
    pub(super) fn link_signed(&mut self, node: usize, link: usize, on: bool) {
        let l = &mut self.links[link];
        if !l.n_open || l.off != on {
            return;
        }
        l.off = !on;
        let (issuer, id) = (l.issuer, LinkId(link as u64));
        let queue = std::mem::take(&mut l.queue);
        let issuer = self.issuer_name(issuer);
        self.trace
            .line(self.now, || format!("link {link}: signed {}", if on { "on" } else { "off" }));
        if on {
            self.nodes[node].links.push(link);
            return self.link_tells(link, Event::LinkUp { issuer, link: id });
        }
        for out in queue {
            self.hit(Sit::SignedOffUnsent);
            self.never_sent(link, &out, Unsent::NoLink);
        }
        self.nodes[node].links.retain(|up| *up != link);
        self.link_tells(link, Event::LinkDown { issuer, link: id });
    }

    /// Something came on a link.
    pub(super) fn link_heard(&mut self, link: usize) {
        self.links[link].asked = None;
    }

    /// Whether nothing comes on a link, not even the answer to an echo: others go before it.
    pub(super) fn link_is_mute(&self, link: usize) -> bool {
        let l = &self.links[link];
        let silent = |dir: &Dir| dir.void || self.now < dir.stalled_until;
        l.asked.is_some_and(|at| self.now >= at + MUTE) && (silent(&l.to) || silent(&l.from))
    }

    fn reconnect_wait(&mut self) -> u64 {
        if self.healing { 300 * MS } else { self.rng.range(200, 4_000) * MS }
    }

    /// An issuer answers on a link.
    pub(super) fn link_answer(&mut self, link: usize, answer: Box<switch_core::IssuerAnswer>) {
        let latency = self.latency();
        let now = self.now;
        let l = &mut self.links[link];
        let (n, arrival) = l.from.take(now, latency);
        let (node, life) = (l.node, l.life);
        self.agenda.add(arrival, Ev::Proc { node, life, what: Proc::Answer { link, n, answer } });
    }

    /// Stalls a direction towards an issuer, for so long that an original still arrives in time where that matters (I10).
    pub(super) fn stall_link(&mut self, link: usize) {
        let most =
            if self.opts.has(Fault::Forgetful) { 2 * self.opts.timeout - SEC } else { 120 * SEC };
        let stall = self.rng.range(1, most / MS) * MS;
        let takes = self.rng.chance(500);
        let until = self.now + stall;
        let both = self.rng.chance(300);
        let l = &mut self.links[link];
        l.to.stalled_until = until;
        l.to.takes = takes;
        if both {
            l.from.stalled_until = until;
        }
        self.agenda.add(until + 1, Ev::LinkUnstall(link));
    }

    /// Whether the node can see that bytes of it do not leave.
    pub(super) fn link_is_stuck(&self, link: usize) -> bool {
        let l = &self.links[link];
        self.now < l.to.stalled_until && (!l.queue.is_empty() || l.to.unsent())
    }

    /// The node resets a stalled link: unsent bytes die (M4).
    pub(super) fn link_cut(&mut self, link: usize) {
        let to = self.links[link].to.delivered;
        let l = &mut self.links[link];
        l.to.lost_from = l.to.lost_from.min(to);
        l.i_open = false;
        self.link_end(link);
    }
}

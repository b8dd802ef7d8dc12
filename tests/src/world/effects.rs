//! Performs what the engine asks for, each thing after a hop of its own.

use switch_core::{
    AskId, Effect, Event, Forward, Read, Record, Reply, ReversalOut, ReversalUnsent, Unsent,
};

use super::{
    coverage::Sit,
    edge,
    event::{Ev, Out, Proc},
    network::PendingReply,
    node::LaneState,
    options::{Fault, MS},
    state::World,
};

impl World {
    pub(super) fn perform(&mut self, node: usize, effect: Effect) {
        self.trace.line(self.now, || format!("node {node} -> {}", super::show::effect(&effect)));
        match effect {
            Effect::Persist { record, what } => {
                let lane = usize::from(!matches!(what, Record::Intent(_) | Record::Claim(_)));
                self.check_verdict(node, &what);
                self.nodes[node].lanes[lane].queue.push((record, what));
            }
            Effect::Read(read) => self.read(node, read),
            Effect::FindOriginal { key, named, kinds, .. } => {
                let life = self.nodes[node].life;
                let after = self.rng.range(200, 6_000) * 1000;
                self.agenda.add(self.now + after, Ev::Find { node, life, key, named, kinds });
            }
            Effect::Forward(forward) => self.forward(node, &forward),
            Effect::Reverse(out) => self.reverse(node, out),
            Effect::Reply { ask, reply } => {
                self.check_reply(node, &reply);
                self.check_refusal(node, ask, &reply);
                if let Some(held) = self.nodes[node].asks.get_mut(&ask) {
                    held.handed = true;
                    let conn = held.conn;
                    let hop = self.conn_hop(conn);
                    self.plan(node, hop, Proc::ConnWrite { ask, reply: Box::new(reply) });
                }
            }
            Effect::Silent(ask) => {
                self.nodes[node].asks.remove(&ask);
            }
            Effect::Close(ask) => {
                if let Some(ask) = self.nodes[node].asks.remove(&ask) {
                    self.close_conn(node, ask.conn);
                }
            }
            Effect::DrawNumbers => {
                let life = self.nodes[node].life;
                let after = self.rng.range(200, 5_000) * 1000;
                self.agenda.add(self.now + after, Ev::Draw { node, life });
            }
            Effect::Notice(_) => self.totals.notices += 1,
        }
    }

    /// A reply reaches the writer of its connection.
    pub(super) fn write_reply(&mut self, node: usize, id: AskId, reply: Reply) {
        let Some(ask) = self.nodes[node].asks.remove(&id) else { return };
        let sale = &self.ledgers.sales[ask.msg.sale];
        let (approval, mut msg) = edge::reply(sale, &reply);
        msg.sale = ask.msg.sale;
        msg.reversal = ask.msg.reversal;
        let key = sale.key;
        let pending = PendingReply { ask: id, key, reply: msg, approval, deadline: ask.deadline };
        self.trace
            .line(self.now, || format!("node {node} writes {} to conn {}", msg.code, ask.conn));
        self.conn_reply(ask.conn, pending);
    }

    fn read(&mut self, node: usize, read: Read) {
        if let Read::Confirm { intents, .. } = read {
            let lane = &mut self.nodes[node].lanes[usize::from(!intents)];
            if lane.state == LaneState::Reconnecting {
                lane.confirms.push(read);
                return;
            }
        }
        self.send_read(node, read);
    }

    pub(super) fn send_read(&mut self, node: usize, read: Read) {
        let life = self.nodes[node].life;
        let after = self.rng.range(200, 6_000) * 1000;
        self.agenda.add(self.now + after, Ev::Read { node, life, read });
    }

    /// The store reads a row and answers.
    pub(super) fn read_row(&mut self, node: usize, life: u32, read: Read) {
        if self.nodes[node].life != life {
            return;
        }
        let after = self.rng.range(100, 3_000) * 1000;
        if self.now < self.store.stalled_until {
            self.agenda.add(self.store.stalled_until + after, Ev::Read { node, life, read });
            return;
        }
        let confirm = matches!(read, Read::Confirm { .. });
        let down = self.now < self.store.down_until;
        let fails = !self.healing && self.rng.chance(self.opts.rate(Fault::ReadFail));
        let now = self.now;
        let found = if down || (fails && !confirm) {
            Err(switch_core::ReadFailed)
        } else {
            Ok(match read {
                Read::Key(key) | Read::Confirm { key, .. } => self.store.read_key(key, now),
                Read::AnyDay(key) => self.store.read_any_day(key, now),
                Read::Id(id) => self.store.read_id(id, now),
            })
        };
        if confirm && found.is_ok() {
            self.plan(node, after, Proc::Engine(Box::new(Event::RowRead { read, found })));
        } else {
            self.tell(node, after, Event::RowRead { read, found });
        }
    }

    pub(super) fn draw_numbers(&mut self, node: usize, life: u32) {
        if self.nodes[node].life != life {
            return;
        }
        if self.now < self.store.down_until {
            self.tell(node, 5 * MS, Event::NumbersFailed);
            return;
        }
        if self.opts.has(Fault::NumberWrap) && self.now > self.store.last_draw + 90 * 1000 * MS {
            // as if a million numbers had been used in the meantime: STANs come again
            let stan = self.store.next_number % 1_000_000;
            self.store.next_number += 1_000_000 - stan.min(120);
        }
        self.store.last_draw = self.now;
        let block = self.store.draw(self.rng.clone().range(20, 60));
        self.tell(node, MS, Event::Numbers(block));
    }

    fn forward(&mut self, node: usize, forward: &Forward) {
        let id = forward.durable.id();
        self.check_forward(node, forward);
        let not_after = forward.not_after.0;
        if !self.nodes[node].asks.contains_key(&forward.ask) {
            return self.broken("M1", || format!("{} is forwarded for nobody", id.0));
        }
        match self.pick_link(node, &forward.issuer) {
            None => {
                let hop = self.hop();
                self.tell(node, hop, Event::NeverSent { id, why: Unsent::NoLink });
            }
            Some(link) => {
                let hop = self.hop();
                let carried = forward.carried.clone();
                let out = Box::new(Out::Request { id, carried, not_after });
                self.plan(node, hop, Proc::LinkSend { link, out });
            }
        }
    }

    fn reverse(&mut self, node: usize, out: ReversalOut) {
        let id = out.owed.id();
        let wanted = out
            .link
            .map(|link| link.0 as usize)
            .filter(|link| self.nodes[node].links.contains(link));
        if let Some(link) = wanted
            && self.link_is_stuck(link)
        {
            self.cover_cut(link);
            self.link_cut(link);
        }
        let wanted = wanted.filter(|link| self.links[*link].n_open);
        if let Some(link) = wanted
            && self.link_is_mute(link)
            && self.links_to(node, &out.issuer).iter().any(|other| !self.link_is_mute(*other))
        {
            self.hit(Sit::GoneRound);
            self.link_cut(link);
            let hop = self.hop();
            return self.tell(
                node,
                hop,
                Event::ReversalNeverSent { id, why: ReversalUnsent::NoLink },
            );
        }
        if self.nodes[node].other_key {
            self.hit(Sit::OtherKey);
            let hop = self.hop();
            let why = ReversalUnsent::Unwritable;
            return self.tell(node, hop, Event::ReversalNeverSent { id, why });
        }
        let Some(link) = wanted.or_else(|| self.pick_link(node, &out.issuer)) else {
            let hop = self.hop();
            self.tell(node, hop, Event::ReversalNeverSent { id, why: ReversalUnsent::NoLink });
            return;
        };
        let hop = self.hop();
        let out = Box::new(Out::Reversal { id, repeat: out.repeat, row: out.row });
        self.plan(node, hop, Proc::LinkSend { link, out });
    }

    fn links_to(&self, node: usize, issuer: &str) -> Vec<usize> {
        let of = |link: &usize| &*self.issuer_name(self.links[*link].issuer) == issuer;
        self.nodes[node].links.iter().copied().filter(of).collect()
    }

    /// One of the links that speak; of all, where none does.
    fn pick_link(&mut self, node: usize, issuer: &str) -> Option<usize> {
        let mut up = self.links_to(node, issuer);
        if up.iter().any(|link| !self.link_is_mute(*link)) {
            up.retain(|link| !self.link_is_mute(*link));
        }
        (!up.is_empty()).then(|| self.rng.pick(&up))
    }

    pub(super) fn connect(&mut self, node: usize, issuer: usize) {
        if self.nodes[node].one_issuer && issuer > 0 {
            // not configured: nobody connects
            self.plan(node, 1000 * MS, Proc::Connect { issuer });
            return;
        }
        if self.issuers[issuer].down_until > self.now {
            let after = self.issuers[issuer].down_until - self.now + 100 * MS;
            self.plan(node, after, Proc::Connect { issuer });
            return;
        }
        let link = self.open_link(node, issuer);
        self.nodes[node].links.push(link);
        let hop = self.rng.range(1, 20) * MS;
        self.plan(node, hop, Proc::LinkUp(link));
    }
}

//! The node's side of a terminal's connection: messages in, ends seen (M10).

use iso8583::Cause;
use switch_core::{AskId, Event, Key};

use super::{
    edge,
    event::{Ev, TermMsg},
    node::Ask,
    options::MS,
    state::World,
};

impl World {
    pub(super) fn frame_arrives(&mut self, node: usize, conn: usize, n: u32, msg: TermMsg) {
        let c = &mut self.conns[conn];
        if !c.up.arrives(n) || !c.n_open {
            return;
        }
        c.last_approved = None;
        self.next_ask += 1;
        let ask = AskId(self.next_ask);
        let deadline = self.now + self.opts.deadline;
        let stands = self.stands(&msg);
        self.nodes[node]
            .asks
            .insert(ask, Ask { conn, msg, deadline, stands, gone: false, handed: false });
        let waits = edge::Waits { ask, deadline, grace: self.opts.grace };
        let sale = &self.ledgers.sales[msg.sale];
        let event = if msg.reversal {
            Event::Reversal(Box::new(edge::reversal(msg.sale, sale, &waits, msg.names)))
        } else {
            let refusal = msg.other_batch.then_some(Cause::BatchDiffers).or(msg.refused);
            let routed = refusal != Some(Cause::NoRoute);
            let issuer = routed.then(|| self.issuer_name(sale.issuer));
            Event::Request(Box::new(edge::request(msg.sale, sale, &waits, issuer, refusal)))
        };
        self.cover_frame(node, msg);
        self.feed(node, event);
    }

    /// Cause of the row that stands under the identity of a request.
    fn stands(&self, msg: &TermMsg) -> Option<Cause> {
        let key = self.ledgers.sales[msg.sale].key;
        let found = if msg.reversal { None } else { self.store.read_key(key, self.now) };
        found.map(|found| found.row.cause)
    }

    /// The node sees the end of a terminal's connection (M10).
    pub(super) fn conn_ends_at_node(&mut self, node: usize, conn: usize) {
        let c = &mut self.conns[conn];
        if !std::mem::replace(&mut c.n_open, false) {
            return;
        }
        let last = c.last_approved.take();
        self.conn_flush(conn);
        let asks: Vec<(AskId, Key)> = self.nodes[node]
            .asks
            .iter_mut()
            .filter(|(_, ask)| ask.conn == conn && !ask.gone && !ask.handed)
            .map(|(id, ask)| {
                ask.gone = true;
                (*id, self.ledgers.sales[ask.msg.sale].key)
            })
            .collect();
        for (ask, key) in asks {
            self.tell(node, 1, Event::TerminalGone { ask, key });
        }
        if let Some((key, id, day)) = last {
            self.tell(node, 1, Event::DeliveryUnknown { key, id, day });
        }
    }

    /// The node closes a terminal's connection.
    pub(super) fn close_conn(&mut self, node: usize, conn: usize) {
        self.conn_ends_at_node(node, conn);
        self.agenda.add(self.now + MS, Ev::ConnClosed(conn));
    }
}

//! TCP as both sides see it: in order, late, cut, half open; and the writers that own a socket (M5, M10).

use switch_core::{AskId, Day, Event, Key, TxnId};

use super::{
    event::{Ev, Proc, ReplyMsg, TermMsg},
    state::World,
};

/// One direction of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dir {
    /// Number of the next frame.
    pub(super) next: u32,
    /// Frames that arrived.
    pub(super) delivered: u32,
    /// Frames from here on never arrive.
    pub(super) lost_from: u32,
    last_arrival: u64,
    pub(super) stalled_until: u64,
    /// Whether the sender's kernel still takes bytes during a stall.
    pub(super) takes: bool,
    /// The peer vanished: nothing arrives any more.
    pub(super) void: bool,
}

impl Dir {
    pub(super) const fn new() -> Self {
        Self {
            next: 0,
            delivered: 0,
            lost_from: u32::MAX,
            last_arrival: 0,
            stalled_until: 0,
            takes: true,
            void: false,
        }
    }

    /// The kernel takes a frame: its number, and when it arrives.
    pub(super) fn take(&mut self, now: u64, latency: u64) -> (u32, u64) {
        let n = self.next;
        self.next += 1;
        self.last_arrival = self.last_arrival.max(now.max(self.stalled_until) + latency);
        (n, self.last_arrival)
    }

    /// Whether a frame arrives after all.
    pub(super) fn arrives(&mut self, n: u32) -> bool {
        let arrives = n < self.lost_from && !self.void;
        self.delivered += u32::from(arrives);
        arrives
    }

    pub(super) const fn blocked(&self, now: u64) -> bool {
        now < self.stalled_until && !self.takes
    }

    pub(super) const fn unsent(&self) -> bool {
        self.next > self.delivered
    }
}

/// A reply that the kernel does not take yet.
#[derive(Debug)]
pub(super) struct PendingReply {
    pub(super) ask: AskId,
    pub(super) key: Key,
    pub(super) reply: ReplyMsg,
    pub(super) approval: Option<(Key, TxnId, Day)>,
    pub(super) deadline: u64,
}

/// A connection of a terminal.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) terminal: usize,
    pub(super) node: usize,
    pub(super) life: u32,
    pub(super) t_open: bool,
    pub(super) n_open: bool,
    pub(super) up: Dir,
    pub(super) down: Dir,
    pub(super) pending: Vec<PendingReply>,
    pub(super) last_approved: Option<(Key, TxnId, Day)>,
    last_hop: u64,
}

impl World {
    pub(super) fn latency(&mut self) -> u64 {
        self.rng.range(100, 2_000) * 1000
    }

    pub(super) fn open_conn(&mut self, terminal: usize, node: usize) -> usize {
        self.conns.push(Conn {
            terminal,
            node,
            life: self.nodes[node].life,
            t_open: true,
            n_open: true,
            up: Dir::new(),
            down: Dir::new(),
            pending: Vec::new(),
            last_approved: None,
            last_hop: 0,
        });
        self.conns.len() - 1
    }

    /// The terminal sends.
    pub(super) fn conn_up(&mut self, conn: usize, msg: TermMsg) {
        let latency = self.latency();
        let now = self.now;
        let c = &mut self.conns[conn];
        let (n, at) = c.up.take(now, latency);
        let (node, life) = (c.node, c.life);
        self.agenda.add(at, Ev::Proc { node, life, what: Proc::Frame { conn, n, msg } });
    }

    /// The terminal closes its end: the node sees it after what was sent before.
    pub(super) fn conn_hang_up(&mut self, conn: usize) {
        let latency = self.latency();
        let now = self.now;
        let c = &mut self.conns[conn];
        if !c.t_open {
            return;
        }
        c.t_open = false;
        let (_, at) = c.up.take(now, latency);
        if !c.up.void {
            let (node, life) = (c.node, c.life);
            self.agenda.add(at, Ev::Proc { node, life, what: Proc::ConnEnd(conn) });
        }
    }

    /// The connection breaks for both, and loses a tail of what was under way.
    pub(super) fn conn_reset(&mut self, conn: usize) {
        let c = &self.conns[conn];
        let (node, life, t_open, n_open) = (c.node, c.life, c.t_open, c.n_open);
        let up = self.rng.range(u64::from(c.up.delivered), u64::from(c.up.next)) as u32;
        let down = self.rng.range(u64::from(c.down.delivered), u64::from(c.down.next)) as u32;
        let c = &mut self.conns[conn];
        c.up.lost_from = c.up.lost_from.min(up);
        c.down.lost_from = c.down.lost_from.min(down);
        let (a, b) = (self.latency(), self.latency());
        if t_open {
            self.agenda.add(self.now + a, Ev::ConnClosed(conn));
        }
        if n_open {
            self.agenda.add(self.now + b, Ev::Proc { node, life, what: Proc::ConnEnd(conn) });
        }
    }

    /// The node's writer has a reply: the kernel takes it, or it waits, or it is dropped (M10).
    pub(super) fn conn_reply(&mut self, conn: usize, pending: PendingReply) {
        let now = self.now;
        let c = &self.conns[conn];
        if !c.n_open || now > pending.deadline {
            self.reply_dropped(conn, &pending);
        } else if c.down.blocked(now) || !c.pending.is_empty() {
            let node = c.node;
            let after = pending.deadline - now + 1;
            self.conns[conn].pending.push(pending);
            self.plan(node, after, Proc::ReplyDeadline(conn));
        } else {
            let latency = self.latency();
            let c = &mut self.conns[conn];
            let (n, at) = c.down.take(now, latency);
            let node = c.node;
            if let Some(approval) = pending.approval {
                c.last_approved = Some(approval);
                self.check_approval_written(node, approval.1);
                let hop = self.conn_hop(conn);
                self.tell(node, hop, Event::ReplyWritten { ask: pending.ask, key: pending.key });
            }
            self.agenda.add(at, Ev::Reply { conn, n, reply: pending.reply });
        }
    }

    fn reply_dropped(&mut self, conn: usize, pending: &PendingReply) {
        if pending.approval.is_some() {
            let hop = self.conn_hop(conn);
            let node = self.conns[conn].node;
            self.totals.undelivered += 1;
            self.tell(node, hop, Event::ReplyDropped { ask: pending.ask, key: pending.key });
        }
    }

    /// Hops of one connection stay in order.
    pub(super) fn conn_hop(&mut self, conn: usize) -> u64 {
        let hop = self.hop();
        let c = &mut self.conns[conn];
        c.last_hop = c.last_hop.max(self.now + hop);
        c.last_hop - self.now
    }

    pub(super) fn conn_unstall(&mut self, conn: usize) {
        let (node, life) = (self.conns[conn].node, self.conns[conn].life);
        self.agenda.add(self.now, Ev::Proc { node, life, what: Proc::ReplyDeadline(conn) });
    }

    /// Looks again at what waits for the kernel of a terminal's connection.
    pub(super) fn conn_flush(&mut self, conn: usize) {
        let pending = std::mem::take(&mut self.conns[conn].pending);
        let (now, c) = (self.now, &self.conns[conn]);
        let blocked = c.n_open && c.down.blocked(now);
        for reply in pending {
            if blocked && now <= reply.deadline {
                self.conns[conn].pending.push(reply);
            } else {
                self.conn_reply(conn, reply);
            }
        }
    }
}

//! Open requests by terminal, as a settlement asks for them.

use std::time::Duration;

use iso8583::Kind;
use switch_core::{Key, TerminalKey};

use crate::rig::{Rig, key};

/// The rig compares the counts with a walk over everything in memory after every event of every story.
#[test]
fn open_requests_are_counted_by_terminal() {
    let mut rig = Rig::new();
    let (own, other) = (key().terminal(), TerminalKey([2; 8]));
    assert!(!rig.engine.is_open(own));
    rig.buy(1);
    assert!(rig.engine.is_open(own) && !rig.engine.is_open(other));
    rig.focus = Key::new(own, 1, 43, Kind::Purchase);
    rig.buy(2);
    rig.written();
    rig.answered("00");
    assert!(rig.engine.is_open(own), "the first is still open");
    rig.focus = key();
    rig.reverse(3, 100);
    assert!(!rig.engine.is_open(own), "whose reversal was asked for does not count");
    rig.focus = Key::new(other, 1, 42, Kind::Purchase);
    rig.buy(4);
    assert!(rig.engine.is_open(other) && !rig.engine.is_open(own));
    rig.written();
    rig.pass(Duration::from_secs(15));
    assert!(!rig.engine.is_open(other), "silence is an outcome");
}

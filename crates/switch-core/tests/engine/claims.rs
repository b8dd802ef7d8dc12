//! Voids, refunds, completions and advices (M11, M12): one story a rule, and one row a refusal.

use iso8583::Kind;
use switch_core::{ClaimStatus, Event, Key, Named, Takes, TerminalKey};

use crate::rig::{LINK, Rig, key};

/// The identity of another request of the same terminal.
fn of(kind: Kind, stan: u32) -> Key {
    Key::new(TerminalKey([1; 8]), 1, stan, kind)
}

const SALE: Named = Named::Trace { batch: 1, stan: 42 };

/// A sale that was approved, taken by its terminal, and is no longer in memory.
fn sold() -> Rig {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.answered("00");
    rig.taken(1);
    rig.look();
    rig
}

/// Asks for the void of the sale, under this STAN.
fn void(rig: &mut Rig, ask: u64, stan: u32) {
    rig.focus = of(Kind::Void, stan);
    rig.ask_about(ask, 100, SALE, &[Kind::Purchase], Takes::Equal, None);
}

/// Asks for the refund of so much of the sale, under this STAN.
fn refund(rig: &mut Rig, ask: u64, stan: u32, amount: i64) {
    rig.focus = of(Kind::Refund, stan);
    rig.ask_about(ask, amount, SALE, &[Kind::Purchase], Takes::Part, Some(30));
}

/// What of the sale is claimed for certain, and whether a claim on it is open.
fn claimed(rig: &Rig) -> (i64, bool) {
    let sale = &rig.rows.get(&key()).expect("the sale").row;
    (sale.claimed, sale.claiming.is_some())
}

/// What became of the claim of the transaction under test.
fn claim(rig: &Rig) -> Option<ClaimStatus> {
    rig.rows.get(&rig.focus).and_then(|found| found.claim).map(|claim| claim.status)
}

#[test]
fn m11_a_void_that_is_reversed_from_memory_puts_its_original_back() {
    let mut rig = sold();
    void(&mut rig, 2, 43);
    rig.written();
    rig.answered("00");
    rig.taken(2);
    assert_eq!(
        rig.look(),
        "find original, claim 100, forward to issuer, change to approved, claim stands, approve 2 (00)"
    );
    assert_eq!(rig.state(), "(approved)", "no longer in memory");
    rig.reverse(3, 100);
    assert_eq!(rig.look(), "change to undone, Owed, done 3, reverse");
    assert_eq!(claimed(&rig), (100, false), "until its reversal is certain");
    rig.reversal_written();
    rig.reversal_answered("00");
    assert_eq!(rig.look(), "change to undone, Confirmed, claim released");
    assert_eq!(claimed(&rig), (0, false));
    void(&mut rig, 4, 44);
    assert_eq!(rig.look(), "find original, claim 100, forward to issuer");
}

#[test]
fn m11_an_original_that_moved_is_judged_again_and_named_once() {
    let mut rig = sold();
    rig.hold = true;
    refund(&mut rig, 2, 43, 60);
    let (record, what) = rig.held.pop().expect("held");
    // meanwhile the sale was given again to its terminal
    rig.hold = false;
    rig.rows.get_mut(&key()).expect("the sale").row.version += 1;
    let result = rig.apply(what);
    rig.look();
    rig.tell(Event::Persisted { record, result });
    assert_eq!(rig.look(), "find original, claim 60, forward to issuer");
    let row = &rig.rows.get(&rig.focus).expect("the refund").row;
    assert_eq!(&row.carried[..], b"E", "what names the original, once");
    rig.tell(Event::Written { id: row.id, link: LINK });
    assert_eq!(claim(&rig), Some(ClaimStatus::Open));
}

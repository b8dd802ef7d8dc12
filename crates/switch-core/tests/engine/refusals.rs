//! Refusals of the edge, one story a rule: none contradicts what stands under an identity (M2).

use std::time::Duration;

use iso8583::{Cause, Kind};
use switch_core::{
    Digest, Event, Key, Named, ReadFailed, Request, RowState, Takes, TerminalKey, Translated, TxnId,
};

use crate::rig::{Rig, key};

/// Refusals that are given only where nothing stands.
const LOOKED_FOR: [Cause; 4] =
    [Cause::Format, Cause::UnknownMerchant, Cause::UnknownTerminal, Cause::BatchDiffers];

fn refused(rig: &mut Rig, ask: u64, cause: Cause) {
    let request = Request { refusal: Some(cause), ..rig.request(ask) };
    rig.tell(Event::Request(Box::new(request)));
}

/// The process ends and another begins, with links and numbers.
fn restarted(rig: Rig) -> Rig {
    let next = rig.rows.values().map(|found| found.row.id.0).max().unwrap_or(0) + 1;
    let mut heir = Rig::numbered(next);
    (heir.rows, heir.now) = (rig.rows, rig.now);
    heir
}

#[test]
fn m2_no_route_is_a_row_before_it_is_answered() {
    let mut rig = Rig::new();
    rig.hold = true;
    refused(&mut rig, 1, Cause::NoRoute);
    assert_eq!(rig.look(), "insert never sent");
    rig.release();
    assert_eq!(rig.look(), "refuse 1 (no-route)");
    // the route is added, and another node is asked: the copy gets the same
    let mut rig = restarted(rig);
    rig.buy(2);
    assert_eq!(rig.look(), "insert in flight, refuse 2 (no-route)");
    rig.reverse(3, 100);
    assert_eq!(rig.look(), "done 3", "nothing is owed");
    rig.focus = Key::new(key().terminal(), 1, 43, Kind::Purchase);
    rig.buy(4);
    assert_eq!(rig.look(), "insert in flight, forward to issuer", "a new number is a new request");
}

#[test]
fn m2_no_route_never_contradicts_what_stands() {
    let mut rig = restarted(Rig::approved());
    refused(&mut rig, 2, Cause::NoRoute);
    assert_eq!(rig.look(), "insert never sent, change to approved, approve 2 (00)");
    rig.reverse(3, 100);
    assert_eq!(rig.look(), "change to undone, Owed, done 3, reverse");
    let mut rig = restarted(rig);
    refused(&mut rig, 4, Cause::NoRoute);
    assert_eq!(
        rig.look(),
        "insert never sent, refuse 4 (no-answer), progress, reverse, repeated",
        "98, and what an earlier life owed goes on"
    );
}

#[test]
fn m2_what_stands_goes_before_a_refusal() {
    for cause in LOOKED_FOR {
        let mut rig = restarted(Rig::approved());
        refused(&mut rig, 2, cause);
        assert_eq!(rig.look(), "read, change to approved, approve 2 (00)", "{}", cause.name());
        let other = Request {
            refusal: Some(cause),
            digest: Digest([1; 16]),
            ..restarted(Rig::approved()).request(3)
        };
        let mut rig = restarted(Rig::approved());
        rig.tell(Event::Request(Box::new(other)));
        assert_eq!(rig.look(), "read, refuse 3 (duplicate), note OtherContent");
    }
}

#[test]
fn m2_a_refusal_that_nothing_contradicts_leaves_no_row() {
    for cause in LOOKED_FOR {
        let mut rig = Rig::new();
        refused(&mut rig, 1, cause);
        assert_eq!(rig.look(), format!("read, refuse 1 ({})", cause.name()));
        assert!(rig.rows.is_empty() && rig.engine.gauges().transactions == 0);
        assert!(!rig.engine.is_open(key().terminal()));
        rig.buy(2);
        assert_eq!(rig.look(), "insert in flight, forward to issuer");
    }
}

#[test]
fn m2_a_declined_row_answers_a_refused_copy() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.answered("51");
    let mut rig = restarted(rig);
    refused(&mut rig, 2, Cause::UnknownMerchant);
    assert_eq!(rig.look(), "read, refuse 2 (issuer)");
}

#[test]
fn m2_a_sound_copy_beside_a_refused_one_is_the_request() {
    let mut rig = Rig::new();
    rig.hold = true;
    refused(&mut rig, 1, Cause::Format);
    rig.buy(2);
    rig.buy(3);
    assert_eq!(rig.look(), "read");
    rig.hold = false;
    for read in std::mem::take(&mut rig.reads) {
        rig.answer_read(read);
    }
    rig.pass(Duration::ZERO);
    assert_eq!(rig.look(), "refuse 1 (format), insert in flight, forward to issuer");
    rig.written();
    rig.answered("00");
    assert_eq!(rig.look(), "change to approved, approve 2 (00), approve 3 (00)");
}

#[test]
fn m2_a_copy_without_a_route_beside_a_refused_one_leaves_its_row() {
    let mut rig = Rig::new();
    rig.hold = true;
    refused(&mut rig, 1, Cause::Format);
    refused(&mut rig, 2, Cause::NoRoute);
    rig.buy(3);
    rig.buy(4);
    rig.gone(4);
    rig.hold = false;
    for read in std::mem::take(&mut rig.reads) {
        rig.answer_read(read);
    }
    rig.pass(Duration::ZERO);
    let told =
        "read, refuse 1 (format), insert never sent, refuse 2 (no-route), refuse 3 (no-route)";
    assert_eq!(rig.look(), told);
}

#[test]
fn m8_a_reversal_beside_a_refused_copy_leaves_its_row() {
    let mut rig = Rig::new();
    rig.hold = true;
    let malformed = Request { refusal: Some(Cause::Format), amount: 0, ..rig.request(1) };
    rig.tell(Event::Request(Box::new(malformed)));
    rig.reverse(2, 100);
    rig.hold = false;
    for _ in 0..2 {
        for read in std::mem::take(&mut rig.reads) {
            rig.answer_read(read);
        }
        rig.pass(Duration::ZERO);
    }
    let done = "read × 2, insert reversed before arrival, done 2, refuse 1 (after-reversal)";
    assert_eq!(rig.look(), done);
    assert_eq!(rig.rows[&key()].row.amount, 100, "that of the reversal");
}

#[test]
fn m15_a_refused_request_that_cannot_be_looked_for_is_shed_and_leaves_no_row() {
    let mut rig = Rig::approved();
    rig = restarted(rig);
    rig.tell(Event::StoreDown);
    refused(&mut rig, 2, Cause::Format);
    let stranger = Key::new(TerminalKey([8; 8]), 1, 42, Kind::Purchase);
    rig.focus = stranger;
    refused(&mut rig, 3, Cause::UnknownMerchant);
    assert_eq!(rig.look(), "refuse 2 (system-down), refuse 3 (system-down)");
    rig.tell(Event::StoreUp);
    rig.pass(Duration::from_secs(1));
    // its terminal was told 96 of an approval: a person must look; of the other nothing stands, and nothing will
    assert_eq!(rig.look(), "read × 2, case");
    assert!(!rig.rows.contains_key(&stranger));
    rig.pass(Duration::from_secs(5));
    assert_eq!(rig.look(), "");
}

#[test]
fn m15_a_look_that_fails_is_tried_again() {
    let mut rig = restarted(Rig::approved());
    rig.hold = true;
    refused(&mut rig, 2, Cause::UnknownTerminal);
    rig.hold = false;
    for read in std::mem::take(&mut rig.reads) {
        rig.tell(Event::RowRead { read, found: Err(ReadFailed) });
    }
    assert_eq!(rig.look(), "read", "no answer is a guess");
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.look(), "read, change to approved, approve 2 (00)");
}

/// A purchase of 100 was approved; the focus is a void of it.
fn void(change: impl FnOnce(&mut Rig)) -> Rig {
    let mut rig = Rig::approved();
    rig.focus = Key::new(key().terminal(), 1, 43, Kind::Void);
    change(&mut rig);
    rig
}

fn ask_void(rig: &mut Rig, ask: u64, change: impl FnOnce(&mut switch_core::ClaimAsk)) {
    let named = Named::Trace { batch: 1, stan: 42 };
    let mut request = rig.about(ask, 100, named, &[Kind::Purchase], Takes::Equal);
    if let Some(about) = &mut request.original {
        change(about);
    }
    rig.tell(Event::Request(Box::new(request)));
}

#[test]
fn m11_all_that_names_an_original_must_agree() {
    let original = Rig::approved().id();
    let other = TxnId(original.0 + 1);
    let refusal =
        "find original, insert never sent, note OriginalRefused, refuse 2 (original-not-found)";
    let taken = "find original, claim 100, forward to issuer";
    for (rrn, trace, expected) in [
        (None, None, taken),
        (Some(original), Some((1, 42)), taken),
        (Some(other), None, refusal),
        (Some(TxnId(0)), None, refusal),
        (None, Some((1, 41)), refusal),
        (None, Some((2, 42)), refusal),
    ] {
        let mut rig = void(|_| {});
        ask_void(&mut rig, 2, |about| (about.rrn, about.trace) = (rrn, trace));
        assert_eq!(rig.look(), expected, "{rrn:?} {trace:?}");
    }
    let mut rig = void(|rig| rig.also_named = Some(other));
    ask_void(&mut rig, 2, |_| {});
    assert_eq!(rig.look(), refusal);
}

#[test]
fn m5_what_the_host_of_its_original_cannot_have_is_a_committed_format_error() {
    let mut rig = void(|rig| rig.translated = Translated::Inexpressible);
    ask_void(&mut rig, 2, |_| {});
    let first = "find original, insert never sent, note OriginalRefused, refuse 2 (format)";
    assert_eq!(rig.look(), first);
    rig.translated = Translated::NoIssuer;
    ask_void(&mut rig, 3, |_| {});
    assert_eq!(rig.look(), "refuse 3 (format)", "the same again");
    let mut rig = void(|rig| rig.translated = Translated::NoIssuer);
    ask_void(&mut rig, 2, |_| {});
    let gone = "find original, insert never sent, note OriginalRefused, refuse 2 (issuer-down)";
    assert_eq!(rig.look(), gone);
    assert_eq!(rig.rows[&rig.focus].row.state, RowState::NeverSent);
    assert!(rig.rows[&key()].row.claiming.is_none());
}

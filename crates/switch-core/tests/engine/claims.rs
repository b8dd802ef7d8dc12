//! Voids, refunds, completions and advices (M11, M12): one story a rule, and one row a refusal.

use std::time::Duration;

use iso8583::Kind;
use switch_core::{ClaimStatus, Event, Key, Named, Persisted, RowState, Takes, TerminalKey};

use crate::rig::{LINK, Rig, key};

/// The identity of another request of the same terminal.
fn of(kind: Kind, stan: u32) -> Key {
    Key::new(TerminalKey([1; 8]), 1, stan, kind)
}

const SALE: Named = Named::Trace { batch: 1, stan: 42 };

/// Asks for the void of the sale, under this STAN.
fn void(rig: &mut Rig, ask: u64, stan: u32) {
    rig.focus = of(Kind::Void, stan);
    rig.ask_about(ask, 100, SALE, &[Kind::Purchase], Takes::Equal);
}

/// Asks for the refund of so much of the sale, under this STAN.
fn refund(rig: &mut Rig, ask: u64, stan: u32, amount: i64) {
    rig.focus = of(Kind::Refund, stan);
    rig.ask_about(ask, amount, SALE, &[Kind::Purchase], Takes::Part);
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
    let mut rig = Rig::approved();
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
    assert_eq!(rig.look(), "change to undone, Confirmed, claim released, read");
    assert_eq!(claimed(&rig), (0, false));
    void(&mut rig, 4, 44);
    assert_eq!(rig.look(), "find original, claim 100, forward to issuer");
}

/// A sale that was voided, both approved.
fn voided() -> Rig {
    let mut rig = Rig::approved();
    void(&mut rig, 2, 43);
    rig.written();
    rig.answered("00");
    rig.taken(2);
    rig.look();
    rig
}

#[test]
fn m8_a_reversal_is_promised_while_a_claim_is_given_back() {
    let mut rig = voided();
    rig.reverse(3, 100);
    rig.look();
    rig.focus = key();
    rig.reverse(4, 100);
    rig.pass(Duration::from_millis(250));
    assert_eq!(
        rig.look(),
        "change to undone, Owed, change to approved, Cleared, done 4",
        "it moved; what will be owed is durable"
    );
    void(&mut rig, 5, 44);
    assert!(rig.look().ends_with("refuse 5 (original-undone)"), "it is as good as reversed");
    rig.focus = of(Kind::Void, 43);
    rig.reversal_written();
    rig.reversal_answered("00");
    assert!(rig.look().ends_with("claim released, read, change to undone, Owed, reverse"));
}

#[test]
fn m8_a_reversal_of_a_voided_sale_is_owed_once_the_void_is_reversed() {
    let mut rig = voided();
    rig.focus = key();
    rig.reverse(3, 100);
    rig.pass(Duration::from_millis(250));
    assert!(rig.look().ends_with("change to approved, Cleared, done 3"), "nothing is owed");
    rig.buy(4);
    assert_eq!(rig.look(), "insert in flight, refuse 4 (no-answer)", "98 to its copies");
    void(&mut rig, 5, 44);
    assert!(rig.look().ends_with("refuse 5 (original-undone)"));
    rig.focus = of(Kind::Void, 43);
    rig.reverse(6, 100);
    rig.reversal_written();
    rig.reversal_answered("00");
    assert!(rig.look().ends_with("claim released, read, change to undone, Owed, reverse"));
    rig.focus = key();
    assert_eq!((rig.state().as_str(), rig.owed().as_str()), ("Undone", "Owed"));
}

#[test]
fn m10_an_undelivered_approval_is_not_given_again_once_its_batch_is_closed() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.answered("00");
    rig.dropped(1);
    assert!(rig.look().ends_with("change to approved, Marked"));
    let mut copy = rig.request(2);
    copy.refusal = Some(iso8583::Cause::BatchDiffers);
    rig.tell(Event::Request(Box::new(copy)));
    assert_eq!(rig.look(), "change to undone, Owed, refuse 2 (no-answer), reverse");
}

#[test]
fn m13_a_part_of_what_is_given_back_is_no_answer() {
    let mut rig = Rig::approved();
    rig.focus = of(Kind::Void, 43);
    let mut request = rig.about(2, 100, SALE, &[Kind::Purchase], Takes::Equal);
    request.takes_partial = true;
    rig.tell(Event::Request(Box::new(request)));
    rig.written();
    rig.look();
    let mut part = rig.answer("10");
    (part.class, part.amount) = (switch_core::Class::Partial, Some(50));
    rig.tell(Event::Answer(Box::new(part)));
    assert!(rig.look().starts_with("change to undone, Owed"), "it contradicts the request");
    assert_eq!(claim(&rig), Some(ClaimStatus::Open));
}

#[test]
fn m11_an_original_that_moved_is_judged_again_and_named_once() {
    let mut rig = Rig::approved();
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

#[test]
fn m8_the_reversal_of_a_refused_claim_changes_nothing_and_is_done() {
    let mut rig = Rig::approved();
    rig.focus = of(Kind::Void, 43);
    let unknown = Named::Trace { batch: 1, stan: 7 };
    rig.ask_about(2, 100, unknown, &[Kind::Purchase], Takes::Equal);
    assert_eq!(
        rig.look(),
        "find original, insert never sent, note OriginalRefused, refuse 2 (original-not-found)"
    );
    rig.reverse(3, 100);
    assert_eq!(rig.look(), "done 3");
}

/// An advice that was told 00 and whose one copy was not answered, at an issuer that takes no repeats.
fn one_copy() -> Rig {
    let mut rig = Rig::new();
    rig.take_no_repeats(&[]);
    rig.focus = of(Kind::OfflineSale, 43);
    rig.buy(2);
    rig.written();
    rig.look();
    rig
}

#[test]
fn m12_an_issuer_that_takes_no_repeats_gets_one_copy_and_then_it_is_a_case() {
    let mut rig = one_copy();
    rig.pass(Duration::from_secs(15));
    assert_eq!(
        rig.look(),
        "change to accepted, Owed, approve 2 (00), change to accepted, progress"
    );
    rig.pass(Duration::from_secs(3_600));
    assert_eq!(rig.look(), "progress × 12", "looked at, and no second copy, ever");
    rig.answered("00");
    assert_eq!(rig.look(), "change to approved, Confirmed", "its answer counts, however late");
}

/// An advice whose every attempt was silence, so that it has its case.
fn parked() -> Rig {
    let mut rig = Rig::new();
    rig.focus = of(Kind::OfflineSale, 43);
    rig.buy(2);
    rig.written();
    rig.pass(Duration::from_secs(15));
    rig.taken(2);
    loop {
        rig.reversal_written();
        rig.look();
        rig.pass(Duration::from_secs(15));
        if rig.look() == "change to accepted, progress" {
            return rig;
        }
        rig.pass(Duration::from_secs(400));
    }
}

/// A person says that its issuer does not have it: `interlock resolve --as refused`.
fn refused_by_a_person(rig: &mut Rig) {
    let found = rig.rows.get_mut(&rig.focus).expect("the advice");
    found.row.version += 1;
    found.row.state = RowState::Disputed;
    let known = found.obligation.as_mut().expect("its delivery");
    known.status = switch_core::ObligationStatus::Confirmed;
}

#[test]
fn m12_an_advice_that_a_person_called_refused_is_not_sent_again() {
    let mut rig = parked();
    refused_by_a_person(&mut rig);
    rig.pass(Duration::from_secs(4_000));
    assert_eq!(rig.look(), "progress", "looked at, and no longer owed");
    assert_eq!(rig.state(), "(disputed)");
}

#[test]
fn m9_an_advice_that_is_taken_after_a_person_called_it_refused_is_a_case() {
    let mut rig = parked();
    rig.pass(Duration::from_secs(300));
    assert_eq!(rig.look(), "progress, reverse, repeated");
    rig.reversal_written();
    refused_by_a_person(&mut rig);
    rig.answered("00");
    assert_eq!(rig.look(), "change to approved, Confirmed, note LateApproval, case");
}

#[test]
fn m12_an_issuer_that_cannot_now_is_told_again_if_it_takes_repeats() {
    for (code, repeats, told) in [
        ("91", true, "change to accepted, Owed, approve 2 (00), reverse, repeated"),
        ("96", false, "change to declined, refuse 2 (issuer)"),
        ("51", true, "change to declined, refuse 2 (issuer)"),
    ] {
        let mut rig = if repeats { Rig::new() } else { one_copy() };
        rig.focus = of(Kind::OfflineSale, 43);
        if repeats {
            rig.buy(2);
            rig.written();
            rig.look();
        }
        rig.answered(code);
        assert_eq!(rig.look(), told, "{code}");
    }
}

#[test]
fn m4_a_case_that_lost_a_race_is_opened_all_the_same() {
    let mut rig = one_copy();
    rig.hold = true;
    rig.pass(Duration::from_secs(15));
    rig.release();
    rig.look();
    // the case is under way, and the row is given again elsewhere
    let mut rig = one_copy();
    rig.pass(Duration::from_millis(14_999));
    rig.hold = true;
    rig.pass(Duration::from_millis(1));
    let (record, what) = rig.held.pop().expect("the outcome");
    let result = rig.apply(what);
    rig.tell(Event::Persisted { record, result });
    let (record, _) = rig.held.pop().expect("the case");
    let found = rig.rows.get_mut(&rig.focus).expect("row");
    found.row.version += 1;
    let result = Persisted::Lost(Some(Box::new(found.clone())));
    rig.hold = false;
    rig.look();
    rig.tell(Event::Persisted { record, result });
    assert_eq!(rig.look(), "change to accepted, progress", "the case again, then its place");
}

#[test]
fn m12_an_advice_whose_issuer_comes_back_and_takes_no_repeats_is_a_case() {
    let mut rig = one_copy();
    rig.take_no_repeats(&["another"]);
    let mut heir = rig.restart();
    heir.take_no_repeats(&["another"]);
    assert_eq!(
        heir.look(),
        "change to accepted, Owed, change to accepted",
        "the issuer is gone: a case"
    );
    heir.take_no_repeats(&[]);
    heir.pass(Duration::ZERO);
    assert_eq!(
        heir.look(),
        "progress, change to accepted, progress",
        "still owed, and it may have had its copy: a case"
    );
}

#[test]
fn m11_totals_never_raise_each_other_beyond_what_was_approved() {
    let mut rig = Rig::approved();
    let tip = |rig: &mut Rig, stan: u32, total: i64| {
        rig.focus = of(Kind::Tip, stan);
        rig.ask_about(2, total, SALE, &[Kind::Purchase], Takes::Total { percent: 120 });
        rig.look()
    };
    assert_eq!(tip(&mut rig, 43, 120), "find original, claim -20, forward to issuer");
    rig.written();
    rig.answered("00");
    assert_eq!(claimed(&rig), (-20, false), "120 are left");
    rig.look();
    let refused = "find original, insert never sent, note OriginalRefused, refuse 2 (over-limit)";
    assert_eq!(tip(&mut rig, 44, 121), refused, "of 100, not of 120");
    assert_eq!(tip(&mut rig, 45, 110), "find original, claim 10, forward to issuer");
}

#[test]
fn m7_who_asked_first_under_a_taken_identity_is_refused_even_after_a_failure() {
    let mut rig = Rig::approved();
    void(&mut rig, 2, 43);
    rig.written();
    rig.answered("00");
    // another life, another content under the identity, its reversal, and a store that fails
    let mut heir = rig.restart();
    heir.number_from(50_000);
    heir.hold_originals = true;
    heir.focus = of(Kind::Void, 43);
    let mut request = heir.about(3, 60, SALE, &[Kind::Purchase], Takes::Equal);
    request.digest = switch_core::Digest([7; 16]);
    heir.tell(Event::Request(Box::new(request)));
    heir.reverse(4, 60);
    heir.hold = true;
    heir.find_originals();
    assert_eq!(heir.look(), "find original, insert reversed before arrival");
    heir.end_held(&Persisted::Failed);
    heir.pass(Duration::from_millis(250));
    assert_eq!(
        heir.look(),
        "read, refuse 4 (amount-differs), refuse 3 (duplicate), note OtherContent"
    );
}

#[test]
fn m8_a_reversal_beside_a_request_of_a_closed_batch_comes_first() {
    let mut rig = Rig::new();
    rig.hold = true;
    let request =
        switch_core::Request { refusal: Some(iso8583::Cause::BatchDiffers), ..rig.request(1) };
    rig.tell(Event::Request(Box::new(request)));
    rig.reverse(2, 100);
    rig.hold = false;
    for read in std::mem::take(&mut rig.reads) {
        rig.answer_read(read);
    }
    rig.pass(Duration::ZERO);
    assert_eq!(
        rig.look(),
        "read × 2, insert reversed before arrival, done 2, refuse 1 (after-reversal)"
    );
    assert_eq!(rig.state(), "(reversed before arrival)", "nothing of it stays in memory");
}

#[test]
fn m4_a_25_to_what_an_earlier_life_wrote_is_not_final() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.pass(Duration::from_secs(15));
    rig.reversal_written();
    let mut heir = rig.restart();
    heir.limit_store_lag(20_000);
    heir.number_from(50_000);
    heir.pass(Duration::from_secs(121));
    heir.tell(Event::LinkUp { issuer: crate::rig::ISSUER.into(), link: LINK });
    heir.look();
    // both lives' attempts are out
    heir.reversal_written();
    heir.reversal_answered("25");
    assert_eq!(
        heir.look(),
        "progress",
        "it may be the first life's, which may have overtaken its original"
    );
    heir.pass(Duration::from_secs(31));
    heir.reversal_written();
    heir.reversal_answered("25");
    assert_eq!(heir.look(), "reverse, repeated, change to timed out, Confirmed");
}

#[test]
fn m12_an_answer_to_a_reversal_says_nothing_of_an_advice() {
    let mut rig = Rig::new();
    rig.focus = of(Kind::OfflineSale, 43);
    rig.buy(2);
    rig.written();
    rig.pass(Duration::from_secs(15));
    rig.reversal_written();
    rig.look();
    rig.reversal_answered("00");
    assert_eq!(rig.look(), "", "nobody reversed it");
}

#[test]
fn m9_an_advice_that_is_taken_while_its_refusal_is_written_is_a_case_of_its_own() {
    let mut rig = Rig::new();
    rig.focus = of(Kind::OfflineSale, 43);
    rig.buy(2);
    rig.written();
    rig.pass(Duration::from_secs(15));
    rig.reversal_written();
    rig.hold = true;
    rig.answered("51");
    rig.answered("00");
    rig.look();
    rig.release();
    rig.pass(Duration::ZERO);
    assert_eq!(rig.look(), "note LateApproval, case");
}

#[test]
fn m12_no_copy_goes_beside_a_first_that_a_link_still_holds() {
    let mut rig = Rig::new();
    rig.focus = of(Kind::OfflineSale, 43);
    rig.buy(2);
    rig.look();
    rig.tell(Event::Drain);
    assert_eq!(
        rig.look(),
        "change to accepted, Owed, approve 2 (00)",
        "handed to a link, not written"
    );
}

#[test]
fn m12_an_advice_that_was_taken_is_not_refused_after_all() {
    let mut rig = Rig::new();
    rig.focus = of(Kind::OfflineSale, 43);
    rig.buy(2);
    rig.written();
    rig.hold = true;
    rig.pass(Duration::from_secs(15));
    rig.answered("00");
    rig.answered("51");
    rig.look();
    rig.release();
    rig.pass(Duration::ZERO);
    assert_eq!(rig.look(), "approve 2 (00), change to approved, Confirmed");
}

type Wrong = fn(&mut Rig, &mut switch_core::Request);

/// What is wrong with a void of 100, and how it is refused (C6).
const WRONG: &[(&str, Wrong, &str)] = &[
    ("nothing", |_, _| {}, "claim 100, forward to issuer"),
    ("another amount", |_, request| request.amount = 99, "amount-differs"),
    ("another currency", |_, request| request.currency = *b"840", "amount-differs"),
    ("another card", |_, request| request.card.hash = [5; 16], "other-card"),
    ("another merchant", |_, request| request.merchant = b"N"[..].into(), "original-not-found"),
    ("another domain", |rig, _| rig.other_domain = true, "original-not-found"),
    (
        "a total of what was refunded in part",
        |rig, request| {
            rig.refunded = true;
            request.original.as_mut().expect("ask").takes = Takes::Total { percent: 120 };
        },
        "original-undone",
    ),
    (
        "what was taken is being given back",
        |rig, _| rig.rows.get_mut(&key()).expect("the sale").claim_undone = true,
        "claim-open",
    ),
    ("settled", |rig, _| rig.settled = true, "original-not-found"),
    (
        "too old",
        |rig, request| {
            rig.days_old = 31;
            request.original.as_mut().expect("ask").days = Some(30);
        },
        "original-undone",
    ),
    (
        "another code",
        |_, request| {
            request.original.as_mut().expect("ask").authorisation = Some(*b"999999");
        },
        "original-not-found",
    ),
    (
        "another date",
        |_, request| {
            request.original.as_mut().expect("ask").date = Some(101);
        },
        "original-not-found",
    ),
    (
        "no such",
        |_, request| {
            request.original.as_mut().expect("ask").named = Named::Number(switch_core::TxnId(7));
        },
        "original-not-found",
    ),
    (
        "another kind",
        |_, request| {
            request.original.as_mut().expect("ask").kinds = [Kind::Instalment].into();
            request.original.as_mut().expect("ask").named = Named::Number(switch_core::TxnId(1));
        },
        "not-supported",
    ),
    (
        "another claim is open",
        |rig, _| {
            sale(rig).claiming = Some(switch_core::TxnId(900));
        },
        "claim-open",
    ),
    ("all is taken", |rig, _| sale(rig).claimed = 100, "original-undone"),
    (
        "more than is left",
        |rig, request| {
            sale(rig).claimed = 50;
            request.original.as_mut().expect("ask").takes = Takes::Part;
        },
        "over-limit",
    ),
    ("declined", |rig, _| sale(rig).state = RowState::Declined, "original-not-approved"),
    ("never sent", |rig, _| sale(rig).state = RowState::NeverSent, "original-not-approved"),
    ("in flight", |rig, _| sale(rig).state = RowState::InFlight, "original-not-approved"),
    ("disputed", |rig, _| sale(rig).state = RowState::Disputed, "original-not-approved"),
    ("timed out", |rig, _| sale(rig).state = RowState::TimedOut, "original-undone"),
    ("undone", |rig, _| sale(rig).state = RowState::Undone, "original-undone"),
    ("accepted", |rig, _| sale(rig).state = RowState::Accepted, "claim-open"),
];

#[test]
fn m11_each_wrong_request_has_its_code() {
    for (name, wrong, expected) in WRONG {
        let mut rig = Rig::approved();
        rig.focus = of(Kind::Void, 43);
        let mut request = rig.about(2, 100, SALE, &[Kind::Purchase], Takes::Equal);
        wrong(&mut rig, &mut request);
        rig.tell(Event::Request(Box::new(request)));
        let done = rig.look();
        let refused = format!(
            "find original, insert never sent, note OriginalRefused, refuse 2 ({expected})"
        );
        let meant = done == refused || done == format!("find original, {expected}");
        assert!(meant, "{name}: {done}");
    }
}

fn sale(rig: &mut Rig) -> &mut switch_core::Row {
    &mut rig.rows.get_mut(&key()).expect("the sale").row
}

#[test]
fn m12_an_advice_that_was_taken_before_it_was_shed_is_told_so() {
    let mut first = Rig::new();
    first.focus = of(Kind::OfflineSale, 43);
    first.buy(1);
    first.written();
    first.answered("00");
    let mut rig = Rig::new();
    rig.focus = first.focus;
    rig.rows = first.rows;
    rig.tell(Event::StoreDown);
    rig.buy(2);
    rig.buy(3);
    assert_eq!(rig.look(), "refuse 2 (system-down), refuse 3 (system-down)");
    rig.tell(Event::StoreUp);
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.look(), "insert never sent", "and lost: it stands");
    rig.buy(4);
    assert_eq!(rig.look(), "insert in flight, change to approved, approve 4 (00)");
}

//! What issuers answer: response codes by class (M8, M9, M12), answers to reversals (M4), and answers of strangers (M9).

use std::{sync::Arc, time::Duration};

use switch_core::{CaseKind, Code, Event, IssuerAnswer, Matched, Notice, ReversalUnsent};

use crate::rig::{ISSUER, Rig};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn code(text: &str) -> Code {
    Code::new(text).expect("a code")
}

/// A purchase was written and answered with this code.
fn answered(code: &str) -> Rig {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.look();
    rig.answered(code);
    rig
}

/// The terminal of an approved purchase asked for its reversal, whose second attempt was written: the first was answered
/// so early that it might have overtaken the purchase.
fn reversing() -> Rig {
    let mut rig = Rig::approved();
    rig.reverse(2, 100);
    again(&mut rig);
    rig
}

/// An early 25 to the attempt that a link holds, then the next attempt.
fn again(rig: &mut Rig) {
    rig.reversal_written();
    rig.reversal_answered("25");
    assert_eq!(rig.owed(), "Owed");
    rig.pass(seconds(46));
    rig.reversal_written();
    rig.look();
}

#[test]
fn m12_every_code_does_what_its_class_says() {
    for approves in ["00", "08", "11", "16"] {
        let expected = format!("change to approved, approve 1 ({approves})");
        assert_eq!(answered(approves).look(), expected);
    }
    for declines in ["05", "51", "06", "91", "94", "96", "77", "97", "99", "A0"] {
        let found = answered(declines).look();
        assert_eq!(found, "change to declined, refuse 1 (issuer)", "{declines}");
    }
    for unknown in ["09", "68", "98", "46", "B7", "Z9"] {
        let mut rig = answered(unknown);
        let expected = "change to timed out, Owed, refuse 1 (no-answer), reverse";
        assert_eq!(rig.look(), expected, "{unknown}");
        let row = &rig.rows[&rig.focus].row;
        assert_eq!(row.code, Some(code(unknown)), "a person can see what was said");
    }
}

#[test]
fn m8_what_was_declined_by_a_code_that_is_not_final_is_reversed_when_its_terminal_asks() {
    for (declines, owes) in [
        ("05", false),
        ("51", false),
        ("06", true),
        ("91", true),
        ("94", true),
        ("96", true),
        ("77", true),
        ("A0", true),
    ] {
        let mut rig = answered(declines);
        rig.look();
        rig.reverse(2, 64);
        let _ = rig.look();
        rig.reverse(3, 100);
        let expected = if owes { "Owed" } else { "-" };
        assert_eq!(rig.owed(), expected, "{declines}");
        let done = rig.look();
        assert_eq!(done.contains("reverse"), owes, "{declines}: {done}");
        assert!(done.contains("done 3"), "{declines}: {done}");
        // its terminal was told the refusal, which stays
        assert_eq!(rig.rows[&rig.focus].row.state.name(), "declined");
        rig.buy(4);
        assert_eq!(rig.look(), "refuse 4 (issuer)", "{declines}");
        if owes {
            again(&mut rig);
            rig.reversal_answered("25");
            assert_eq!(rig.owed(), "Confirmed", "nothing was approved: there is none");
            rig.look();
            rig.reverse(5, 100);
            assert_eq!(rig.look(), "read, done 5", "it is not owed again");
        }
    }
}

#[test]
fn m8_an_open_decline_in_the_middle_of_a_reversal_leaves_it_owed() {
    for (declines, owes) in [("51", false), ("96", true), ("A0", true)] {
        let mut rig = Rig::new();
        rig.buy(1);
        rig.written();
        rig.reverse(2, 100);
        rig.look();
        rig.answered(declines);
        let found = rig.look();
        let expected =
            if owes { "change to declined, Owed, reverse" } else { "change to declined" };
        assert_eq!(found, expected, "{declines}");
    }
}

#[test]
fn m9_only_a_final_refusal_withdraws() {
    for (late, withdrawn) in
        [("51", true), ("05", true), ("91", false), ("96", false), ("94", false), ("Z9", false)]
    {
        let mut rig = Rig::new();
        rig.buy(1);
        rig.written();
        rig.pass(seconds(15));
        rig.look();
        // no byte of the reversal was written yet
        rig.answered(late);
        let id = rig.id();
        rig.tell(Event::ReversalNeverSent { id, why: ReversalUnsent::NoLink });
        let expected = if withdrawn { "Withdrawn" } else { "Owed" };
        assert_eq!(rig.owed(), expected, "{late}");
    }
}

#[test]
fn m4_a_25_to_the_reversal_of_what_was_approved_is_denied() {
    let mut rig = reversing();
    rig.reversal_answered("25");
    assert_eq!(rig.look(), "change to undone, Denied");
    assert_eq!(rig.cases, [CaseKind::ReversalDenied]);
    let denied = rig.obligation().expect("it was owed");
    assert_eq!((denied.attempts, denied.answered), (2, Some(code("25"))));
    rig.pass(seconds(100_000));
    assert_eq!(rig.look(), "", "it rests");
    assert_eq!(rig.engine.gauges().transactions, 0);
    // an approval that comes after that is no part of it: it is owed again, as a repeat
    rig.answered("00");
    assert_eq!(rig.look(), "read, change to undone, Owed, reverse, repeated");
}

#[test]
fn m4_a_25_is_denied_however_the_approval_came() {
    // late
    let mut late = Rig::new();
    late.buy(1);
    late.written();
    late.pass(seconds(15));
    late.answered("00");
    again(&mut late);
    late.reversal_answered("25");
    assert_eq!(late.owed(), "Denied");
    // contradicting
    let mut other = Rig::new();
    other.buy(1);
    other.written();
    let answer = IssuerAnswer { amount: Some(7), ..other.answer("00") };
    other.tell(Event::Answer(Box::new(answer)));
    again(&mut other);
    other.reversal_answered("25");
    assert_eq!(other.owed(), "Denied");
    // never: it never had it
    let mut never = Rig::new();
    never.buy(1);
    never.written();
    never.pass(seconds(15));
    again(&mut never);
    never.reversal_answered("25");
    assert_eq!(never.owed(), "Confirmed");
}

#[test]
fn m4_an_answer_that_names_another_amount_or_card_confirms_nothing() {
    let changes: [fn(&mut IssuerAnswer); 3] = [
        |answer| answer.amount = Some(99),
        |answer| answer.currency = Some(*b"840"),
        |answer| answer.card_hash = Some([9; 16]),
    ];
    for change in changes {
        let mut rig = reversing();
        let mut answer = IssuerAnswer { to_reversal: true, ..rig.answer("00") };
        change(&mut answer);
        rig.tell(Event::Answer(Box::new(answer)));
        assert_eq!(rig.look(), "note Contradiction, progress");
        assert_eq!(rig.owed(), "Owed");
        rig.pass(seconds(10));
        assert_eq!(rig.look(), "reverse, repeated", "it is asked again");
        rig.reversal_written();
        rig.reversal_answered("00");
        assert_eq!(rig.owed(), "Confirmed");
    }
}

#[test]
fn m4_the_first_reversal_on_the_wire_is_no_repeat_whatever_was_answered_before() {
    let mut rig = answered("51");
    rig.look();
    rig.answered("00");
    assert_eq!(rig.look(), "read, change to declined, Owed, reverse");
    // its link was lost before a byte of it was written
    let id = rig.id();
    rig.tell(Event::ReversalNeverSent { id, why: ReversalUnsent::NoLink });
    rig.pass(seconds(3));
    assert_eq!(rig.look(), "reverse", "still the first");
    rig.reversal_written();
    rig.pass(seconds(30));
    assert_eq!(rig.look(), "progress, reverse, repeated");
}

#[test]
fn m4_a_reversal_whose_message_cannot_be_made_stays_owed_and_is_a_case() {
    let mut rig = Rig::approved();
    rig.reverse(2, 100);
    rig.look();
    for attempt in 1..4 {
        let id = rig.id();
        rig.tell(Event::ReversalNeverSent { id, why: ReversalUnsent::Unwritable });
        rig.look();
        assert_eq!((rig.owed(), rig.cases.len()), ("Owed".to_owned(), 1), "attempt {attempt}");
        rig.pass(seconds(301));
        assert_eq!(rig.look(), "reverse", "a reload may have mended it");
    }
    assert_eq!(rig.cases, [CaseKind::CannotBeSent]);
    assert_eq!(rig.obligation().map(|owed| owed.attempts), Some(0), "none was written");
}

#[test]
fn m9_an_approval_of_an_issuer_that_was_sent_no_byte_is_a_case() {
    let other = |rig: &Rig, code| IssuerAnswer { issuer: Arc::from("other"), ..rig.answer(code) };
    // in flight
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.look();
    let answer = other(&rig, "00");
    rig.tell(Event::Answer(Box::new(answer)));
    assert_eq!(rig.look(), "case");
    let answer = other(&rig, "51");
    rig.tell(Event::Answer(Box::new(answer)));
    assert_eq!(rig.look(), "", "a refusal of theirs says nothing");
    rig.answered("00");
    assert_eq!(rig.look(), "change to approved, approve 1 (00)", "the sale goes on");
    // no longer in memory: it is looked up, not dropped
    rig.taken(1);
    rig.look();
    let answer = other(&rig, "00");
    rig.tell(Event::Answer(Box::new(answer)));
    assert_eq!(rig.look(), "read, case");
    // never sent to anybody
    let mut down = Rig::down();
    down.buy(1);
    assert_eq!(down.state(), "(never sent)");
    down.look();
    down.answered("00");
    assert_eq!(down.look(), "read, case");
    assert_eq!(rig.cases, [CaseKind::AnswerWithoutRequest; 2]);
    assert_eq!((rig.owed(), down.owed()), ("-".to_owned(), "-".to_owned()));
}

#[test]
fn an_answer_is_matched_by_trace_number_where_its_host_keeps_no_37() {
    let traced = |rig: &Rig, stan, sent| IssuerAnswer {
        matched: Matched::Trace { stan, sent },
        ..rig.answer("00")
    };
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.look();
    let stan = rig.id().stan();
    let created = rig.rows[&rig.focus].row.created;
    let long_ago = switch_core::Wall(created.0 - 3_600_000_000);
    for (stan, sent) in [(stan + 1, None), (stan, Some(long_ago))] {
        let answer = traced(&rig, stan, sent);
        rig.tell(Event::Answer(Box::new(answer)));
        assert!(!rig.look().contains("approve"), "of another exchange");
    }
    for terminal in [None, Some(bytes::Bytes::from_static(b"87654321"))] {
        let answer = traced(&rig, stan, Some(created));
        let answer = IssuerAnswer { terminal, matches_terminal: true, ..answer };
        rig.tell(Event::Answer(Box::new(answer)));
        assert!(!rig.look().contains("change"), "of another terminal's exchange");
    }
    let terminal = Some(rig.rows[&rig.focus].row.terminal.clone());
    let answer = traced(&rig, stan, Some(created));
    let answer = IssuerAnswer { terminal, matches_terminal: true, ..answer };
    rig.tell(Event::Answer(Box::new(answer)));
    assert_eq!(rig.look(), "change to approved, approve 1 (00)");
    // no longer in memory: it is looked up where the time says which one is meant
    rig.taken(1);
    rig.look();
    for (sent, expected) in [(None, ""), (Some(created), "read")] {
        let answer = traced(&rig, stan, sent);
        rig.tell(Event::Answer(Box::new(answer)));
        assert_eq!(rig.look(), expected);
    }
    let other = IssuerAnswer { issuer: Arc::from("other"), ..traced(&rig, stan, Some(created)) };
    rig.tell(Event::Answer(Box::new(other)));
    assert_eq!(rig.look(), "read", "a trace number of another issuer is no case");
}

#[test]
fn m12_an_advice_goes_on_until_a_code_says_what_became_of_it() {
    use switch_core::Kind;
    for (said, ends) in [("51", true), ("25", true), ("91", false), ("B7", false), ("A0", false)] {
        let mut rig = Rig::new();
        let request = rig.request(1);
        rig.tell(Event::Request(Box::new(switch_core::Request {
            kind: Kind::OfflineSale,
            key: switch_core::Key::new(request.key.terminal(), 1, 77, Kind::OfflineSale),
            ..request
        })));
        rig.focus = switch_core::Key::new(rig.focus.terminal(), 1, 77, Kind::OfflineSale);
        rig.written();
        rig.look();
        rig.answered(said);
        let found = rig.look();
        assert_eq!(found.contains("declined"), ends, "{said}: {found}");
        assert_eq!(found.contains("accepted"), !ends, "{said}: {found}");
    }
}

#[test]
fn a_denied_reversal_is_told_as_an_error() {
    let mut rig = reversing();
    let answer = IssuerAnswer { to_reversal: true, ..rig.answer("25") };
    rig.engine.handle(rig.now, Event::Answer(Box::new(answer)));
    let notices: Vec<Notice> = std::iter::from_fn(|| rig.engine.poll_effect())
        .filter_map(|effect| match effect {
            switch_core::Effect::Notice(notice) => Some(notice),
            _ => None,
        })
        .collect();
    let denied =
        Notice::Reversal { issuer: Arc::from(ISSUER), result: switch_core::ReversalResult::Denied };
    assert!(notices.contains(&denied), "{notices:?}");
}

#[test]
fn beside_a_node_of_the_version_before_a_denied_reversal_is_a_case_that_it_can_read() {
    let mut rig = reversing();
    rig.tell(Event::ReadsNew(false));
    rig.reversal_answered("25");
    assert_eq!(rig.owed(), "Owed");
    assert_eq!(rig.cases, [CaseKind::ReversalUnanswered]);
    rig.look();
    rig.pass(seconds(301));
    assert_eq!(rig.look(), "progress, reverse, repeated");
    // the last of them is gone
    rig.tell(Event::ReadsNew(true));
    rig.reversal_written();
    rig.reversal_answered("25");
    assert_eq!(rig.owed(), "Denied");
}

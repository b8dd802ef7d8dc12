//! The rules of money, one test a rule, each a short story with what is done at every step.

use std::time::Duration;

use switch_core::{Code, Event, Persisted, Unsent};

use crate::rig::{LINK, Rig, key};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn timed_out() -> Rig {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.pass(seconds(15));
    rig.look();
    rig
}

#[test]
fn m1_nothing_is_sent_before_its_intent_is_durable() {
    let mut rig = Rig::new();
    rig.hold = true;
    rig.buy(1);
    assert_eq!(rig.look(), "insert in flight");
    rig.release();
    assert_eq!(rig.look(), "forward to issuer");
}

#[test]
fn m1_an_original_that_waited_five_seconds_is_never_sent() {
    let mut rig = Rig::new();
    rig.hold = true;
    rig.buy(1);
    let (record, what) = rig.held.pop().expect("held");
    let result = rig.apply(what);
    rig.hold = false;
    rig.pass(Duration::from_millis(5_001));
    rig.look();
    rig.tell(Event::Persisted { record, result });
    assert_eq!(rig.look(), "change to never sent, refuse 1 (issuer-down)");
}

#[test]
fn m2_an_approval_is_given_only_when_it_is_durable() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.hold = true;
    rig.look();
    rig.answered("00");
    assert_eq!(rig.look(), "change to approved");
    rig.release();
    assert_eq!(rig.look(), "approve 1 (00)");
}

#[test]
fn m2_an_approval_that_cannot_be_made_durable_goes_on_as_on_silence() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.hold = true;
    rig.answered("00");
    rig.tell(Event::StoreDown);
    rig.end_held(&Persisted::Failed);
    rig.hold = true;
    while rig.now.mono < rig.asked(0).deadline && rig.engine.state(key()).is_some() {
        rig.pass(seconds(1));
        rig.end_held(&Persisted::Failed);
        rig.hold = true;
        if rig.log.iter().any(|done| done == "silent 1") {
            break;
        }
    }
    rig.look();
    rig.hold = false;
    rig.tell(Event::StoreUp);
    rig.pass(seconds(1));
    assert_eq!(rig.owed(), "Owed");
    assert_eq!(rig.look(), "change to timed out, Owed, note LateApproval, reverse");
}

#[test]
fn m3_silence_and_the_owed_reversal_are_one_commit_before_98_is_told() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.look();
    rig.pass(Duration::from_millis(14_999));
    assert_eq!(rig.look(), "");
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.look(), "change to timed out, Owed, refuse 1 (no-answer), reverse");
}

#[test]
fn m3_an_unknown_code_counts_as_silence() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.look();
    rig.answered("68");
    assert_eq!(rig.look(), "change to timed out, Owed, refuse 1 (no-answer), reverse");
}

#[test]
fn m4_a_reversal_is_repeated_until_it_is_confirmed_and_becomes_a_case() {
    let mut rig = timed_out();
    for attempt in 1..=4 {
        rig.reversal_written();
        rig.look();
        rig.pass(seconds(15));
        let expected = match attempt {
            3 => "change to timed out, progress",
            _ => "progress",
        };
        assert_eq!(rig.look(), expected, "attempt {attempt}");
        rig.pass(seconds(301));
        // once it is a case a person may have ended it: its row is asked before each attempt
        let expected =
            if attempt < 3 { "reverse, repeated" } else { "progress, reverse, repeated" };
        assert_eq!(rig.look(), expected, "attempt {attempt}");
    }
    rig.reversal_written();
    rig.reversal_answered("00");
    assert_eq!(rig.look(), "change to timed out, Confirmed");
    let obligation = rig.obligation().expect("it was owed");
    assert_eq!((obligation.attempts, obligation.answered), (5, Some(Code::APPROVED)));
    assert_eq!(rig.engine.gauges().reversals_owed, 0);
    assert_eq!(rig.engine.gauges().transactions, 0);
}

#[test]
fn m4_a_25_that_comes_early_is_asked_again() {
    let mut rig = timed_out();
    rig.reversal_written();
    rig.reversal_answered("25");
    assert_eq!(rig.look(), "progress", "within twice the timeout of the original");
    rig.pass(seconds(14));
    assert_eq!(rig.look(), "");
    rig.pass(seconds(2));
    assert_eq!(rig.look(), "reverse, repeated");
    rig.reversal_written();
    rig.reversal_answered("25");
    assert_eq!(rig.look(), "change to timed out, Confirmed");
}

#[test]
fn m5_never_sent_is_not_unknown() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.look();
    let id = rig.id();
    rig.tell(Event::NeverSent { id, why: Unsent::NoLink });
    assert_eq!(rig.look(), "change to never sent, refuse 1 (issuer-down)");
    assert_eq!(rig.owed(), "-");

    let mut rig = Rig::down();
    rig.buy(1);
    assert_eq!(rig.look(), "insert never sent, refuse 1 (issuer-down)", "one commit");
}

#[test]
fn m6_a_copy_gets_the_same_answer_and_never_a_second_forward() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.buy(2);
    rig.written();
    rig.buy(3);
    rig.look();
    rig.answered("00");
    assert_eq!(rig.look(), "change to approved, approve 1 (00), approve 2 (00), approve 3 (00)");
    for ask in 1..=3 {
        rig.taken(ask);
    }
    rig.buy(4);
    assert_eq!(rig.look(), "change to approved, approve 4 (00)", "by a conditional update");

    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.answered("51");
    rig.look();
    rig.buy(2);
    assert_eq!(rig.look(), "refuse 2 (issuer)", "a refusal from memory");
}

#[test]
fn m6_once_a_reversal_is_owed_the_answer_is_98() {
    let mut rig = timed_out();
    rig.buy(2);
    assert_eq!(rig.look(), "refuse 2 (no-answer)");
}

#[test]
fn m7_other_content_and_late_copies_are_refused() {
    let mut rig = Rig::approved();
    let mut other = rig.request(2);
    other.digest = switch_core::Digest([8; 16]);
    rig.tell(Event::Request(Box::new(other)));
    assert_eq!(rig.look(), "refuse 2 (duplicate), note OtherContent");
    // beyond the window the store says what stands there
    rig.pass(seconds(601));
    rig.number_from(2);
    rig.buy(3);
    assert_eq!(rig.look(), "insert in flight, refuse 3 (duplicate), note OtherContent");
}

#[test]
fn m8_a_terminals_reversal_wins_every_race() {
    let mut rig = Rig::approved();
    rig.reverse(2, 100);
    assert_eq!(rig.look(), "change to undone, Owed, done 2, reverse");

    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.look();
    rig.reverse(2, 100);
    assert_eq!(rig.look(), "change to in flight, reversal asked, done 2, refuse 1 (no-answer)");
    rig.answered("00");
    assert_eq!(rig.look(), "change to undone, Owed, reverse");

    let mut rig = Rig::new();
    rig.reverse(1, 100);
    assert_eq!(rig.look(), "read, insert reversed before arrival, done 1");
    rig.buy(2);
    assert_eq!(rig.look(), "refuse 2 (after-reversal)", "never forwarded");
}

#[test]
fn m8_another_amount_is_refused_and_nothing_changes_after_a_refusal() {
    let mut rig = Rig::approved();
    rig.reverse(2, 99);
    assert_eq!(rig.look(), "refuse 2 (amount-differs)");
    let mut rig = timed_out();
    rig.reverse(2, 100);
    assert_eq!(rig.look(), "done 2");
}

#[test]
fn m8_a_reversal_that_comes_while_the_approval_is_being_written_prevents_it() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.hold = true;
    rig.answered("00");
    rig.reverse(2, 100);
    rig.look();
    rig.release();
    assert_eq!(rig.look(), "change to undone, Owed, done 2, refuse 1 (no-answer), reverse");
}

#[test]
fn m9_a_late_approval_is_recorded_and_reversed_never_obeyed() {
    let mut rig = timed_out();
    rig.reversal_written();
    rig.reversal_answered("00");
    rig.look();
    rig.answered("00");
    assert_eq!(
        rig.look(),
        "read, change to timed out, Owed, reverse, repeated",
        "owed again, as a repeat"
    );
}

#[test]
fn m4_an_attempt_that_a_link_still_holds_is_the_one_copy() {
    let mut rig = timed_out();
    rig.reversal_written();
    rig.pass(seconds(15));
    rig.pass(seconds(3));
    assert_eq!(rig.look(), "progress, reverse, repeated", "handed to a link");
    rig.reversal_answered("00");
    assert_eq!(rig.look(), "change to timed out, Confirmed", "the first was answered after all");
    rig.answered("00");
    assert_eq!(rig.look(), "change to timed out, Owed", "no third beside the second");
    rig.reversal_written();
    assert_eq!(rig.look(), "");
    rig.pass(seconds(15));
    rig.pass(seconds(6));
    assert_eq!(rig.look(), "progress, reverse, repeated", "it was not answered");
}

#[test]
fn m9_an_approval_that_comes_to_another_node_than_its_own_waits_for_the_outcome() {
    for (code, owed) in [("51", "Owed"), ("00", "-")] {
        let mut rig = Rig::new();
        let mut other = Rig::new();
        other.buy(1);
        other.written();
        let mut found = other.rows.get(&key()).expect("row").clone();
        found.row.fixed_mut().node = switch_core::NodeNo(2);
        rig.rows.insert(key(), found);
        let answer = other.answer("00");
        rig.tell(Event::Answer(Box::new(answer)));
        rig.pass(seconds(1));
        rig.look();
        other.answered(code);
        rig.rows.insert(key(), other.rows.get(&key()).expect("row").clone());
        rig.pass(seconds(1));
        let found = rig.rows.get(&key()).expect("row");
        let status = found.obligation.as_ref().map(|known| format!("{:?}", known.status));
        assert_eq!(status.as_deref().unwrap_or("-"), owed, "its node got {code}: {}", rig.look());
    }
}

#[test]
fn m9_a_late_refusal_withdraws_a_reversal_that_was_not_written() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.tell(Event::LinkDown { issuer: std::sync::Arc::from("issuer"), link: LINK });
    rig.pass(seconds(15));
    rig.look();
    rig.answered("51");
    assert_eq!(rig.look(), "note LateRefusal, change to timed out, Withdrawn");
    rig.answered("00");
    rig.look();
    assert_eq!(rig.owed(), "Owed", "an approval after that is owed again");
}

#[test]
fn m10_a_mark_that_could_not_be_written_is_not_forgotten() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.answered("00");
    rig.look();
    rig.hold = true;
    rig.dropped(1);
    rig.end_held(&Persisted::Failed);
    rig.hold = false;
    // the same approval once more, before the mark is tried again
    rig.answered("00");
    rig.look();
    rig.pass(seconds(1));
    assert_eq!(rig.look(), "change to approved, Marked");
}

#[test]
fn m10_an_approval_certainly_not_delivered_is_reversed_after_the_grace_time() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.answered("00");
    rig.look();
    rig.dropped(1);
    assert_eq!(rig.look(), "change to approved, Marked");
    rig.pass(seconds(59));
    assert_eq!(rig.look(), "");
    rig.pass(seconds(1));
    assert_eq!(rig.look(), "change to undone, Owed, reverse");
}

#[test]
fn m10_a_repeat_within_the_grace_time_gets_the_approval() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.gone(1);
    rig.look();
    rig.answered("00");
    assert_eq!(rig.look(), "change to approved, Marked", "the mark is part of the commit");
    rig.buy(2);
    assert_eq!(rig.look(), "change to approved, Cleared, approve 2 (00)");
    rig.taken(2);
    rig.pass(seconds(100));
    assert_eq!(rig.look(), "");
    assert_eq!(rig.owed(), "Cleared");
}

#[test]
fn m13_an_answer_that_contradicts_the_request_is_a_fault_and_reversed() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.look();
    let mut answer = rig.answer("00");
    answer.amount = Some(99);
    rig.tell(Event::Answer(Box::new(answer)));
    assert_eq!(rig.look(), "change to undone, Owed, refuse 1 (contradicted), reverse");
}

#[test]
fn m14_recovery_is_reversal_and_recovering_twice_changes_nothing_more() {
    let mut before = Rig::new();
    before.buy(1);
    before.written();
    let found = before.rows.get(&key()).expect("row").clone();
    let mut rig = Rig::new();
    rig.rows.insert(key(), found.clone());
    rig.tell(Event::Recovered(Box::new(found.clone())));
    assert_eq!(rig.look(), "change to timed out, Owed, reverse");
    rig.tell(Event::Recovered(Box::new(found)));
    assert_eq!(rig.look(), "");
}

#[test]
fn m14_an_owed_reversal_of_an_earlier_life_is_adopted_and_sent_as_a_repeat() {
    let before = timed_out();
    let found = before.rows.get(&key()).expect("row").clone();
    let mut rig = Rig::new();
    rig.rows.insert(key(), found.clone());
    rig.tell(Event::Recovered(Box::new(found)));
    assert_eq!(rig.look(), "progress, reverse, repeated");
}

/// A row whose reversal is owed, again and again under other numbers.
fn many_owed(rig: &mut Rig, count: u32) {
    let before = timed_out();
    let found = before.rows.get(&key()).expect("row").clone();
    for number in 0..count {
        let mut found = found.clone();
        let fixed = found.row.fixed_mut();
        fixed.id = switch_core::TxnId(500_000 + u64::from(number));
        fixed.key = switch_core::Key::new(key().terminal(), 7, number, fixed.kind);
        if let Some(owed) = &mut found.obligation {
            owed.id = found.row.id;
        }
        rig.rows.insert(found.row.key, found.clone());
        rig.tell(Event::Recovered(Box::new(found)));
    }
}

fn sent(rig: &mut Rig) -> usize {
    let log = std::mem::take(&mut rig.log);
    log.iter().filter(|done| done.starts_with("reverse")).count()
}

#[test]
fn m4_a_backlog_of_reversals_waits_for_sales_and_goes_at_once_without() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.look();
    many_owed(&mut rig, 90);
    assert_eq!(sent(&mut rig), 32, "those of a normal day never wait");
    rig.pass(Duration::from_millis(50));
    assert_eq!(sent(&mut rig), 12, "250 a second");
    rig.pass(Duration::from_millis(60));
    assert_eq!(sent(&mut rig), 46, "all, a tenth of a second after the last sale");
}

/// A sale that is sent and met by silence while a backlog of 20 and no link is there; then the link is back.
fn owed_behind_a_backlog(before_the_link: impl FnOnce(&mut Rig)) -> Vec<String> {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.tell(Event::LinkDown { issuer: std::sync::Arc::from("issuer"), link: LINK });
    many_owed(&mut rig, 20);
    rig.pass(seconds(15));
    rig.log.clear();
    before_the_link(&mut rig);
    rig.tell(Event::LinkUp { issuer: std::sync::Arc::from("issuer"), link: LINK });
    rig.log.into_iter().filter(|done| done.starts_with("reverse")).collect()
}

#[test]
fn m4_what_becomes_owed_goes_before_a_backlog() {
    let sent = owed_behind_a_backlog(|_| {});
    assert_eq!((sent.len(), sent[0].as_str()), (21, "reverse"));
    assert!(sent[1..].iter().all(|sent| sent == "reverse, repeated"));
}

#[test]
fn m4_a_drain_begins_nothing_of_a_backlog() {
    assert_eq!(owed_behind_a_backlog(|rig| rig.tell(Event::Stopping)), ["reverse"]);
    assert_eq!(owed_behind_a_backlog(|rig| rig.tell(Event::Drain)), ["reverse"]);
}

#[test]
fn m16_reversals_wait_for_the_store_so_that_sales_find_room() {
    let mut rig = Rig::new();
    rig.limit_store_lag(40);
    rig.hold = true;
    rig.buy(1);
    for stan in 1..10 {
        let mut request = rig.request(stan.into());
        request.key = switch_core::Key::new(key().terminal(), 2, stan, request.kind);
        rig.tell(Event::Request(Box::new(request)));
    }
    rig.hold = false;
    many_owed(&mut rig, 20);
    rig.pass(Duration::from_millis(500));
    let few = sent(&mut rig);
    assert!((4..20).contains(&few), "a quarter of the store's room is taken: few at a time");
    rig.release();
    rig.pass(Duration::from_millis(500));
    assert_eq!(few + sent(&mut rig), 20);
}

#[test]
fn m15_with_the_store_down_new_work_is_refused_at_once_and_alike() {
    let mut rig = Rig::new();
    rig.tell(Event::StoreDown);
    rig.buy(1);
    rig.buy(2);
    assert_eq!(rig.look(), "refuse 1 (system-down), refuse 2 (system-down)");
    rig.tell(Event::StoreUp);
    rig.buy(3);
    assert_eq!(rig.look(), "insert never sent, refuse 3 (system-down)", "written down later");
}

#[test]
fn m16_new_work_over_a_bound_is_shed() {
    let mut rig = Rig::new();
    for stan in 0..10 {
        let mut request = rig.request(stan.into());
        request.key = switch_core::Key::new(key().terminal(), 2, stan, request.kind);
        rig.tell(Event::Request(Box::new(request)));
    }
    rig.look();
    rig.buy(11);
    assert_eq!(rig.look(), "refuse 11 (issuer-down)");
}

#[test]
fn i21_an_unknown_commit_is_read_before_anything_is_done() {
    for applied in [true, false] {
        let mut rig = Rig::new();
        rig.hold = true;
        rig.buy(1);
        if applied {
            let what = rig.held.first().expect("held").1.clone();
            rig.apply(what);
        }
        rig.look();
        let record = rig.held.first().expect("held").0;
        rig.held.clear();
        rig.tell(Event::Persisted { record, result: Persisted::Unknown });
        assert_eq!(rig.look(), "read");
        rig.hold = false;
        let read = rig.reads.pop().expect("read");
        rig.answer_read(read);
        rig.pass(Duration::ZERO);
        let expected = if applied { "forward to issuer" } else { "refuse 1 (system-down)" };
        assert_eq!(rig.look(), expected);
    }
}

#[test]
fn drain_times_out_what_is_in_flight() {
    let mut rig = Rig::new();
    rig.buy(1);
    rig.written();
    rig.look();
    rig.tell(Event::Drain);
    assert_eq!(rig.look(), "change to timed out, Owed, refuse 1 (no-answer), reverse");
    assert!(rig.engine.is_idle());
}

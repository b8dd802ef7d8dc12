//! Reversals that an issuer denies, what attempts came to, and a person's word on them (M4).

use store::{Resolution, ResolveError};
use switch_core::{
    Case, CaseKind, Change, ClaimEnd, ClaimIntent, ClaimStatus, Code, Found, Key, Kind, NoteKind,
    ObligationCause, ObligationStatus, ObligationWrite, Progress, Record, Row, RowState, Said,
    TerminalKey, TxnId,
};

use crate::fixture::{
    Home, NOON, Node, TODAY, approved, change, hours, insert, intent, is_applied, timed_out,
};

both! {
    attempts_and_the_last_answer_are_kept,
    what_is_denied_is_open_until_a_person_ends_it,
    only_what_is_denied_or_given_up_is_ended_by_hand,
    a_void_that_is_ended_by_hand_gives_back_what_it_took,
}

fn code(text: &str) -> Code {
    Code::new(text).expect("a code")
}

/// A sale that was not answered, and whose reversal is owed.
async fn owed(node: &mut Node, stan: u32, id: u64) -> Row {
    let row = intent(&node.lease, 1, stan, id);
    assert!(is_applied(&node.write(insert(&row)).await));
    let done = timed_out(&row, TODAY);
    assert!(is_applied(&node.write(change(done.clone())).await));
    done.row
}

async fn found(node: &Node, key: Key) -> Found {
    node.found(key).await.expect("it stands")
}

/// The next image of a row, with this status of its duty.
fn next(row: &Row, status: ObligationStatus, said: Option<Said>) -> Change {
    let row = Row { version: row.version + 1, change: row.change + 7, ..row.clone() };
    let cause = ObligationCause::Silence;
    let write = ObligationWrite { status, cause, at: NOON, due: NOON, said };
    Change { row, obligation: Some(write), note: None, case: None, claim: None }
}

fn denied(row: &Row) -> Change {
    let said = Said { attempts: 2, answered: Some(code("25")) };
    let case = Case { id: row.id, kind: CaseKind::ReversalDenied, at: NOON };
    Change { case: Some(case), ..next(row, ObligationStatus::Denied, Some(said)) }
}

fn progress(row: &Row, attempts: u32, parked: bool, answered: Option<Code>) -> Record {
    Record::Progress(Progress { id: row.id, key: row.key, attempts, parked, answered, at: NOON })
}

async fn attempts_and_the_last_answer_are_kept(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let row = owed(&mut node, 1, 1).await;
    let expect = async |node: &Node, attempts, answered: Option<&str>| {
        let known = found(node, row.key).await.obligation.expect("it was owed");
        assert_eq!((known.attempts, known.answered), (attempts, answered.map(code)));
        let listed = node.store.owed_list(None, 10).await.expect("reads");
        let listed = listed.first().map(|owed| owed.obligation.clone());
        assert_eq!(listed, Some(known), "as people see it");
        let cases = node.store.cases(None, 10).await.expect("reads");
        let case = cases.first().map(|case| (case.attempts, case.answered));
        assert_eq!(case, Some((Some(attempts), answered.map(code))), "beside its case");
    };
    let case = Case { id: row.id, kind: CaseKind::ReversalUnanswered, at: NOON };
    assert!(is_applied(&node.write(Record::Case(Box::new(case))).await));
    expect(&node, 0, None).await;
    assert!(is_applied(&node.write(progress(&row, 1, false, Some(code("94")))).await));
    expect(&node, 1, Some("94")).await;
    assert!(is_applied(&node.write(progress(&row, 2, false, None)).await));
    expect(&node, 2, Some("94")).await;
    let said = Said { attempts: 3, answered: Some(Code::APPROVED) };
    let confirmed = next(&row, ObligationStatus::Confirmed, Some(said));
    assert!(is_applied(&node.write(change(confirmed.clone())).await));
    expect(&node, 3, Some("00")).await;
    let again = next(&confirmed.row, ObligationStatus::Owed, None);
    assert!(is_applied(&node.write(change(again)).await));
    expect(&node, 3, Some("00")).await;
}

async fn what_is_denied_is_open_until_a_person_ends_it(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let row = owed(&mut node, 1, 1).await;
    let denied = denied(&row);
    assert!(is_applied(&node.write(change(denied.clone())).await));
    let later = NOON.plus(hours(1));
    let counts = node.store.open_counts().await.expect("reads");
    assert_eq!((counts.denied, counts.owed, counts.cases), (1, 0, 1));
    assert!(node.store.owed(node.lease.node, TxnId(0), 10).await.expect("reads").is_empty());
    // That it was seen ends nothing.
    let seen = node.store.resolve(row.id, Resolution::Seen, "", later).await;
    assert!(matches!(seen, Err(ResolveError::WantsWord(_))), "{seen:?}");
    let reason = "the issuer's back office took it back";
    node.store.resolve(row.id, Resolution::Confirmed, reason, later).await.expect("ended");
    let ended = found(&node, row.key).await;
    let status = ended.obligation.as_ref().map(|known| known.status);
    assert_eq!(status, Some(ObligationStatus::EndedByHand));
    assert_eq!((ended.row.state, ended.row.version), (RowState::TimedOut, denied.row.version + 1));
    let notes = node.store.notes(row.id).await.expect("reads");
    let last = notes.last().expect("noted");
    assert_eq!(last.kind, NoteKind::Resolved);
    assert_eq!(last.detail, format!("confirmed: {reason}"));
    assert_eq!(node.store.open_cases().await.expect("reads"), 0);
    let twice = node.store.resolve(row.id, Resolution::Confirmed, reason, later).await;
    assert!(matches!(twice, Err(ResolveError::NotParked(..))), "{twice:?}");
    // Whoever conducts it finds that it moved, and denied again it is a case again.
    let stale = next(&denied.row, ObligationStatus::Owed, None);
    assert!(!is_applied(&node.write(change(stale)).await));
    let again = next(&ended.row, ObligationStatus::Owed, None);
    assert!(is_applied(&node.write(change(again.clone())).await));
    assert!(is_applied(&node.write(change(self::denied(&again.row))).await));
    assert_eq!(node.store.open_cases().await.expect("reads"), 1);
}

async fn only_what_is_denied_or_given_up_is_ended_by_hand(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let row = owed(&mut node, 1, 1).await;
    let early = node.store.resolve(row.id, Resolution::Confirmed, "why", NOON).await;
    assert!(matches!(early, Err(ResolveError::NotParked(..))), "it is still tried: {early:?}");
    let case = Case { id: row.id, kind: CaseKind::ReversalUnanswered, at: NOON };
    assert!(is_applied(&node.write(Record::Case(Box::new(case))).await));
    assert!(is_applied(&node.write(progress(&row, 50, true, Some(code("94")))).await));
    node.store.resolve(row.id, Resolution::Confirmed, "why", NOON).await.expect("given up");
    // The node that still tries it learns so before its next attempt.
    let lost = node.write(progress(&row, 51, true, None)).await;
    assert!(!is_applied(&lost), "{lost:?}");
    let sale = intent(&node.lease, 1, 2, 2);
    assert!(is_applied(&node.write(insert(&sale)).await));
    assert!(is_applied(&node.write(change(approved(&sale, TODAY))).await));
    let none = node.store.resolve(sale.id, Resolution::Confirmed, "why", NOON).await;
    assert!(matches!(none, Err(ResolveError::NotParked(..))), "nothing is owed: {none:?}");
}

async fn a_void_that_is_ended_by_hand_gives_back_what_it_took(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let sale = intent(&node.lease, 1, 1, 1);
    assert!(is_applied(&node.write(insert(&sale)).await));
    let original = approved(&sale, TODAY).row;
    assert!(is_applied(&node.write(change(approved(&sale, TODAY))).await));
    let mut void = intent(&node.lease, 1, 2, 2);
    let fixed = std::sync::Arc::make_mut(&mut void.fixed);
    (fixed.kind, fixed.key) = (Kind::Void, Key::new(TerminalKey([1; 8]), 1, 2, Kind::Void));
    let claim = ClaimIntent {
        row: void.clone(),
        original: original.id,
        key: original.key,
        day: TODAY,
        version: original.version,
        amount: 12_345,
    };
    assert!(is_applied(&node.write(Record::Claim(Box::new(claim))).await));
    let mut done = approved(&void, TODAY);
    done.claim = Some(ClaimEnd {
        original: original.id,
        key: original.key,
        day: TODAY,
        from: ClaimStatus::Open,
        to: ClaimStatus::Stands,
        taken: 12_345,
        at: NOON,
    });
    assert!(is_applied(&node.write(change(done.clone())).await));
    // The original's terminal asks for its reversal: it is promised.
    let claimed = found(&node, original.key).await.row;
    let cause = ObligationCause::Asked;
    let mut promise = next(&claimed, ObligationStatus::Cleared, None);
    promise.obligation = promise.obligation.map(|write| ObligationWrite { cause, ..write });
    assert!(is_applied(&node.write(change(promise)).await));
    let mut undone = next(&done.row, ObligationStatus::Owed, None);
    undone.row.state = RowState::Undone;
    assert!(is_applied(&node.write(change(undone.clone())).await));
    assert!(is_applied(&node.write(change(denied(&undone.row))).await));
    let stands = found(&node, void.key).await.claim.map(|claim| claim.status);
    assert_eq!(stands, Some(ClaimStatus::Stands), "what is denied stands at the issuer");
    assert!(found(&node, original.key).await.claim_undone, "until a person says otherwise");
    node.store.resolve(void.id, Resolution::Confirmed, "why", NOON).await.expect("ended");
    let freed = found(&node, original.key).await;
    assert_eq!((freed.row.claimed, freed.row.state), (0, RowState::Undone));
    assert_eq!(freed.obligation.map(|known| known.status), Some(ObligationStatus::Owed));
    let cases = node.store.cases(Some(original.id), 10).await.expect("reads");
    assert_eq!(cases.len(), 1, "and is a case until a start sends it");
    assert_eq!(node.store.owed(node.lease.node, TxnId(0), 10).await.expect("reads").len(), 1);
}

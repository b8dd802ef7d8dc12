//! Claims on an original (M11): with the intent or not at all, one at a time, ended with the outcome.

use std::sync::Arc;

use store::{DayConfig, Lease, Resolution, ResolveError};
use switch_core::{
    Case, CaseKind, Change, ClaimEnd, ClaimIntent, ClaimStatus, Day, Found, Key, Kind,
    ObligationCause, ObligationStatus, ObligationWrite, Record, Row, RowState, TerminalKey, TxnId,
};

use crate::fixture::{
    Home, NOON, Node, TODAY, approved, change, hours, insert, intent, is_applied, key, lost,
};

both! {
    a_claim_is_written_with_its_intent,
    a_claim_is_lost_where_its_original_moved,
    one_claim_at_a_time_even_in_one_batch,
    a_claim_whose_identity_stands_changes_nothing,
    a_claim_ends_with_its_outcome,
    a_claim_that_stood_is_given_back,
    claims_reach_into_the_former_day,
    originals_are_found_by_card_and_by_key,
    a_day_with_an_open_claim_is_kept,
    a_person_resolves_what_is_disputed,
}

/// An approved sale of terminal 1.
async fn sale(node: &mut Node, stan: u32, id: u64) -> Row {
    let row = intent(&node.lease, 1, stan, id);
    assert!(is_applied(&node.write(insert(&row)).await));
    let done = approved(&row, TODAY);
    assert!(is_applied(&node.write(change(done.clone())).await));
    done.row
}

/// The intent of a void under this STAN.
fn void(lease: &Lease, stan: u32, id: u64) -> Row {
    let mut row = intent(lease, 1, stan, id);
    let fixed = Arc::make_mut(&mut row.fixed);
    fixed.key = Key::new(TerminalKey([1; 8]), 1, stan, Kind::Void);
    fixed.kind = Kind::Void;
    row
}

fn claim(row: &Row, of: &Row, amount: i64) -> Record {
    Record::Claim(Box::new(ClaimIntent {
        row: row.clone(),
        original: of.id,
        key: of.key,
        day: of.day,
        version: of.version,
        amount,
    }))
}

/// The outcome of a claimant, with the end of its claim.
fn outcome(row: &Row, state: RowState, of: &Row, to: ClaimStatus, taken: i64) -> Change {
    let mut done = approved(row, TODAY);
    done.row.state = state;
    let from = if taken < 0 { ClaimStatus::Stands } else { ClaimStatus::Open };
    let (original, key, day) = (of.id, of.key, of.day);
    done.claim = Some(ClaimEnd { original, key, day, from, to, taken, at: NOON });
    done
}

async fn found(node: &Node, key: Key) -> Found {
    node.store.read_any_day(key).await.expect("reads").expect("a row")
}

async fn a_claim_is_written_with_its_intent(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let original = sale(&mut node, 1, 1).await;
    let row = void(&node.lease, 2, 2);
    assert!(is_applied(&node.write(claim(&row, &original, 12_345)).await));

    let original = found(&node, original.key).await.row;
    assert_eq!((original.claimed, original.claiming, original.version), (0, Some(TxnId(2)), 2));
    assert_eq!(original.state, RowState::Approved, "nothing else of it changed");
    let taker = found(&node, row.key).await;
    let held = taker.claim.expect("its claim");
    assert_eq!((held.original, held.key, held.day), (TxnId(1), original.key, TODAY));
    assert_eq!((held.amount, held.status), (12_345, ClaimStatus::Open));
    assert_eq!(taker.row.state, RowState::InFlight);
}

async fn a_claim_is_lost_where_its_original_moved(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let original = sale(&mut node, 1, 1).await;
    let copied = Row { version: 2, change: 77, copies: 1, ..original.clone() };
    let copy = Change { row: copied, obligation: None, note: None, case: None, claim: None };
    assert!(is_applied(&node.write(change(copy)).await));

    let row = void(&node.lease, 2, 2);
    assert_eq!(lost(node.write(claim(&row, &original, 12_345)).await), None);
    assert_eq!(node.found(row.key).await, None, "neither without the other");
    assert_eq!(found(&node, original.key).await.row.claiming, None);

    // Not approved, or gone: alike.
    let open = intent(&node.lease, 1, 3, 3);
    assert!(is_applied(&node.write(insert(&open)).await));
    let open = Row { day: TODAY, ..open };
    assert_eq!(lost(node.write(claim(&void(&node.lease, 4, 4), &open, 1)).await), None);
    let none = Row { day: TODAY, ..intent(&node.lease, 1, 9, 9) };
    assert_eq!(lost(node.write(claim(&void(&node.lease, 5, 5), &none, 1)).await), None);
}

async fn one_claim_at_a_time_even_in_one_batch(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let original = sale(&mut node, 1, 1).await;
    let other = sale(&mut node, 6, 6).await;
    let records = vec![
        claim(&void(&node.lease, 2, 2), &original, 12_345),
        claim(&void(&node.lease, 3, 3), &original, 12_345),
        insert(&intent(&node.lease, 2, 4, 4)),
        claim(&void(&node.lease, 5, 5), &other, 12_345),
    ];
    let applied: Vec<bool> = node.write_all(records).await.iter().map(is_applied).collect();
    assert_eq!(applied, [true, false, true, true]);
    assert_eq!(found(&node, original.key).await.row.claiming, Some(TxnId(2)));
    assert_eq!(found(&node, other.key).await.row.claiming, Some(TxnId(5)));
    // At the version of now, but with a claim open.
    let original = found(&node, original.key).await.row;
    assert_eq!(lost(node.write(claim(&void(&node.lease, 7, 7), &original, 1)).await), None);
}

async fn a_claim_whose_identity_stands_changes_nothing(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let original = sale(&mut node, 1, 1).await;
    let refused = Row { state: RowState::NeverSent, ..void(&node.lease, 2, 2) };
    assert!(is_applied(&node.write(insert(&refused)).await));
    let again = void(&node.lease, 2, 3);
    let stands = lost(node.write(claim(&again, &original, 12_345)).await).expect("the row");
    assert_eq!((stands.row.id, stands.row.state), (TxnId(2), RowState::NeverSent));
    assert_eq!(found(&node, original.key).await.row.claiming, None);
    assert_eq!(home.count("SELECT count(*) FROM claim").await, 0);
}

async fn a_claim_ends_with_its_outcome(home: &Home) {
    let mut node = Node::start(home, "a").await;
    for (stan, state, to, taken, claimed) in [
        (1, RowState::Approved, ClaimStatus::Stands, 12_345, 12_345),
        (2, RowState::Declined, ClaimStatus::Released, 0, 0),
        (3, RowState::NeverSent, ClaimStatus::Released, 0, 0),
    ] {
        let id = u64::from(stan);
        let original = sale(&mut node, stan, id).await;
        let row = void(&node.lease, stan + 10, id + 10);
        assert!(is_applied(&node.write(claim(&row, &original, 12_345)).await));
        let done = outcome(&row, state, &original, to, taken);
        assert!(is_applied(&node.write(change(done.clone())).await));
        let now = found(&node, original.key).await.row;
        assert_eq!((now.claimed, now.claiming, now.version), (claimed, None, 3), "{stan}");
        let held = found(&node, row.key).await.claim.expect("its claim");
        assert_eq!(held.status, to);
        // The same outcome again is a lost race, and takes nothing more.
        assert!(lost(node.write(change(done)).await).is_some());
        assert_eq!(found(&node, original.key).await.row.claimed, claimed);
    }
}

async fn a_claim_that_stood_is_given_back(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let original = sale(&mut node, 1, 1).await;
    let row = void(&node.lease, 2, 2);
    assert!(is_applied(&node.write(claim(&row, &original, 12_345)).await));
    let done = outcome(&row, RowState::Approved, &original, ClaimStatus::Stands, 12_345);
    assert!(is_applied(&node.write(change(done.clone())).await));
    // The void is reversed: with the confirmation its original stands again.
    let mut undone = Row { version: 2, change: 50, state: RowState::Undone, ..done.row };
    let owed = |status| {
        Some(ObligationWrite {
            status,
            cause: ObligationCause::Asked,
            at: NOON,
            due: NOON,
            said: None,
        })
    };
    let (note, case) = (None, None);
    let obligation = owed(ObligationStatus::Owed);
    let owing = Change { row: undone.clone(), obligation, note, case, claim: None };
    assert!(is_applied(&node.write(change(owing)).await));
    assert_eq!(found(&node, original.key).await.row.claimed, 12_345);
    undone = Row { version: 3, change: 51, ..undone };
    let mut confirmed =
        outcome(&undone, RowState::Undone, &original, ClaimStatus::Released, -12_345);
    confirmed.row = undone;
    confirmed.obligation = owed(ObligationStatus::Confirmed);
    assert!(is_applied(&node.write(change(confirmed)).await));
    let now = found(&node, original.key).await.row;
    assert_eq!((now.claimed, now.claiming, now.left()), (0, None, 12_345));
    // And may be claimed again.
    assert!(is_applied(&node.write(claim(&void(&node.lease, 3, 3), &now, 12_345)).await));
}

async fn claims_reach_into_the_former_day(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let original = sale(&mut node, 1, 1).await;
    let stands = void(&node.lease, 9, 9);
    assert!(is_applied(&node.write(insert(&stands)).await));
    assert!(node.keep_days(NOON.plus(hours(11))).await.cut_over_to.is_some());

    let row = void(&node.lease, 2, 2);
    assert!(is_applied(&node.write(claim(&row, &original, 12_345)).await));
    let taker = found(&node, row.key).await;
    assert_eq!(
        (taker.row.day, taker.claim.map(|claim| claim.day)),
        (Day(TODAY.0 + 1), Some(TODAY))
    );
    // An identity of the former day still holds.
    let other = void(&node.lease, 9, 10);
    assert!(lost(node.write(claim(&other, &original, 1)).await).is_some());

    let mut done = outcome(&row, RowState::Approved, &original, ClaimStatus::Stands, 12_345);
    done.row.day = Day(TODAY.0 + 1);
    assert!(is_applied(&node.write(change(done)).await));
    assert_eq!(found(&node, original.key).await.row.claimed, 12_345);
}

async fn originals_are_found_by_card_and_by_key(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let mut held = intent(&node.lease, 3, 1, 1);
    let fixed = Arc::make_mut(&mut held.fixed);
    fixed.key = Key::new(TerminalKey([3; 8]), 1, 1, Kind::PreAuthorisation);
    fixed.kind = Kind::PreAuthorisation;
    assert!(is_applied(&node.write(insert(&held)).await));
    assert!(is_applied(&node.write(insert(&intent(&node.lease, 3, 2, 2))).await));

    let kinds = [Kind::PreAuthorisation];
    let of_card = |from| node.store.read_of_card([3; 16], &kinds, from);
    let ids: Vec<u64> =
        of_card(TODAY).await.expect("reads").iter().map(|found| found.row.id.0).collect();
    assert_eq!(ids, [1], "a purchase of the card is none");
    assert!(of_card(Day(TODAY.0 + 1)).await.expect("reads").is_empty());
    let keys = [key(3, 2), held.key];
    let newest = node.store.read_newest_of(&keys).await.expect("reads").expect("one");
    assert_eq!(newest.row.id, TxnId(2));
    assert_eq!(node.store.today(), Some(TODAY));
}

async fn a_day_with_an_open_claim_is_kept(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let original = sale(&mut node, 1, 1).await;
    let row = void(&node.lease, 2, 2);
    assert!(is_applied(&node.write(claim(&row, &original, 12_345)).await));
    let done = outcome(&row, RowState::Approved, &original, ClaimStatus::Stands, 12_345);
    node.keep_days(NOON.plus(hours(11))).await;
    node.keep_days(NOON.plus(hours(14))).await;
    let late = NOON.plus(hours(24 * (u64::from(DayConfig::default().keep_days) + 1) + 11));
    assert!(node.pass_days(NOON.plus(hours(14)), late).await.cut_over_to.is_some());
    assert_eq!(node.keep_days(late).await.held, [TODAY], "an open claim");
    assert!(is_applied(&node.write(change(done)).await));
    assert_eq!(node.keep_days(late).await.dropped, [TODAY]);
    assert_eq!(home.count("SELECT count(*) FROM claim").await, 0);
}

/// A refund that its terminal was told is done, and that its issuer refused: a case.
async fn disputed(node: &mut Node, of: &Row, stan: u32, id: u64) -> Row {
    let row = void(&node.lease, stan, id);
    assert!(is_applied(&node.write(claim(&row, of, 300)).await));
    let mut done = approved(&row, TODAY);
    done.row.state = RowState::Disputed;
    done.case = Some(Case { id: row.id, kind: CaseKind::AdviceRefused, at: NOON });
    assert!(is_applied(&node.write(change(done.clone())).await));
    done.row
}

async fn a_person_resolves_what_is_disputed(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let later = NOON.plus(hours(1));
    for (stan, how, state, claimed) in [
        (1, Resolution::Delivered, RowState::Approved, 300),
        (2, Resolution::Refused, RowState::Disputed, 0),
    ] {
        let id = u64::from(stan);
        let original = sale(&mut node, stan, id).await;
        let row = disputed(&mut node, &original, stan + 10, id + 10).await;
        node.store.resolve(row.id, how, "", later).await.expect("resolved");
        let now = found(&node, row.key).await;
        assert_eq!((now.row.state, now.row.version), (state, 2), "{how:?}");
        let original = found(&node, original.key).await.row;
        assert_eq!((original.claimed, original.claiming), (claimed, None), "{how:?}");
        let cases = node.store.cases(Some(row.id), 10).await.expect("reads");
        assert!(cases.iter().all(|case| case.resolved == Some(later)));
        let notes = node.store.notes(row.id).await.expect("reads");
        assert_eq!(notes.last().map(|note| note.detail.as_str()), Some(how.name()));
        // Once: and whoever conducts it finds that it moved.
        let again = node.store.resolve(row.id, how, "", later).await;
        assert!(matches!(again, Err(ResolveError::NotOpen(_))), "{again:?}");
        let stale = Row { version: 2, change: 99, ..row };
        let stale = Change { row: stale, obligation: None, note: None, case: None, claim: None };
        assert!(!is_applied(&node.write(change(stale)).await));
    }
    // That it was seen is no word on what waits for one; what was refused, and taken after all, takes its part again.
    let original = sale(&mut node, 3, 3).await;
    let row = disputed(&mut node, &original, 13, 13).await;
    let seen = node.store.resolve(row.id, Resolution::Seen, "", later).await;
    assert!(matches!(seen, Err(ResolveError::WantsWord(_))), "{seen:?}");
    assert!(found(&node, original.key).await.row.claiming.is_some());
    node.store.resolve(row.id, Resolution::Refused, "", later).await.expect("resolved");
    let case = Case { id: row.id, kind: CaseKind::AdviceApprovedLate, at: NOON };
    assert!(is_applied(&node.write(Record::Case(Box::new(case))).await));
    node.store.resolve(row.id, Resolution::Delivered, "", later).await.expect("resolved");
    assert_eq!(found(&node, row.key).await.row.state, RowState::Approved);
    assert_eq!(found(&node, original.key).await.row.claimed, 300);
    // Of a sale nothing can be said but that it was seen, and what cannot be said changes nothing.
    let original = sale(&mut node, 5, 5).await;
    let case = Case { id: original.id, kind: CaseKind::DeliveryUnknown, at: NOON };
    assert!(is_applied(&node.write(Record::Case(Box::new(case))).await));
    let refused = node.store.resolve(original.id, Resolution::Delivered, "", later).await;
    assert!(matches!(refused, Err(ResolveError::NotWaiting(..))), "{refused:?}");
    assert_eq!(node.store.open_cases().await.expect("reads"), 1);
    node.store.resolve(original.id, Resolution::Seen, "", later).await.expect("resolved");
    let unknown = node.store.resolve(TxnId(999), Resolution::Delivered, "", later).await;
    assert!(matches!(unknown, Err(ResolveError::Unknown(_))), "{unknown:?}");
    // A line of a batch that is no transaction here.
    let case = Case { id: TxnId(999), kind: CaseKind::DeliveryUnknown, at: NOON };
    assert!(is_applied(&node.write(Record::Case(Box::new(case))).await));
    node.store.resolve(TxnId(999), Resolution::Seen, "", later).await.expect("resolved");
}

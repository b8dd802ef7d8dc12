//! The business day: overlap, cut-over under load, closing, dropping.

use std::time::Duration;

use store::{DayClock, DayConfig, DayDoubt};
use switch_core::{
    Case, CaseKind, Commit, Day, Note, NoteKind, ObligationStatus, Persisted, Record, RowState,
    Wall,
};

use crate::fixture::{
    Home, NOON, Node, TODAY, approved, change, hours, insert, intent, is_applied, key, lost,
    timed_out,
};

both! {
    an_identity_holds_through_the_overlap,
    another_process_learns_of_the_cut_over_from_its_fence,
    nothing_is_lost_when_the_day_is_cut_over_under_load,
    a_delivery_that_stays_unknown_becomes_a_case,
    an_old_day_is_dropped_unless_something_is_open,
    a_wrong_clock_moves_no_day_and_lets_no_identity_expire,
}

fn tomorrow() -> Day {
    Day(TODAY.0 + 1)
}

/// 23:00 of the day of `NOON`.
fn cutover() -> Wall {
    NOON.plus(hours(11))
}

async fn an_identity_holds_through_the_overlap(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let row = intent(&node.lease, 1, 1, 1);
    assert!(is_applied(&node.write(insert(&row)).await));
    let before = node.keep_days(Wall(cutover().0 - 1)).await;
    assert_eq!(before.cut_over_to, None);
    assert_eq!(node.keep_days(cutover()).await.cut_over_to, Some(tomorrow()));
    assert_eq!(node.keep_days(cutover()).await.cut_over_to, None, "once");

    let copy = node.write(insert(&intent(&node.lease, 1, 1, 2))).await;
    let found = lost(copy).expect("the first stands in the former day's leaf");
    assert_eq!((found.row.id.0, found.row.day, found.within_horizon), (1, TODAY, true));
    assert!(node.found(row.key).await.expect("in the horizon").within_horizon);
    let result = node.write(change(approved(&row, TODAY))).await;
    let Persisted::Applied(Commit { day, .. }) = result else { panic!("{result:?}") };
    assert_eq!(day, TODAY, "a row stays in its leaf");
    let Persisted::Applied(commit) = node.write(insert(&intent(&node.lease, 1, 2, 3))).await else {
        panic!("a new one goes into the new leaf")
    };
    assert_eq!(commit.day, tomorrow());

    let over = node.keep_days(cutover().plus(hours(2))).await;
    assert_eq!(over.cut_over_to, None);
    assert_eq!(node.found(row.key).await, None, "beyond the horizon");
    let old = node.store.read_any_day(row.key).await.expect("reads").expect("still stands");
    assert!(!old.within_horizon);
    assert!(is_applied(&node.write(insert(&intent(&node.lease, 1, 1, 4))).await));
    let newest = node.store.read_any_day(row.key).await.expect("reads").expect("stands");
    assert_eq!((newest.row.id.0, newest.within_horizon), (4, true));
    assert_eq!(node.store.read_id(row.id).await.expect("reads").expect("stands").row.day, TODAY);
    let mut late = approved(&row, TODAY);
    (late.row.version, late.row.late) = (2, 1);
    late.obligation = timed_out(&row, TODAY).obligation;
    assert!(is_applied(&node.write(change(late)).await), "a row of a former day can be changed");
    node.stop().await;
}

async fn another_process_learns_of_the_cut_over_from_its_fence(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let row = intent(&node.lease, 1, 1, 1);
    assert!(is_applied(&node.write(insert(&row)).await));
    let other = home.open().await;
    other.keep_days(cutover()).await.expect("another process cuts over");
    let result = node.write(insert(&intent(&node.lease, 1, 2, 2))).await;
    let Persisted::Applied(commit) = result else { panic!("{result:?}") };
    assert_eq!(commit.day, tomorrow());
    let copy = node.write(insert(&intent(&node.lease, 1, 1, 3))).await;
    assert_eq!(lost(copy).expect("the overlap began").row.id.0, 1);
    assert!(is_applied(&node.write(change(approved(&row, TODAY))).await));
    node.stop().await;
}

async fn nothing_is_lost_when_the_day_is_cut_over_under_load(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let mut rows = Vec::new();
    let mut sent = 0_u32;
    let mut days = 0;
    while days < 3 {
        for _ in 0..200 {
            sent += 1;
            let row =
                intent(&node.lease, (sent % 50).try_into().expect("small"), sent, sent.into());
            node.send(insert(&row));
            rows.push(row);
        }
        let now = cutover().plus(hours(24 * days));
        if let Ok(kept) = node.store.keep_days(now).await {
            assert_eq!(
                kept.cut_over_to,
                Some(Day(TODAY.0 + 1 + i32::try_from(days).expect("small")))
            );
            days += 1;
        }
    }
    let mut placed = std::collections::BTreeMap::new();
    for _ in 0..sent {
        let (id, result) = node.result().await;
        let Persisted::Applied(commit) = result else { panic!("{result:?}") };
        placed.insert(id.0, commit.day);
    }
    let mut changes = Vec::new();
    for (row, day) in rows.iter().zip(placed.values()) {
        let found = node.store.read_id(row.id).await.expect("reads").expect("stands");
        assert_eq!(found.row.day, *day, "the row is in the leaf that was reported");
        changes.push(change(approved(row, *day)));
    }
    assert!(node.write_all(changes).await.iter().all(is_applied), "changes of three days at once");
    node.stop().await;
}

async fn a_delivery_that_stays_unknown_becomes_a_case(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let at = NOON.plus(Duration::from_secs(60));
    // 1: silent since. 2: sent a later request. 3: asked again. 4: reversed. 5: asked again, and that was lost too.
    // 6: sent its next request on the next day.
    let note = |id, kind, at| Note { id, day: TODAY, kind, at, detail: String::new() };
    for terminal in 1..=6_u8 {
        let row = intent(&node.lease, terminal, 1, terminal.into());
        assert!(is_applied(&node.write(insert(&row)).await));
        let mut outcome = approved(&row, TODAY);
        if terminal == 4 {
            outcome.row.state = RowState::Undone;
        }
        assert!(is_applied(&node.write(change(outcome)).await));
        let unknown = note(row.id, NoteKind::DeliveryUnknown, at);
        assert!(is_applied(&node.write(Record::Note(Box::new(unknown))).await));
        if terminal == 3 || terminal == 5 {
            let copy = note(row.id, NoteKind::Copy, at.plus(Duration::from_secs(5)));
            assert!(is_applied(&node.write(Record::Note(Box::new(copy))).await));
        }
        if terminal == 5 {
            let again = note(row.id, NoteKind::DeliveryUnknown, at.plus(Duration::from_secs(6)));
            assert!(is_applied(&node.write(Record::Note(Box::new(again))).await));
        }
    }
    let mut next = intent(&node.lease, 2, 2, 12);
    next.fixed_mut().created = at.plus(Duration::from_secs(90));
    assert!(is_applied(&node.write(insert(&next)).await));
    assert_eq!(node.keep_days(cutover()).await.delivery_unknown, 0);
    let mut next = intent(&node.lease, 6, 2, 16);
    next.fixed_mut().created = cutover().plus(Duration::from_secs(90));
    assert!(is_applied(&node.write(insert(&next)).await));
    let almost = node.keep_days(Wall(cutover().plus(hours(2)).0 - 1)).await;
    assert_eq!(almost.delivery_unknown, 0, "a terminal may come back within the overlap");
    assert_eq!(node.keep_days(cutover().plus(hours(2))).await.delivery_unknown, 2);
    assert_eq!(node.keep_days(cutover().plus(hours(3))).await.delivery_unknown, 0, "once");
    let cases = node.store.cases(None, 10).await.expect("reads");
    let mut ids: Vec<u64> = cases.iter().map(|case| case.id.0).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 5]);
    let ledger = node.store.ledger(TODAY, None, 100).await.expect("reads");
    assert_eq!(ledger.iter().filter(|row| row.delivery_unknown).count(), 6);
    node.stop().await;
}

async fn an_old_day_is_dropped_unless_something_is_open(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let row = intent(&node.lease, 1, 1, 1);
    assert!(is_applied(&node.write(insert(&row)).await));
    assert!(is_applied(&node.write(change(timed_out(&row, TODAY))).await));
    let other = intent(&node.lease, 1, 2, 2);
    assert!(is_applied(&node.write(insert(&other)).await));
    let case = Case { id: other.id, kind: CaseKind::ShedButApproved, at: NOON };
    assert!(is_applied(&node.write(Record::Case(Box::new(case))).await));
    let keep = u64::from(DayConfig::default().keep_days);
    node.keep_days(cutover()).await;
    node.keep_days(cutover().plus(hours(3))).await;
    let late = cutover().plus(hours(24 * (keep + 1)));
    assert!(node.pass_days(cutover(), late).await.cut_over_to.is_some());
    assert_eq!(node.keep_days(late).await.held, [TODAY], "an owed reversal");

    let mut confirmed = timed_out(&row, TODAY);
    confirmed.row.version = 2;
    confirmed.obligation = confirmed
        .obligation
        .map(|write| switch_core::ObligationWrite { status: ObligationStatus::Confirmed, ..write });
    assert!(is_applied(&node.write(change(confirmed)).await));
    assert_eq!(node.keep_days(late).await.held, [TODAY], "a case");
    home.execute("UPDATE cases SET resolved = 1").await;
    assert_eq!(node.keep_days(late).await.dropped, [TODAY]);
    assert_eq!(node.store.read_any_day(key(1, 1)).await.expect("reads"), None);
    assert_eq!(node.store.notes(row.id).await.expect("reads"), []);
    assert!(!node.store.days().await.expect("reads").contains(&TODAY));
    assert_eq!(home.count("SELECT count(*) FROM obligation").await, 0);
    assert_eq!(home.count("SELECT count(*) FROM cases").await, 0);
    node.stop().await;
}

async fn a_wrong_clock_moves_no_day_and_lets_no_identity_expire(home: &Home) {
    let mut node = Node::start(home, "a").await;
    assert!(is_applied(&node.write(insert(&intent(&node.lease, 1, 1, 1))).await));
    node.keep_days(cutover()).await;
    let far = node.keep_days(NOON.plus(hours(24 * 400))).await;
    assert_eq!((far.cut_over_to, far.doubt), (None, Some(DayDoubt::TooFar)));
    assert_eq!(far.days.map(|(current, _)| current), Some(tomorrow()));
    assert_eq!((far.dropped, far.held, far.delivery_unknown), (vec![], vec![], 0));
    let copy = node.write(insert(&intent(&node.lease, 1, 1, 2))).await;
    assert_eq!(lost(copy).expect("it still holds").row.id.0, 1);

    let next = cutover().plus(hours(24));
    let clock = DayClock { now: next, confirmed: false };
    let jumped = node.store.keep_days(clock).await.expect("keeps");
    assert_eq!((jumped.cut_over_to, jumped.doubt), (None, Some(DayDoubt::Unconfirmed)));
    let copy = node.write(insert(&intent(&node.lease, 1, 1, 3))).await;
    assert_eq!(lost(copy).expect("it still holds").row.id.0, 1);
    let behind = node.keep_days(Wall(NOON.0 - 48 * 3_600_000_000)).await;
    assert_eq!((behind.cut_over_to, behind.doubt), (None, Some(DayDoubt::Behind)));
    let good = node.keep_days(next).await;
    assert_eq!((good.cut_over_to, good.doubt), (Some(Day(TODAY.0 + 2)), None));
    node.stop().await;
}

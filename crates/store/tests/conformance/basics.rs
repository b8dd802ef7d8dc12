//! The cases that both back ends must pass.

use switch_core::{
    Case, CaseKind, ObligationStatus, Persisted, Progress, Record, RowState, TxnId, Wall,
};

use crate::fixture::{
    Home, NOON, Node, TODAY, approved, change, insert, intent, is_applied, key, lost, timed_out,
};

both! {
    rows_are_written_and_read,
    the_same_identity_is_lost,
    a_stale_change_is_lost,
    a_bad_record_stands_alone,
}

async fn rows_are_written_and_read(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let row = intent(&node.lease, 1, 1, 1);
    let Persisted::Applied(commit) = node.write(insert(&row)).await else { panic!("applied") };
    assert_eq!(commit.day, TODAY);
    let mut expected = row.clone();
    expected.day = TODAY;
    let found = node.found(row.key).await.expect("stands");
    assert_eq!((&found.row, found.obligation, found.within_horizon), (&expected, None, true));

    let outcome = approved(&row, TODAY);
    assert!(is_applied(&node.write(change(outcome.clone())).await));
    assert_eq!(node.found(row.key).await.expect("stands").row, outcome.row);

    let silent = intent(&node.lease, 1, 2, 2);
    assert!(is_applied(&node.write(insert(&silent)).await));
    let owed = timed_out(&silent, TODAY);
    assert!(is_applied(&node.write(change(owed.clone())).await));
    let found = node.store.read_id(TxnId(2)).await.expect("reads").expect("stands");
    assert_eq!(found.row, owed.row);
    let obligation = found.obligation.expect("owed");
    assert_eq!((obligation.status, obligation.attempts), (ObligationStatus::Owed, 0));
    assert_eq!(obligation.owner, node.lease.node);

    let progress = Progress {
        id: TxnId(2),
        key: silent.key,
        attempts: 3,
        parked: true,
        answered: None,
        at: NOON,
    };
    assert!(is_applied(&node.write(Record::Progress(progress)).await));
    let case = Case { id: TxnId(2), kind: CaseKind::ReversalUnanswered, at: NOON };
    assert!(is_applied(&node.write(Record::Case(Box::new(case))).await));
    let found = node.store.read_any_day(silent.key).await.expect("reads").expect("stands");
    let obligation = found.obligation.expect("owed");
    assert_eq!((obligation.attempts, obligation.parked), (3, true));

    let none = Progress { id: TxnId(1), ..progress };
    assert_eq!(node.write(Record::Progress(none)).await, Persisted::Lost(None));
    node.stop().await;
}

async fn the_same_identity_is_lost(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let first = intent(&node.lease, 1, 1, 1);
    assert!(is_applied(&node.write(insert(&first)).await));
    let second = intent(&node.lease, 1, 1, 2);
    let other = intent(&node.lease, 1, 2, 3);
    let results = node.write_all(vec![insert(&second), insert(&other)]).await;
    let [copy, other] = results.try_into().expect("two results");
    assert!(is_applied(&other));
    assert_eq!(lost(copy).expect("the first stands").row.id, TxnId(1));
    let both = vec![insert(&intent(&node.lease, 2, 1, 4)), insert(&intent(&node.lease, 2, 1, 5))];
    let results = node.write_all(both).await;
    assert_eq!(results.iter().filter(|result| is_applied(result)).count(), 1, "{results:?}");
    node.stop().await;
}

async fn a_stale_change_is_lost(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let row = intent(&node.lease, 1, 1, 1);
    assert!(is_applied(&node.write(insert(&row)).await));
    let outcome = approved(&row, TODAY);
    assert!(is_applied(&node.write(change(outcome.clone())).await));
    let found = lost(node.write(change(timed_out(&row, TODAY))).await).expect("stands");
    assert_eq!(found.row, outcome.row);
    assert_eq!(found.obligation, None, "nothing follows from a change that was lost");
    let unknown = intent(&node.lease, 1, 9, 9);
    assert_eq!(lost(node.write(change(approved(&unknown, TODAY))).await), None);
    node.stop().await;
}

async fn a_bad_record_stands_alone(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let mut records: Vec<_> = (1..=100).map(|n| intent(&node.lease, 3, n, u64::from(n))).collect();
    records[41].fixed_mut().amount = -1;
    let results = node.write_all(records.iter().map(insert).collect()).await;
    for (index, result) in results.iter().enumerate() {
        assert_eq!(is_applied(result), index != 41, "record {index}: {result:?}");
    }
    assert_eq!(results[41], Persisted::Failed);
    assert_eq!(node.found(key(3, 42)).await, None);
    let mut changes: Vec<_> = records.iter().map(|row| approved(row, TODAY)).collect();
    changes.remove(41);
    changes[7].obligation = timed_out(&records[7], TODAY).obligation;
    changes[7].row.state = RowState::Undone;
    let results = node.write_all(changes.into_iter().map(change).collect()).await;
    assert!(results.iter().all(is_applied));
    let found = node.found(key(3, 8)).await.expect("stands");
    assert_eq!(found.obligation.expect("owed").opened, Wall(NOON.0 + 15_000_000));
    node.stop().await;
}

//! What people and the comparison of ledgers ask.

use store::Filter;
use switch_core::{Key, RowState, TxnId};

use crate::fixture::{
    Home, NOON, Node, TODAY, approved, change, insert, intent, is_applied, timed_out,
};

both! {
    transactions_are_found_by_what_is_remembered_of_them,
    a_day_is_listed_in_pages,
}

async fn transactions_are_found_by_what_is_remembered_of_them(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let block = node.store.draw_numbers(1_000).await.expect("drawn");
    let mut rows: Vec<_> = (0..20_u8)
        .map(|n| intent(&node.lease, n % 5, n.into(), block.first + u64::from(n)))
        .collect();
    rows[7].fixed_mut().amount = 777;
    rows[9].fixed_mut().terminal = bytes::Bytes::from_static(b"T-9");
    assert!(node.write_all(rows.iter().map(insert).collect()).await.iter().all(is_applied));
    let mut answered = approved(&rows[3], TODAY);
    answered.row.answer = bytes::Bytes::from_static(b"\x01%\0\x06HOST-3");
    assert!(is_applied(&node.write(change(answered)).await));
    assert!(is_applied(&node.write(change(timed_out(&rows[4], TODAY))).await));
    let numbers = async |filter: Filter| -> Vec<u64> {
        let found = node.store.find(&filter, 4).await.expect("reads");
        found.iter().map(|found| found.row.id.0 - block.first).collect()
    };
    assert_eq!(numbers(Filter::default()).await, [19, 18, 17, 16], "the newest first");
    let after = Some(TxnId(block.first + 16));
    assert_eq!(numbers(Filter { after, ..Filter::default() }).await, [17, 18, 19]);
    let card_hash = Some([2; 16]);
    assert_eq!(numbers(Filter { card_hash, ..Filter::default() }).await, [17, 12, 7, 2]);
    assert_eq!(numbers(Filter { amount: Some(777), card_hash, ..Filter::default() }).await, [7]);
    let terminal = Some(b"T-9".to_vec());
    assert_eq!(numbers(Filter { terminal, ..Filter::default() }).await, [9]);
    assert_eq!(numbers(Filter { stan: Some(5), ..Filter::default() }).await, [5]);
    let state = Some(RowState::Approved);
    assert_eq!(numbers(Filter { state, ..Filter::default() }).await, [3]);
    for (reference, expected) in [(&b"HOST-3"[..], &[3_u64][..]), (b"HOST-4", &[])] {
        let host_rrn = Some(reference.to_vec());
        assert_eq!(numbers(Filter { host_rrn, ..Filter::default() }).await, expected);
    }
    assert_eq!(numbers(Filter { to: Some(NOON), ..Filter::default() }).await.len(), 0);
    let notes = node.store.notes(rows[4].id).await.expect("reads");
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].detail, "silence\0");
    let owed = node.store.owed_list(None, 10).await.expect("reads");
    assert_eq!((owed.len(), owed[0].terminal.as_slice()), (1, rows[4].terminal.as_ref()));
    let counts = node.store.open_counts().await.expect("reads");
    assert_eq!((counts.owed, counts.marked, counts.cases), (1, 0, 0));
    node.stop().await;
}

async fn a_day_is_listed_in_pages(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let rows: Vec<_> = (1..=25).map(|n| intent(&node.lease, 1, n, u64::from(n))).collect();
    assert!(node.write_all(rows.iter().map(insert).collect()).await.iter().all(is_applied));
    let reader = home.open().await;
    assert_eq!(reader.days().await.expect("reads"), [TODAY]);
    let mut listed: Vec<Key> = Vec::new();
    loop {
        let page = reader.ledger(TODAY, listed.last().copied(), 10).await.expect("reads");
        listed.extend(page.iter().map(|row| row.found.row.key));
        if page.len() < 10 {
            break;
        }
    }
    assert_eq!(listed, rows.iter().map(|row| row.key).collect::<Vec<_>>());
    node.stop().await;
}

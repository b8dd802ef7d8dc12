//! Leases, fences, numbers, recovery.

use std::{collections::BTreeSet, time::Duration};

use store::{Estate, READS, Store, StoreError};
use switch_core::{Epoch, ObligationStatus, TxnId};

use crate::fixture::{
    Home, NOON, Node, TODAY, approved, change, insert, intent, is_applied, key, timed_out,
};

both! {
    a_node_has_one_process,
    a_raised_fence_stops_the_writer,
    a_beat_after_the_fence_was_raised_fails,
    a_node_says_what_its_binary_reads,
    numbers_are_drawn_once,
    what_a_life_left_is_recovered_in_chunks,
}

async fn a_node_has_one_process(home: &Home) {
    let first = home.open().await;
    let lease = first.lease("a", "host one", NOON).await.expect("free");
    let second = home.open().await;
    let refused = second.lease("a", "host two", NOON).await.expect_err("taken");
    let words = match &refused {
        StoreError::Leased { .. } => {
            "node.id \"a\" is in use by host one: one process a node".into()
        }
        StoreError::InUse { path, .. } => {
            let path = path.display();
            format!("store.url: {path} is in use by host one: one process a file")
        }
        other => panic!("{other}"),
    };
    assert_eq!(refused.to_string(), words);
    assert_eq!(matches!(refused, StoreError::InUse { .. }), home.url.starts_with("sqlite"));
    drop(first);
    let again = second.lease("a", "host two", NOON).await.expect("it died with its process");
    assert_eq!((again.node, again.epoch), (lease.node, Epoch(lease.epoch.0 + 1)));
    assert_eq!(again.estates, [Estate { node: lease.node, below: again.epoch }]);
}

async fn a_raised_fence_stops_the_writer(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let row = intent(&node.lease, 1, 1, 1);
    assert!(is_applied(&node.write(insert(&row)).await));
    home.execute("UPDATE fence SET epoch = epoch + 1").await;
    node.send(insert(&intent(&node.lease, 1, 2, 2)));
    assert!(matches!(node.fatal().await, StoreError::Fenced { .. }));
    node.send(change(timed_out(&row, TODAY)));
    assert!(matches!(node.fatal().await, StoreError::Fenced { .. }));
    assert_eq!(node.found(key(1, 2)).await, None);
    assert_eq!(node.found(key(1, 1)).await.expect("stands").row.version, 0);
}

async fn a_beat_after_the_fence_was_raised_fails(home: &Home) {
    let node = Node::start(home, "a").await;
    node.store.beat(&node.lease, None).await.expect("beats");
    home.execute("UPDATE fence SET epoch = epoch + 1").await;
    let refused = node.store.beat(&node.lease, None).await.expect_err("it was taken over");
    assert!(matches!(refused, StoreError::Fenced { .. }), "{refused}");
}

async fn a_node_says_what_its_binary_reads(home: &Home) {
    let node = Node::start(home, "a").await;
    let postgres = matches!(node.store, Store::Postgres(_));
    let beats = node.store.beats().await.expect("reads");
    assert_eq!(beats[0].reads, READS, "from its lease on");
    node.store.beat(&node.lease, None).await.expect("beats");
    let beats = node.store.beats().await.expect("reads");
    assert_eq!(beats[0].reads, READS);
    assert!(node.store.all_read(&beats, READS) && !node.store.all_read(&beats, READS + 1));
    // A binary of version 4 beats.
    home.execute("UPDATE node SET beat = beat + 1").await;
    let beats = node.store.beats().await.expect("reads");
    assert_eq!(beats[0].reads, 4);
    assert_eq!(node.store.all_read(&beats, READS), !postgres, "one process serves a file");
    node.store.beat(&node.lease, None).await.expect("beats");
    let beats = node.store.beats().await.expect("reads");
    assert!(node.store.all_read(&beats, READS), "it was updated");
    node.stop().await;
}

async fn numbers_are_drawn_once(home: &Home) {
    let one = home.open().await;
    let two = home.open().await;
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        let (a, b) = tokio::join!(one.draw_numbers(1_000), two.draw_numbers(10_000));
        for block in [a.expect("drawn"), b.expect("drawn")] {
            assert!(block.first >= 1);
            seen.extend(block.first..block.first + block.count);
        }
    }
    assert_eq!(seen.len(), 44_000);
    drop((one, two));
    let block = home.open().await.draw_numbers(10).await.expect("drawn after a restart");
    assert!(seen.last().is_some_and(|last| block.first > *last));

    // The STAN of an owed reversal is not used for another transaction at its issuer, and that of one that its issuer
    // denied (status 6) is not either.
    let mut node = Node::start(home, "a").await;
    let mut other = intent(&node.lease, 1, 3, 79);
    other.fixed_mut().issuer = Some("visa".into());
    for row in [intent(&node.lease, 1, 1, 77), intent(&node.lease, 1, 2, 78), other] {
        assert!(is_applied(&node.write(insert(&row)).await));
        assert!(is_applied(&node.write(change(timed_out(&row, TODAY))).await));
    }
    home.execute("UPDATE obligation SET status = 6 WHERE id = 78").await;
    home.execute("UPDATE number SET next = 1000050").await;
    let block = node.store.draw_numbers(100).await.expect("drawn");
    assert_eq!(block.first, 1_000_050);
    let open = [(1_000_077, "unionpay"), (1_000_078, "unionpay"), (1_000_079, "visa")];
    assert_eq!(block.skip, open.map(|(number, issuer)| (number, issuer.into())));
    home.execute("UPDATE number SET next = 999999999990").await;
    let refused = node.store.draw_numbers(100).await.expect_err("no more than twelve digits");
    assert!(matches!(refused, StoreError::NumbersExhausted), "{refused}");
    node.stop().await;
}

async fn what_a_life_left_is_recovered_in_chunks(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let rows: Vec<_> = (1..=25).map(|n| intent(&node.lease, 1, n, u64::from(n))).collect();
    assert!(node.write_all(rows.iter().map(insert).collect()).await.iter().all(is_applied));
    let outcomes = rows[..5].iter().map(|row| change(approved(row, TODAY)));
    let silent = rows[5..8].iter().map(|row| change(timed_out(row, TODAY)));
    assert!(node.write_all(outcomes.chain(silent).collect()).await.iter().all(is_applied));
    let own = Estate { node: node.lease.node, below: node.lease.epoch };
    let none = node.store.recover(own, TxnId(0), 10).await.expect("reads");
    assert_eq!(none.len(), 0, "its own life's rows are not recovered");
    node.stop().await;

    let mut node = Node::start(home, "a").await;
    assert!(is_applied(&node.write(insert(&intent(&node.lease, 2, 1, 26))).await));
    let own = node.lease.estates[0];
    let mut numbers = Vec::new();
    let mut after = TxnId(0);
    loop {
        let chunk = node.store.recover(own, after, 10).await.expect("reads");
        numbers.extend(chunk.iter().map(|found| found.row.id.0));
        let Some(last) = chunk.last().filter(|_| chunk.len() == 10) else { break };
        after = last.row.id;
    }
    assert_eq!(numbers, (9..=25).collect::<Vec<u64>>());
    let owed = node.store.owed(node.lease.node, TxnId(6), 10).await.expect("reads");
    assert_eq!(owed.iter().map(|found| found.row.id.0).collect::<Vec<_>>(), [7, 8]);
    let obligation = owed[0].obligation.as_ref().expect("owed");
    assert_eq!(obligation.status, ObligationStatus::Owed);
    let some = node.store.read_owed(&[TxnId(1), TxnId(6), TxnId(99)]).await.expect("reads");
    assert_eq!(some.iter().map(|found| found.row.id.0).collect::<Vec<_>>(), [6]);

    // Only now may a beat move the bound, and not at once.
    let (beat, wanted) = (TxnId(200_000), 200_000);
    for _ in 0..4 {
        let lowest = node.store.beats().await.expect("reads")[0].lowest_open;
        assert!(lowest.0 <= 1, "{lowest:?}");
        node.store.beat(&node.lease, Some(beat)).await.expect("beats");
    }
    assert_eq!(node.store.beats().await.expect("reads")[0].lowest_open.0, wanted);
    let bounded = node.store.recover(own, TxnId(0), 10).await.expect("reads");
    assert_eq!(bounded.len(), 0, "nothing below the bound is looked at");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_taken_over() {
    let home = Home::postgres();
    let mut a = Node::start(&home, "a").await;
    let mut b = Node::start(&home, "b").await;
    let rows: Vec<_> = (1..=4).map(|n| intent(&a.lease, 1, n, u64::from(n))).collect();
    assert!(a.write_all(rows.iter().map(insert).collect()).await.iter().all(is_applied));
    assert!(is_applied(&a.write(change(timed_out(&rows[0], TODAY))).await));
    let seen = a.lease.epoch;
    let (node, stale) = (a.lease.node, Epoch(seen.0 - 1));
    assert_eq!(b.store.take_over(&b.lease, node, stale).await.expect("asks"), None);
    let taken = b.store.take_over(&b.lease, node, seen).await.expect("asks").expect("takes");
    assert_eq!(taken.estates, [Estate { node, below: Epoch(seen.0 + 1) }]);
    assert_eq!(taken.adopted, [TxnId(1)]);
    // Where its answer is lost, beats tell it.
    let beats = b.store.beats().await.expect("reads");
    let estates: Vec<_> = beats.iter().filter_map(|beat| beat.estate_of(b.lease.node)).collect();
    assert_eq!(estates, taken.estates);
    let owed = b.store.owed(b.lease.node, TxnId(0), 10).await.expect("reads");
    assert_eq!(owed.iter().map(|found| found.row.id).collect::<Vec<_>>(), taken.adopted);
    assert_eq!(b.store.take_over(&b.lease, node, seen).await.expect("asks"), None, "once");
    let beats = b.store.beats().await.expect("reads");
    assert_eq!(beats.iter().map(|beat| beat.taken).collect::<Vec<_>>(), [true, false]);
    home.execute("UPDATE node SET beat = beat + 1 WHERE name = 'a'").await;
    let beats = b.store.beats().await.expect("reads");
    assert_eq!(beats.iter().map(|beat| beat.reads).collect::<Vec<_>>(), [4, READS]);
    assert!(b.store.all_read(&beats, READS), "a node that was taken over does not count");

    a.send(insert(&intent(&a.lease, 1, 9, 9)));
    assert!(matches!(a.fatal().await, StoreError::Fenced { .. }), "it wakes and ends");
    let open = b.store.recover(taken.estates[0], TxnId(0), 10).await.expect("reads");
    assert_eq!(open.len(), 3);
    let result = b.write(change(timed_out(&open[0].row, TODAY))).await;
    assert!(is_applied(&result), "{result:?}");
    let owed = b.store.owed(b.lease.node, TxnId(0), 10).await.expect("reads");
    assert_eq!(owed.len(), 2, "the adopted one and the new one");

    // B dies before it is done: C takes over both, and a returning A has its own again.
    let c = Node::start(&home, "c").await;
    let taken = c
        .store
        .take_over(&c.lease, b.lease.node, b.lease.epoch)
        .await
        .expect("asks")
        .expect("takes");
    assert_eq!(taken.estates.len(), 2);
    assert_eq!(taken.adopted.len(), 2);
    drop(a);
    let a = Node::start(&home, "a").await;
    assert_eq!(a.lease.epoch, Epoch(seen.0 + 2));
    let open = a.store.recover(a.lease.estates[0], TxnId(0), 10).await.expect("reads");
    assert_eq!(open.len(), 2);
    drop(c);
    let c = Node::start(&home, "c").await;
    assert_eq!(c.lease.estates.len(), 2, "its own, and B's, but no longer A's");
    tokio::time::timeout(Duration::from_secs(10), async { (a.stop().await, c.stop().await) })
        .await
        .expect("both end in order");
}

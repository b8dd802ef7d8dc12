//! Batches, settlements, uploads and what terminals fetch.

use std::time::Duration;

use bytes::Bytes;
use store::{
    Balance, Ended, Group, Line, Opening, Place, Rules, Settled, Settlement, SignIn, SignedIn,
    Source, Sum, TerminalState, Totals, UploadEnd, Uploaded,
};
use switch_core::{CaseKind, Key, Kind, Row, RowState, TerminalKey, TxnId, Wall};

use crate::fixture::{
    Home, NOON, Node, TODAY, approved, change, hours, insert, intent, is_applied, timed_out,
};

both! {
    a_terminal_brings_its_batch_and_others_hear_of_it,
    a_sign_in_gives_a_batch_that_the_horizon_did_not_use,
    a_brought_batch_that_was_forgotten_is_settled,
    a_settlement_counts_compares_and_closes,
    a_settlement_covers_all_open_batches,
    a_settlement_waits_for_what_is_in_flight,
    a_tip_counts_by_what_it_adds,
    an_upload_shows_the_four_differences,
    a_balanced_batch_takes_certificates_and_compares_nothing,
    a_closed_number_comes_again_beyond_its_horizon,
    a_file_is_fetched_when_its_end_was_reached_in_one_version,
}

const TERMINAL: TerminalKey = TerminalKey([1; 8]);

fn place(terminal: u8) -> Place {
    Place {
        terminal: TerminalKey([terminal; 8]),
        domain: "default".to_owned(),
        merchant: Bytes::from_static(b"123456789012345"),
        name: Bytes::from_static(b"T-1\x00"),
        listener: "pos".into(),
    }
}

fn rules() -> Rules {
    Rules {
        debit: vec![Kind::Purchase],
        credit: vec![Kind::Void],
        foreign: ["visa".to_owned()].into(),
    }
}

fn later(seconds: u64) -> Wall {
    NOON.plus(Duration::from_secs(seconds))
}

pub(crate) fn brought(terminal: u8, number: u32) -> Opening {
    Opening { place: place(terminal), number, at: NOON }
}

async fn state(node: &Node) -> TerminalState {
    node.store.terminal(TERMINAL).await.expect("reads").expect("known")
}

/// A transaction of the terminal's batch.
fn row(node: &Node, batch: u32, stan: u32, amount: i64) -> Row {
    let mut row = intent(&node.lease, 1, stan, u64::from(batch) * 1_000 + u64::from(stan));
    row.fixed_mut().key = Key::new(TERMINAL, batch, stan, Kind::Purchase);
    row.fixed_mut().amount = amount;
    row
}

async fn sell(node: &mut Node, row: &Row) {
    assert!(is_applied(&node.write(insert(row)).await));
    assert!(is_applied(&node.write(change(approved(row, TODAY))).await));
}

fn settlement(number: u32, stan: u32, asked: Totals) -> Settlement {
    Settlement { place: place(1), number, stan, asked, at: later(60) }
}

fn debit(amount: i64, count: u32) -> Totals {
    let debit = Sum { amount, count };
    Totals { domestic: Group { debit, ..Group::default() }, ..Totals::default() }
}

async fn settle(node: &Node, settlement: &Settlement) -> Settled {
    node.store.settle(settlement, &rules()).await.expect("settles")
}

fn balanced(settled: &Settled) -> Option<(bool, bool)> {
    match settled {
        Settled::Closed { balanced, repeated, .. } => Some((*balanced, *repeated)),
        Settled::InFlight | Settled::Differs => None,
    }
}

async fn a_terminal_brings_its_batch_and_others_hear_of_it(home: &Home) {
    let node = Node::start(home, "a").await;
    assert_eq!(node.store.terminal(TERMINAL).await.expect("reads"), None);
    let openings: Vec<Opening> = (1..=250_u8).map(|terminal| brought(terminal, 7)).collect();
    node.store.open_batches(&openings).await.expect("opened");
    let all = node.store.terminals(None, 1_000).await.expect("reads");
    assert_eq!(all.len(), 250);
    assert!(all.iter().all(|state| state.batch == Some(7) && state.closed.is_empty()));
    let page = node.store.terminals(Some(all[9].terminal), 5).await.expect("reads");
    assert_eq!(page, all[10..15]);
    let newest = all.iter().map(|state| state.seq).max().expect("some");
    assert_eq!(node.store.terminals_changed(newest).await.expect("reads"), []);
    // Another number changes nothing while this one is open.
    node.store.open_batches(&[brought(1, 8)]).await.expect("nothing to do");
    assert_eq!(state(&node).await.batch, Some(7));
    settle(&node, &settlement(7, 1, Totals::default())).await;
    let changed = node.store.terminals_changed(newest).await.expect("reads");
    assert_eq!(changed.len(), 1);
    assert_eq!((changed[0].batch, &changed[0].closed[..]), (None, &[(7, TODAY)][..]));
    assert!(node.store.batch_closed(TERMINAL, 7, switch_core::Day(i32::MAX)).await.expect("reads"));
    // What is closed does not come back today; the next does.
    node.store.open_batches(&[brought(1, 7)]).await.expect("nothing to do");
    assert_eq!(state(&node).await.batch, None);
    node.store.open_batches(&[brought(1, 8)]).await.expect("opened");
    assert_eq!(state(&node).await.batch, Some(8));
    node.stop().await;
}

async fn a_sign_in_gives_a_batch_that_the_horizon_did_not_use(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let sign_in = async |node: &Node, stan, brought, at| {
        let ask = SignIn { place: place(1), stan, brought, at, window: 600_000_000 };
        node.store.sign_in(&ask).await.expect("signed in")
    };
    assert_eq!(sign_in(&node, 1, 999_999, NOON).await, SignedIn { batch: 999_999, at: NOON });
    assert_eq!(
        sign_in(&node, 1, 999_999, later(5)).await,
        SignedIn { batch: 999_999, at: NOON },
        "a copy"
    );
    assert_eq!(
        sign_in(&node, 2, 0, later(6)).await,
        SignedIn { batch: 999_999, at: later(6) },
        "unused"
    );
    assert_eq!(state(&node).await.batch, Some(999_999));
    let used = row(&node, 999_999, 3, 5);
    assert!(is_applied(&node.write(insert(&used)).await));
    // Of a batch that the terminal brought, and of which nothing else was written: number 1 is skipped, and counts.
    let stray = row(&node, 1, 3, 5);
    assert!(is_applied(&node.write(insert(&stray)).await));
    assert_eq!(sign_in(&node, 2, 999_999, later(7)).await, SignedIn { batch: 2, at: later(7) });
    assert_eq!(state(&node).await.batch, Some(2));
    for sold in [&used, &stray] {
        assert!(is_applied(&node.write(change(approved(sold, TODAY))).await));
    }
    assert_eq!(
        balanced(&settle(&node, &settlement(2, 8, debit(10, 2))).await),
        Some((true, false)),
        "all three batches"
    );
    assert!(node.store.batch_closed(TERMINAL, 1, TODAY).await.expect("reads"));
    node.stop().await;
}

async fn a_brought_batch_that_was_forgotten_is_settled(home: &Home) {
    let mut node = Node::start(home, "a").await;
    // The node died before it wrote that batch 5 was brought; the terminal goes on with 6.
    let [first, second] = [row(&node, 5, 1, 100), row(&node, 6, 2, 11)];
    sell(&mut node, &first).await;
    node.store.open_batches(&[brought(1, 6)]).await.expect("opened");
    sell(&mut node, &second).await;
    let settled = settle(&node, &settlement(6, 3, debit(111, 2))).await;
    assert_eq!(balanced(&settled), Some((true, false)));
    assert!(node.store.batch_closed(TERMINAL, 5, TODAY).await.expect("reads"));
    node.stop().await;
}

async fn a_settlement_counts_compares_and_closes(home: &Home) {
    let mut node = Node::start(home, "a").await;
    node.store.open_batches(&[brought(1, 7)]).await.expect("opened");
    let rows: Vec<Row> = (1..=4).map(|stan| row(&node, 7, stan, 100)).collect();
    let mut foreign = row(&node, 7, 5, 40);
    foreign.fixed_mut().issuer = Some("visa".into());
    let mut void = row(&node, 7, 6, 100);
    void.fixed_mut().key = Key::new(TERMINAL, 7, 6, Kind::Void);
    void.fixed_mut().kind = Kind::Void;
    // Another terminal's.
    let mut other = row(&node, 7, 9, 8_000);
    other.fixed_mut().key = Key::new(TerminalKey([2; 8]), 7, 9, Kind::Purchase);
    for row in rows[..2].iter().chain([&foreign, &void, &other]) {
        sell(&mut node, row).await;
    }
    for row in &rows[2..] {
        assert!(is_applied(&node.write(insert(row)).await));
    }
    assert!(is_applied(&node.write(change(timed_out(&rows[2], TODAY))).await));
    let mut declined = approved(&rows[3], TODAY);
    declined.row.state = RowState::Declined;
    assert!(is_applied(&node.write(change(declined)).await));

    let mut asked = debit(200, 2);
    asked.domestic.credit = Sum { amount: 100, count: 1 };
    asked.foreign.debit = Sum { amount: 41, count: 1 };
    assert_eq!(settle(&node, &settlement(8, 50, asked)).await, Settled::Differs);
    let first = settle(&node, &settlement(7, 50, asked)).await;
    let expected = Settled::Closed {
        field: asked.field([Balance::Balanced, Balance::Unbalanced]),
        balanced: false,
        at: later(60),
        day: TODAY,
        repeated: false,
    };
    assert_eq!(first, expected);
    let Settled::Closed { field, .. } = &first else { panic!("closed") };
    let repeat = Settlement { at: later(90), ..settlement(7, 50, debit(1, 1)) };
    let Settled::Closed { field: again, at, repeated: true, .. } = settle(&node, &repeat).await
    else {
        panic!("a copy")
    };
    assert_eq!((&again, at), (field, later(60)));
    // A terminal that lost its STAN asks with the same totals.
    assert_eq!(balanced(&settle(&node, &settlement(7, 51, asked)).await), Some((false, true)));
    assert_eq!(settle(&node, &settlement(7, 51, debit(1, 1))).await, Settled::Differs);
    let files = node.store.batches(Some(b"T-1\0"), 10).await.expect("reads");
    assert_eq!(files.len(), 1);
    let [theirs, ours] = files[0].totals.expect("settled");
    assert_eq!(theirs, asked);
    assert_eq!(ours.foreign.debit, Sum { amount: 40, count: 1 });
    assert_eq!((files[0].balanced, files[0].number), (Some(false), 7));
    node.stop().await;
}

async fn a_settlement_covers_all_open_batches(home: &Home) {
    let mut node = Node::start(home, "a").await;
    node.store.open_batches(&[brought(1, 7)]).await.expect("opened");
    let first = row(&node, 7, 1, 100);
    sell(&mut node, &first).await;
    let ask = SignIn { place: place(1), stan: 2, brought: 7, at: later(1), window: 0 };
    assert_eq!(node.store.sign_in(&ask).await.expect("signed in").batch, 8);
    let second = row(&node, 8, 3, 11);
    sell(&mut node, &second).await;
    assert_eq!(settle(&node, &settlement(7, 4, debit(111, 2))).await, Settled::Differs);
    let settled = settle(&node, &settlement(8, 4, debit(111, 2))).await;
    assert_eq!(balanced(&settled), Some((true, false)));
    assert_eq!(state(&node).await.closed.len(), 2);
    assert!(node.store.batch_closed(TERMINAL, 7, switch_core::Day(i32::MAX)).await.expect("reads"));
    node.stop().await;
}

async fn a_settlement_waits_for_what_is_in_flight(home: &Home) {
    let mut node = Node::start(home, "a").await;
    node.store.open_batches(&[brought(1, 7)]).await.expect("opened");
    let row = row(&node, 7, 1, 100);
    assert!(is_applied(&node.write(insert(&row)).await));
    let ask = settlement(7, 9, debit(100, 1));
    assert_eq!(settle(&node, &ask).await, Settled::InFlight);
    assert!(
        !node.store.batch_closed(TERMINAL, 7, switch_core::Day(i32::MAX)).await.expect("reads")
    );
    assert!(is_applied(&node.write(change(approved(&row, TODAY))).await));
    assert_eq!(balanced(&settle(&node, &ask).await), Some((true, false)));
    node.stop().await;
}

async fn a_tip_counts_by_what_it_adds(home: &Home) {
    let mut node = Node::start(home, "a").await;
    node.store.open_batches(&[brought(1, 7)]).await.expect("opened");
    let (sale, tip) = (row(&node, 7, 1, 100), row(&node, 7, 2, 110));
    sell(&mut node, &sale).await;
    assert!(is_applied(&node.write(insert(&tip)).await));
    home.execute("UPDATE txn SET state = 9, kind = 16 WHERE stan = 2").await;
    home.execute(
        "INSERT INTO claim (id, original, key, day, amount, status, opened) \
         SELECT id, 7001, key, day, -10, 1, created FROM txn WHERE stan = 2",
    )
    .await;
    let rules = Rules { debit: vec![Kind::Purchase, Kind::Tip], ..rules() };
    let settled = node.store.settle(&settlement(7, 9, debit(111, 2)), &rules).await;
    assert_eq!(balanced(&settled.expect("settles")), Some((false, false)));
    let files = node.store.batches(None, 10).await.expect("reads");
    assert_eq!(files[0].totals.map(|[_, held]| held), Some(debit(110, 2)));
    // Its own line tells the whole amount.
    let tip = Line { kind: Some(Kind::Tip), ..line(Source::Detail, 2, 110) };
    let lines = [line(Source::List, 1, 100), tip];
    assert_eq!(node.store.upload(TERMINAL, 7, &lines).await.expect("kept"), Uploaded::Taken);
    let ended = node.store.end_upload(&end(7, 2), &rules).await.expect("answered");
    assert_eq!(ended, Ended::Compared { cases: 0, repeated: false });
    node.stop().await;
}

fn line(source: Source, trace: u32, amount: i64) -> Line {
    Line {
        source,
        trace,
        kind: None,
        amount,
        card_hash: [1; 16],
        first6: *b"621234",
        last4: *b"1232",
    }
}

fn end(batch: u32, count: u64) -> UploadEnd {
    UploadEnd { place: place(1), batch, count, at: later(120) }
}

async fn an_upload_shows_the_four_differences(home: &Home) {
    let mut node = Node::start(home, "a").await;
    let block = node.store.draw_numbers(10).await.expect("drawn");
    node.store.open_batches(&[brought(1, 7)]).await.expect("opened");
    let rows: Vec<Row> = (1..=4).map(|stan| row(&node, 7, stan, i64::from(stan) * 100)).collect();
    for row in &rows[..3] {
        sell(&mut node, row).await;
    }
    assert!(is_applied(&node.write(insert(&rows[3])).await));
    assert!(is_applied(&node.write(change(timed_out(&rows[3], TODAY))).await));
    let list = |trace, amount| line(Source::List, trace, amount);
    let lines = [list(1, 100), list(2, 222), list(4, 400), list(9, 900)];
    let upload =
        async |lines: &[Line]| node.store.upload(TERMINAL, 7, lines).await.expect("answered");
    assert_eq!(upload(&lines).await, Uploaded::NotSettled);
    assert_eq!(
        node.store.end_upload(&end(7, 0), &rules()).await.expect("answered"),
        Ended::NotSettled
    );
    assert_eq!(
        balanced(&settle(&node, &settlement(7, 50, debit(1_622, 4))).await),
        Some((false, false))
    );
    assert_eq!(upload(&lines[..2]).await, Uploaded::Taken);
    assert_eq!(upload(&lines[..3]).await, Uploaded::Taken, "two came again");
    let ended =
        async |count| node.store.end_upload(&end(7, count), &rules()).await.expect("answered");
    assert_eq!(ended(4).await, Ended::CountDiffers);
    assert_eq!(upload(&lines).await, Uploaded::Taken);
    assert_eq!(ended(4).await, Ended::Compared { cases: 4, repeated: false });
    assert_eq!(ended(4).await, Ended::Compared { cases: 4, repeated: true });
    let mut cases = node.store.cases(None, 10).await.expect("reads");
    cases.sort_by_key(|case| case.kind);
    let kinds: Vec<(CaseKind, TxnId)> = cases.iter().map(|case| (case.kind, case.id)).collect();
    let strange = cases[0].id;
    assert!(strange.0 >= block.first + block.count, "a number of its own");
    assert_eq!(
        kinds,
        [
            (CaseKind::TerminalOnly, strange),
            (CaseKind::SwitchOnly, rows[2].id),
            (CaseKind::AmountsDiffer, rows[1].id),
            (CaseKind::ReversedHere, rows[3].id),
        ]
    );
    assert_eq!(
        cases[2].detail,
        "terminal T-1? batch 000007 trace 000002: terminal 222, switch 200"
    );
    let next = node.store.draw_numbers(1).await.expect("drawn");
    assert!(next.first > strange.0, "no transaction gets that number");
    node.stop().await;
}

async fn a_balanced_batch_takes_certificates_and_compares_nothing(home: &Home) {
    let mut node = Node::start(home, "a").await;
    node.store.open_batches(&[brought(1, 7)]).await.expect("opened");
    let row = row(&node, 7, 1, 100);
    sell(&mut node, &row).await;
    settle(&node, &settlement(7, 50, debit(100, 1))).await;
    let chip = [line(Source::Chip, 1, 100), line(Source::Chip, 2, 5)];
    assert_eq!(node.store.upload(TERMINAL, 7, &chip).await.expect("kept"), Uploaded::Taken);
    let ended = node.store.end_upload(&end(7, 2), &rules()).await.expect("answered");
    assert_eq!(ended, Ended::Compared { cases: 0, repeated: false });
    assert_eq!(node.store.cases(None, 10).await.expect("reads"), []);
    node.stop().await;
}

async fn a_closed_number_comes_again_beyond_its_horizon(home: &Home) {
    let mut node = Node::start(home, "a").await;
    node.store.open_batches(&[brought(1, 7)]).await.expect("opened");
    let row = row(&node, 7, 1, 100);
    sell(&mut node, &row).await;
    settle(&node, &settlement(7, 50, debit(100, 1))).await;
    // After the cut-over its day still holds, after the overlap no more.
    for (after, opens) in [(12, false), (14, true)] {
        let now = NOON.plus(hours(after));
        node.keep_days(now).await;
        node.keep_days(now).await;
        let opening = Opening { at: now, ..brought(1, 7) };
        node.store.open_batches(&[opening]).await.expect("answered");
        assert_eq!(state(&node).await.batch, opens.then_some(7), "after {after} hours");
    }
    assert!(
        !node.store.batch_closed(TERMINAL, 7, switch_core::Day(i32::MAX)).await.expect("reads")
    );
    let now = NOON.plus(hours(15));
    let ask = Settlement { at: now, ..settlement(7, 51, Totals::default()) };
    assert_eq!(
        balanced(&settle(&node, &ask).await),
        Some((true, false)),
        "what was settled does not count again"
    );
    node.stop().await;
}

async fn a_file_is_fetched_when_its_end_was_reached_in_one_version(home: &Home) {
    let node = Node::start(home, "a").await;
    let begin = async |version, from_start| {
        let done = node.store.begin_fetch(&place(1), "keys", version, from_start).await;
        done.expect("kept");
    };
    let ended =
        async |version| node.store.end_fetch(TERMINAL, "keys", version).await.expect("answered");
    assert!(!ended("1").await, "never begun");
    begin("1", true).await;
    assert!(ended("1").await);
    assert!(ended("1").await, "a copy");
    assert_eq!(state(&node).await.fetched[0].version.as_deref(), Some("1"));
    begin("1", false).await;
    begin("2", false).await;
    assert!(!ended("2").await, "it began with another version");
    assert_eq!(state(&node).await.fetched[0].version.as_deref(), Some("1"));
    begin("2", false).await;
    assert!(ended("2").await);
    assert_eq!(state(&node).await.fetched[0].version.as_deref(), Some("2"));
    node.store.report(&place(1), "372", NOON).await.expect("kept");
    node.stop().await;
}

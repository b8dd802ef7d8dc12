//! A sale from the terminal to its issuer and back, and what undoes it.

use crate::{
    host::{Deed, approval},
    node::{Node, until},
    terminal::{code, purchase, request, reversal},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_is_approved_across_all_floors() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    let stan = 1;
    let answer = terminal.ask(&purchase(stan, 12_345)).await;
    assert_eq!(code(&answer), "00");
    let text = |number| answer.text(number).map(std::borrow::Cow::into_owned);
    assert_eq!(text(4).as_deref(), Some("000000012345"));
    assert_eq!(text(11), Some(format!("{stan:06}")));
    assert_eq!(text(38).as_deref(), Some("A12345"));
    assert_eq!(text(60).as_deref(), Some("22000001000"));
    assert_eq!(answer.mti().as_str(), "0210");
    assert_eq!(
        answer.header().and_then(|h| h.tpdu().map(<[u8]>::to_vec)),
        Some(vec![0x60, 0, 7, 0, 3])
    );

    let forwarded = node.host.seen("0200").pop().expect("forwarded");
    assert_eq!(forwarded.text(37).map(std::borrow::Cow::into_owned), text(37));
    assert_eq!(forwarded.text(2).as_deref(), Some("6212345678901232"));
    assert_eq!(forwarded.text(52).as_deref(), Some("0102030405060708"));
    assert_eq!(forwarded.text(55).as_deref(), Some("9F260201029F360109"));
    assert_eq!(forwarded.text(12).map(std::borrow::Cow::into_owned), text(12));
    assert_eq!(
        forwarded.stan().map(|stan| stan.number() % 1_000_000),
        text(37).and_then(|rrn| rrn.get(6..)?.parse().ok())
    );

    // The same again gets the stored answer, and is not forwarded again.
    let again = terminal.ask(&purchase(stan, 12_345)).await;
    for number in [4, 12, 13, 37, 38, 39] {
        assert_eq!(again.text(number), answer.text(number), "field {number}");
    }
    // Other content under the same identity is refused.
    assert_eq!(code(&terminal.ask(&purchase(stan, 99)).await), "94");
    assert_eq!(node.host.seen("0200").len(), 1);
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_reversed_and_told_as_98() {
    let node = Node::start().await;
    node.host.conduct(|message| match message.mti().class() {
        2 => Deed::Answer(Vec::new()),
        _ => Deed::Answer(vec![approval(message)]),
    });
    let mut terminal = node.terminal().await;
    let stan = 1;
    assert_eq!(code(&terminal.ask(&purchase(stan, 500)).await), "98");
    let original = node.host.seen("0200").pop().expect("forwarded");
    until("the reversal came", || async { !node.host.seen("0400").is_empty() }).await;
    let reversal = node.host.seen("0400").pop().expect("sent");
    for number in [2, 3, 4, 7, 11, 12, 13, 14, 22, 25, 32, 37, 41, 42, 49] {
        assert_eq!(reversal.text(number), original.text(number), "field {number}");
    }
    assert_eq!(reversal.text(39).as_deref(), Some("98"));
    let elements = reversal.text(90).expect("original data elements").into_owned();
    let own = |number| original.text(number).expect("there").into_owned();
    assert_eq!(
        elements,
        format!("0200{}{}{:0>11}{:0>11}", own(11), own(7), "00000000", "00000000")
    );
    let watch = node.running.watch();
    until("nothing is owed", || async { watch.gauges().reversals_owed == 0 }).await;
    // A repeat of it is told the same.
    assert_eq!(code(&terminal.ask(&purchase(stan, 500)).await), "98");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terminals_reversal_undoes_its_sale() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    let stan = 1;
    assert_eq!(code(&terminal.ask(&purchase(stan, 700)).await), "00");
    assert_eq!(code(&terminal.ask(&reversal(stan, 701)).await), "64");
    let answer = terminal.ask(&reversal(stan, 700)).await;
    assert_eq!((answer.mti().as_str(), code(&answer).as_str()), ("0410", "00"));
    until("the reversal came", || async { !node.host.seen("0400").is_empty() }).await;
    assert_eq!(code(&terminal.ask(&purchase(stan, 700)).await), "98");
    // Of an unknown sale: nothing is owed, and the sale will be refused.
    assert_eq!(code(&terminal.ask(&reversal(900_000, 1)).await), "00");
    assert_eq!(code(&terminal.ask(&purchase(900_000, 1)).await), "12");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_test_is_answered() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    let mut echo = request("0820", 5);
    echo.remove(11);
    echo.set_text(60, "00000001301");
    let answer = terminal.ask(&echo).await;
    assert_eq!((answer.mti().as_str(), code(&answer).as_str()), ("0830", "00"));
    assert!(answer.has(12) && answer.has(13) && answer.has(37));
    node.running.drain().await.expect("a good end");
}

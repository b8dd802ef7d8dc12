//! Abuse of the terminal port: each with the result that it must have.

use std::time::Duration;

use iso8583::{Message, Mti};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    host::{Deed, approval},
    node::{Node, until},
    terminal::{Terminal, code, purchase, request, reversal},
};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_and_unfinished_frames_are_closed() {
    let node = Node::start_with(|settings| {
        settings.listeners[0].idle_timeout = SHORT;
        settings.bounds.frame = SHORT;
    })
    .await;
    let mut silent = node.terminal().await;
    assert!(silent.is_closed().await, "connect, send nothing");
    let mut slow = node.terminal().await;
    slow.write(&[0, 100, 0x60]).await;
    assert!(slow.is_closed().await, "a length that never completes");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_lengths_are_closed_before_anything_is_allocated() {
    let node = Node::start().await;
    for length in [1_u16, 4_097, 65_535] {
        let mut terminal = node.terminal().await;
        terminal.write(&length.to_be_bytes()).await;
        assert!(terminal.is_closed().await, "length {length}");
    }
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zero_lengths_are_keepalives_until_they_are_a_flood() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    terminal.write(&[0; 10]).await;
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "00", "five keep-alives do no harm");
    terminal.write(&[0; 40]).await;
    assert!(terminal.is_closed().await, "twenty within a second");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zero_lengths_are_sent_back_where_the_listener_says_so() {
    let node = Node::start_with(|settings| {
        settings.listeners[0].keepalive = switch::config::Keepalive::Echo;
    })
    .await;
    let mut terminal = node.terminal().await;
    terminal.write(&[0; 4]).await;
    let mut echoed = [1; 4];
    terminal.stream.read_exact(&mut echoed).await.expect("sent back");
    assert_eq!(echoed, [0; 4]);
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_dropped_and_ten_in_a_minute_close() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    let mut unreadable = [0xff; 22];
    unreadable[..2].copy_from_slice(&20_u16.to_be_bytes());
    for _ in 0..9 {
        terminal.write(&unreadable).await;
    }
    assert_eq!(
        code(&terminal.ask(&purchase(1, 100)).await),
        "00",
        "nine bad frames cut nobody off"
    );
    terminal.write(&unreadable).await;
    assert!(terminal.is_closed().await, "the tenth");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_fields_are_answered_30_where_the_terminal_can_be_read() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    let mut missing = purchase(1, 100);
    missing.remove(4);
    assert_eq!(code(&terminal.ask(&missing).await), "30", "without an amount");
    // A byte behind the last field.
    let mut bytes = terminal.bytes(&purchase(2, 100)).to_vec();
    bytes.push(0xff);
    let length = u16::try_from(bytes.len() - 2).expect("short").to_be_bytes();
    bytes[..2].copy_from_slice(&length);
    terminal.write(&bytes).await;
    assert_eq!(code(&terminal.receive().await.expect("an answer")), "30", "trailing bytes");
    let mut wrong = purchase(3, 100);
    wrong.set_text(60, "2200");
    assert_eq!(code(&terminal.ask(&wrong).await), "30", "60 without a batch");
    assert!(node.host.seen("0200").is_empty(), "none was forwarded");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_kinds_are_12_and_responses_are_ignored() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    let mut unknown = request("0600", 7);
    unknown.set_text(60, "22000001000");
    assert_eq!(code(&terminal.ask(&unknown).await), "12");
    let mut response = purchase(8, 100);
    response.set_mti(Mti::parse("0210").expect("digits"));
    response.set_text(39, "00");
    terminal.send(&response).await;
    assert_eq!(code(&terminal.ask(&purchase(9, 100)).await), "00");
    assert_eq!(node.host.seen("0200").len(), 1, "only the sale was forwarded");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_without_a_route_is_15() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    let mut foreign = purchase(1, 100);
    foreign.set_text(2, "4111111111111111");
    assert_eq!(code(&terminal.ask(&foreign).await), "15");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_above_the_cap_wait_or_are_closed_and_others_live() {
    let node = Node::start_with(|settings| settings.listeners[0].max_connections = 2).await;
    let mut first = node.terminal().await;
    assert_eq!(code(&first.ask(&purchase(1, 100)).await), "00");
    let mut second = node.terminal().await;
    assert_eq!(code(&second.ask(&purchase(2, 100)).await), "00");
    let third = node.terminal().await;
    assert_eq!(code(&first.ask(&purchase(3, 100)).await), "00", "those that are in live on");
    drop(second);
    drop(third);
    let node_address = node.address();
    until("a place is free again", || async {
        let mut terminal = Terminal::connect(node_address).await;
        terminal.send(&purchase(4, 100)).await;
        terminal.receive().await.is_some()
    })
    .await;
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_pipelined_requests_are_all_answered_within_the_bounds() {
    let node = Node::start_with(|settings| settings.bounds.asks_per_connection = 20).await;
    let Terminal { dialect: _, stream, .. } = node.terminal().await;
    let mut reader = node.terminal().await;
    let mut bytes = Vec::new();
    for stan in 1..=2_000 {
        bytes.extend_from_slice(&reader.bytes(&purchase(stan, 100)));
    }
    let (read, mut write) = stream.into_split();
    let sending = tokio::spawn(async move {
        let _ = write.write_all(&bytes).await;
        write
    });
    reader.stream = read.reunite(sending.await.expect("sent")).expect("one stream");
    let mut approved = 0;
    while approved < 2_000 {
        let answer = reader.receive().await.expect("an answer");
        assert_eq!(code(&answer), "00");
        approved += 1;
    }
    node.running.drain().await.expect("a good end");
}

/// The approval of the first purchase found nobody: it was reversed, and its copy is told so.
async fn was_not_charged(node: Node) {
    until("it was reversed", || async { !node.host.seen("0400").is_empty() }).await;
    let watch = node.running.watch();
    until("nothing is owed", || async { watch.gauges().reversals_owed == 0 }).await;
    assert_eq!(code(&node.terminal().await.ask(&purchase(1, 100)).await), "98", "M10");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_that_vanishes_before_its_answer_is_not_charged() {
    let node = Node::start().await;
    node.host.approve_after(Duration::from_millis(100));
    let mut terminal = node.terminal().await;
    terminal.send(&purchase(1, 100)).await;
    until("it was forwarded", || async { node.host.seen("0200").len() == 1 }).await;
    drop(terminal);
    was_not_charged(node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_that_vanishes_while_it_is_held_back_is_not_charged() {
    let node = Node::start_with(|settings| {
        settings.listeners[0].response_deadline = Duration::from_secs(60);
        settings.issuers[0].timeout = Duration::from_secs(50);
        settings.issuers[0].max_in_flight = 1;
    })
    .await;
    let approve = node.host.approve_when_told();
    let mut terminal = node.terminal().await;
    terminal.send(&purchase(1, 100)).await;
    until("it was forwarded", || async { node.host.seen("0200").len() == 1 }).await;
    for stan in 2..=6 {
        assert_eq!(code(&terminal.ask(&purchase(stan, 100)).await), "91");
    }
    // Now it is not read for 800 ms, and meanwhile the approval comes.
    drop(terminal);
    approve.cancel();
    was_not_charged(node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_that_answers_wrongly_does_no_harm() {
    let node = Node::start().await;
    let strays: [fn(&mut Message); 3] = [
        |answer| answer.set_text(11, "999999"),
        |answer| answer.set_text(37, "999999999999"),
        |answer| answer.set_mti(Mti::parse("0810").expect("digits")),
    ];
    for (stan, stray) in (1..).zip(strays) {
        node.host.conduct(move |message| {
            let mut wrong = approval(message);
            if message.mti().class() == 2 {
                stray(&mut wrong);
            }
            Deed::Answer(vec![wrong])
        });
        let answer = node.terminal().await.ask(&purchase(stan, 100)).await;
        assert_eq!(code(&answer), "98", "stray {stan}");
    }
    node.host.conduct(|message| match message.mti().class() {
        2 => Deed::Raw(b"0004spam".to_vec()),
        _ => Deed::Answer(vec![approval(message)]),
    });
    assert_eq!(code(&node.terminal().await.ask(&purchase(7, 100)).await), "98", "unreadable");
    node.host.conduct(|message| match message.mti().class() {
        2 => Deed::HangUp,
        _ => Deed::Answer(vec![approval(message)]),
    });
    assert_eq!(code(&node.terminal().await.ask(&purchase(8, 100)).await), "98", "hangs up");
    node.host.conduct(|message| {
        let mut altered = approval(message);
        if message.mti().class() == 2 {
            altered.set_text(4, "000000000001");
        }
        Deed::Answer(vec![altered])
    });
    let watch = node.running.watch();
    until("a link is back", || async { watch.links_up() == 2 }).await;
    assert_eq!(code(&node.terminal().await.ask(&purchase(9, 100)).await), "98", "M13");
    until("all are reversed", || async { watch.gauges().reversals_owed == 0 }).await;
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_link_it_is_91_and_nothing_is_owed() {
    let node =
        Node::start_with(|settings| settings.issuers[0].endpoints.push("127.0.0.1:9".into())).await;
    node.host.conduct(|message| Deed::Answer(vec![approval(message)]));
    let mut terminal = node.terminal().await;
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "00");
    node.host.stop();
    let watch = node.running.watch();
    until("the links are down", || async { watch.links_up() == 0 }).await;
    assert_eq!(code(&terminal.ask(&purchase(2, 100)).await), "91");
    assert_eq!(code(&terminal.ask(&purchase(2, 100)).await), "91", "alike");
    assert_eq!(watch.gauges().reversals_owed, 0);
    // The reversal of the sale before is taken, and waits for a link.
    assert_eq!(code(&terminal.ask(&reversal(1, 100)).await), "00");
    until("it is owed", || async { watch.gauges().reversals_owed == 1 }).await;
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_card_number_reaches_the_database() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "00");
    for entry in std::fs::read_dir(node.dir.path()).expect("the directory") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("readable");
        for canary in [&b"6212345678901232"[..], &[0x62, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x32]]
        {
            let found = bytes.windows(canary.len()).any(|window| window == canary);
            assert!(!found, "I25: {}", path.display());
        }
    }
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_no_approval_for_a_terminal_that_does_not_take_parts() {
    let node = Node::start().await;
    node.host.conduct(|message| {
        let mut part = approval(message);
        if message.mti().class() == 2 {
            part.set_text(4, "000000000060");
            part.set_text(39, "10");
        }
        Deed::Answer(vec![part])
    });
    let mut terminal = node.terminal().await;
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "98", "M13");
    until("it was reversed", || async { !node.host.seen("0400").is_empty() }).await;
    let mut takes = purchase(2, 100);
    takes.set_text(60, "22000001000601");
    let answer = terminal.ask(&takes).await;
    assert_eq!(code(&answer), "10", "60.6 is 1");
    assert_eq!(answer.text(4).as_deref(), Some("000000000060"));
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_after_a_refusal_is_reversed() {
    let node = Node::start().await;
    node.host.conduct(|message| {
        let good = approval(message);
        if message.mti().class() != 2 {
            return Deed::Answer(vec![good]);
        }
        let mut refusal = approval(message);
        refusal.set_text(39, "51");
        Deed::Answer(vec![refusal, good])
    });
    let mut terminal = node.terminal().await;
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "51");
    until("it was reversed", || async { !node.host.seen("0400").is_empty() }).await;
    assert!(node.host.seen("0401").is_empty(), "M4: the first on the wire is no repeat");
    assert_eq!(
        code(&terminal.ask(&purchase(1, 100)).await),
        "51",
        "M6: a refusal once given stays"
    );
    node.running.drain().await.expect("a good end");
}

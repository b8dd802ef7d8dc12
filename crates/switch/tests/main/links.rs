//! Links to an issuer that misbehave: nothing is sent twice, and a reversal finds its way.

use std::time::{Duration, Instant};

use crate::{
    host::{Deed, approval},
    node::{Node, until},
    terminal::{code, purchase},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_link_is_reset_before_its_reversals_go_another_way() {
    let node = Node::start_with(|settings| {
        settings.bounds.link_send_buffer = 4_096;
        settings.bounds.stalled = Duration::from_millis(100);
        settings.issuers[0].connections = 2;
    })
    .await;
    // The first link that carries a sale is read no more; the other serves on.
    let froze = std::sync::atomic::AtomicBool::new(false);
    node.host.conduct(move |message| {
        let first = message.mti().class() == 2 && message.text(4).is_some_and(|a| a.ends_with("7"));
        if first && !froze.swap(true, std::sync::atomic::Ordering::Relaxed) {
            Deed::Freeze
        } else {
            Deed::Answer(vec![approval(message)])
        }
    });
    let mut terminal = node.terminal().await;
    terminal.send(&purchase(1, 7)).await;
    until("it froze", || async { !node.host.seen("0200").is_empty() }).await;
    let sales = 400;
    for stan in 2..=sales {
        terminal.send(&purchase(stan, 100)).await;
    }
    let mut codes = std::collections::BTreeMap::<String, u32>::new();
    for _ in 1..=sales {
        let answer = terminal.receive().await.expect("an answer");
        *codes.entry(code(&answer)).or_default() += 1;
    }
    assert!(codes["00"] >= sales / 3, "the other link served on: {codes:?}");
    assert!(codes.contains_key("98"), "what lay in the frozen link timed out: {codes:?}");
    let watch = node.running.watch();
    until("all that was in doubt is reversed", || async { watch.gauges().reversals_owed == 0 })
        .await;
    let reversed = node.host.seen("0400").len() + node.host.seen("0401").len();
    assert!(reversed >= usize::try_from(codes["98"]).expect("few"), "{reversed} of {codes:?}");
    // What was answered 98 was reversed, what was approved was not; nothing came twice.
    let mut numbers: Vec<_> = node.host.seen("0200").iter().map(|m| m.number(37)).collect();
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "no sale was sent twice");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_is_paced_over_all_links() {
    let node = Node::start_with(|settings| {
        settings.issuers[0].max_per_second = 50;
        settings.issuers[0].timeout = Duration::from_secs(3);
    })
    .await;
    let mut terminal = node.terminal().await;
    let begun = Instant::now();
    for stan in 1..=50 {
        terminal.send(&purchase(stan, 100)).await;
    }
    for _ in 1..=50 {
        assert_eq!(code(&terminal.receive().await.expect("an answer")), "00");
    }
    // Five at once, then one each 20 ms.
    assert!(begun.elapsed() >= Duration::from_millis(800), "{:?}", begun.elapsed());
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_twice_and_unasked_change_nothing() {
    let node = Node::start().await;
    node.host.conduct(|message| {
        let mut unasked = approval(message);
        unasked.set_text(11, "123456");
        unasked.set_text(37, "000000123456");
        Deed::Answer(vec![approval(message), approval(message), unasked])
    });
    let mut terminal = node.terminal().await;
    for stan in 1..=50 {
        assert_eq!(code(&terminal.ask(&purchase(stan, 100)).await), "00");
    }
    assert_eq!(node.running.watch().gauges().reversals_owed, 0);
    assert!(node.host.seen("0400").is_empty());
    // Broken framing costs the link, which comes back.
    node.host.conduct(|_| Deed::Raw(vec![b'9'; 20_000]));
    assert_eq!(code(&terminal.ask(&purchase(51, 100)).await), "98");
    node.host.conduct(|message| Deed::Answer(vec![approval(message)]));
    let watch = node.running.watch();
    until("the links are back and nothing is owed", || async {
        watch.links_up() == 2 && watch.gauges().reversals_owed == 0
    })
    .await;
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_signs_on_and_closes_is_called_less_and_less_often() {
    let node = Node::start_with(|settings| {
        settings.issuers[0].connections = 1;
        settings.issuers[0].reconnect.longest = Duration::from_secs(60);
    })
    .await;
    node.host.conduct_network(|message| Deed::Last(vec![approval(message)]));
    node.host.conduct(|_| Deed::HangUp);
    let begun = Instant::now();
    assert_eq!(code(&node.terminal().await.ask(&purchase(1, 100)).await), "98");
    until("it was called seven times more", || async { node.host.connections() >= 8 }).await;
    // The waits are 20, 40, 80 ... 1,280 ms at least; each at 20 to 40 ms they took a third of a second.
    assert!(begun.elapsed() >= Duration::from_millis(2_000), "{:?}", begun.elapsed());
    node.running.drain().await.expect("a good end");
}

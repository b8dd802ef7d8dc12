//! The state of lines to issuers: signed off by the host, half open, closed after each sign-on.

use std::{sync::Arc, time::Duration};

use iso8583::{Dialect, Message, Mti};

use crate::{
    host::{Deed, Host, approval},
    node::{Node, until},
    terminal::{code, purchase, reversal},
};

/// A network management message of the host (0800).
fn network(stan: u32, code: &str) -> Message {
    let mut message = Message::new(Mti::parse("0800").expect("digits"));
    message.set_text(7, "1201080000");
    message.set_text(11, &format!("{stan:06}"));
    message.set_text(70, code);
    message
}

/// The codes (39) with which the switch answered the host's message with this trace number.
fn answers(host: &Host, stan: u32) -> Vec<String> {
    let stan = format!("{stan:06}");
    let of = |message: &&Message| message.text(11).as_deref() == Some(&*stan);
    let seen = host.seen("0810");
    seen.iter().filter(of).map(|m| m.text(39).unwrap_or_default().into_owned()).collect()
}

async fn links_are(node: &Node, count: usize) {
    let watch = node.running.watch();
    until("so many links are up", || async { watch.links_up() == count }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_sign_off_nothing_goes_there_until_the_host_signs_on() {
    let node = Node::start_with(|settings| {
        settings.issuers[0].reconnect.longest = Duration::from_secs(60);
    })
    .await;
    let mut terminal = node.terminal().await;
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "00");
    node.host.say(network(900_001, "002"));
    links_are(&node, 0).await;
    until("it is answered", || async { answers(&node.host, 900_001) == ["00", "00"] }).await;
    assert_eq!(code(&terminal.ask(&purchase(2, 100)).await), "91");
    assert_eq!(code(&terminal.ask(&reversal(1, 100)).await), "00");
    let watch = node.running.watch();
    until("it is owed", || async { watch.gauges().reversals_owed == 1 }).await;
    // Neither an echo nor a cut-over is a sign-on.
    node.host.say(network(900_002, "301"));
    node.host.say(network(900_003, "201"));
    until("both are answered", || async {
        answers(&node.host, 900_002).len() + answers(&node.host, 900_003).len() == 4
    })
    .await;
    assert_eq!(code(&terminal.ask(&purchase(3, 100)).await), "91");
    assert_eq!((node.host.seen("0200").len(), node.host.seen("0400").len()), (1, 0));
    assert_eq!(node.host.connections(), 2, "the connections stay");
    node.host.say(network(900_004, "001"));
    links_are(&node, 2).await;
    until("the reversal comes", || async { node.host.seen("0400").len() == 1 }).await;
    assert_eq!(code(&terminal.ask(&purchase(4, 100)).await), "00");
    assert_eq!(answers(&node.host, 900_004), ["00", "00"]);
    assert_eq!(node.host.connections(), 2);
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_signed_off_is_asked_to_sign_on_again() {
    let node = Node::start().await;
    node.host.conduct_network(|_| Deed::Answer(Vec::new()));
    node.host.say(network(900_001, "002"));
    links_are(&node, 0).await;
    node.host.conduct_network(|message| Deed::Answer(vec![approval(message)]));
    links_are(&node, 2).await;
    assert_eq!(code(&node.terminal().await.ask(&purchase(1, 100)).await), "00");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn network_management_that_we_do_not_do_is_refused() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    for (stan, asked, expected) in [
        (900_001, "101", "12"),
        (900_002, "999", "12"),
        (900_003, "201", "00"),
        (900_004, "301", "00"),
        (900_005, "001", "00"),
    ] {
        node.host.say(network(stan, asked));
        until("it is answered", || async { answers(&node.host, stan) == [expected; 2] }).await;
        assert_eq!(node.running.watch().links_up(), 2, "{asked}");
    }
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "00");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_line_gets_no_more_sales_once_it_is_mute() {
    let other = Host::of(Dialect::shipped("iso87-ascii").expect("shipped"));
    let node = Node::start_with(|settings| {
        settings.issuers[0].endpoints.push(other.address.to_string());
        settings.issuers[0].connections = 1;
        settings.issuers[0].timeout = Duration::from_secs(1);
        settings.bounds.link_silence = Duration::from_millis(200);
        settings.bounds.link_probe = Duration::from_millis(200);
    })
    .await;
    let mut terminal = node.terminal().await;
    for stan in 1..=4 {
        assert_eq!(code(&terminal.ask(&purchase(stan, 100)).await), "00");
    }
    // From now on it reads nothing and closes nothing, and a new connection is not served either.
    other.conduct(|_| Deed::Freeze);
    other.conduct_network(|_| Deed::Freeze);
    let mut codes = Vec::new();
    for stan in 5..=24 {
        codes.push(code(&terminal.ask(&purchase(stan, 100)).await));
    }
    let unknown = codes.iter().filter(|code| *code == "98").count();
    assert_eq!((unknown, codes.len()), (1, 20), "{codes:?}");
    // What lay there is reversed at the host that speaks.
    let reversed = || [node.host.seen("0400"), node.host.seen("0401")].concat();
    until("the reversal comes the other way", || async { !reversed().is_empty() }).await;
    let watch = node.running.watch();
    until("nothing is owed", || async { watch.gauges().reversals_owed == 0 }).await;
    assert_eq!(reversed()[0].text(37), other.seen("0200")[2].text(37));
    assert_eq!(other.seen("0400").len() + other.seen("0401").len(), 0);
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_with_its_own_37_is_answered_reversed_and_found() {
    let text = "base = \"iso87-ascii\"\nmatch = [\"11\", \"7\"]\nhost_rrn = [\"37\"]";
    let dialect = Dialect::parse("own-37", text).expect("sound");
    let theirs = |message: &Message| {
        let mut answer = approval(message);
        answer.set_text(37, "HOST00000042");
        answer
    };
    let node = Node::start_with(|settings| {
        settings.issuers[0].dialect = Arc::new(dialect);
        settings.issuers[0].timeout = Duration::from_secs(1);
    })
    .await;
    node.host.conduct(move |message| Deed::Answer(vec![theirs(message)]));
    let mut terminal = node.terminal().await;
    let answer = terminal.ask(&purchase(1, 100)).await;
    assert_eq!(code(&answer), "00");
    assert_ne!(answer.text(37).as_deref(), Some("HOST00000042"), "the terminal has ours");
    assert_eq!(code(&terminal.ask(&reversal(1, 100)).await), "00");
    let watch = node.running.watch();
    until("nothing is owed", || async { watch.gauges().reversals_owed == 0 }).await;
    until("it is reversed", || async { node.host.seen("0400").len() == 1 }).await;
    assert_eq!(node.host.seen("0400")[0].text(37).as_deref(), Some("HOST00000042"));
    // One that was never answered has no reference of the host.
    node.host.conduct(|message| {
        if message.mti().class() == 2 {
            Deed::Answer(Vec::new())
        } else {
            Deed::Answer(vec![approval(message)])
        }
    });
    assert_eq!(code(&terminal.ask(&purchase(2, 100)).await), "98");
    until("it is reversed", || async { node.host.seen("0400").len() == 2 }).await;
    assert!(!node.host.seen("0400")[1].has(37));
    until("nothing is owed", || async { watch.gauges().reversals_owed == 0 }).await;
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_the_host_rejects_ends_as_unknown() {
    let node = Node::start_with(|settings| {
        settings.issuers[0].timeout = Duration::from_secs(3);
    })
    .await;
    node.host.conduct(|message| {
        let mut rejection = approval(message);
        if message.mti().class() == 2 {
            rejection.set_mti(Mti::parse("0620").expect("digits"));
            rejection.remove(39);
        }
        Deed::Answer(vec![rejection])
    });
    let mut terminal = node.terminal().await;
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "98");
    until("it is acknowledged", || async { node.host.seen("0630").len() == 1 }).await;
    until("it is reversed", || async { node.host.seen("0400").len() == 1 }).await;
    node.running.drain().await.expect("a good end");
}

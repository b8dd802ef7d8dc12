//! Follow-ups after their card's prefix was moved to another issuer: they go where their original went.

use std::{net::SocketAddr, sync::Arc};

use iso8583::{Dialect, Message, Mti};
use switch::config::{IssuerSettings, RouteSettings, Settings};

use crate::{
    host::Host,
    node::{Node, settings},
    terminal::{code, purchase},
};

/// A second issuer, of this dialect.
fn second(settings: &mut Settings, dialect: &str, address: SocketAddr) {
    let dialect = Arc::new(Dialect::shipped(dialect).expect("shipped"));
    let other = IssuerSettings {
        name: "other".into(),
        framing: dialect.framing(),
        dialect,
        endpoints: vec![address.to_string()],
        ..settings.issuers[0].clone()
    };
    settings.issuers.push(other);
}

fn route_all_to(settings: &mut Settings, issuer: &str) {
    settings.routes =
        vec![RouteSettings { prefixes: vec!["62".to_owned()], issuer: issuer.into() }];
}

/// A void of the terminal's sale (or what has this condition) with that trace number.
fn void(stan: u32, amount: u64, condition: &str, original: u32) -> Message {
    let mut message = purchase(stan, amount);
    message.set_text(3, "200000");
    message.set_text(25, condition);
    message.set_text(60, "23000001000");
    message.set_text(61, &format!("000001{original:06}"));
    message
}

fn refund(stan: u32, amount: u64, sold: &Message) -> Message {
    let mut message = purchase(stan, amount);
    message.set_mti(Mti::parse("0220").expect("digits"));
    message.set_text(3, "200000");
    message.set_text(60, "25000001000");
    message.set_text(37, &sold.text(37).expect("an RRN"));
    message.set_text(61, &format!("000001000000{}", sold.text(13).expect("a date")));
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m11_a_void_and_a_refund_reach_the_first_issuer_in_its_dialect() {
    let other = Host::speaking("iso93-ascii");
    let address = other.address;
    let mut node = Node::start_with(|settings| second(settings, "iso93-ascii", address)).await;
    let first = node.host.address;
    let dir = node.dir.path().to_owned();
    let moved = |to: Option<&str>| {
        let mut fresh = settings(&dir, first);
        second(&mut fresh, "iso93-ascii", address);
        fresh.routes.clear();
        if let Some(to) = to {
            route_all_to(&mut fresh, to);
        }
        fresh
    };
    let mut terminal = node.terminal().await;
    let sold = terminal.ask(&purchase(1, 900)).await;
    let given = terminal.ask(&purchase(2, 900)).await;
    assert_eq!((code(&sold), code(&given)), ("00".to_owned(), "00".to_owned()));

    node.running.reload(moved(Some("other"))).expect("taken");
    assert_eq!(code(&terminal.ask(&void(3, 900, "00", 1)).await), "00");
    assert_eq!(code(&terminal.ask(&refund(4, 300, &given)).await), "00");
    assert!(other.seen("1200").is_empty() && other.seen("1220").is_empty(), "never to the other");
    let sent = node.host.seen("0200");
    let [sale, _, voided] = &sent[..] else { panic!("three requests: {sent:?}") };
    assert_eq!(voided.text(3).as_deref(), Some("200000"));
    let named = voided.text(90).expect("original data elements");
    assert!(named.starts_with(&format!("0200{}", sale.text(11).expect("a STAN"))), "{named}");
    let refunded = node.host.seen("0220").pop().expect("a refund");
    assert!(refunded.has(90) && refunded.text(22).as_deref() == Some("021"));

    // a sale goes to the new one; its void does, even when no route is left
    let newer = terminal.ask(&purchase(5, 700)).await;
    assert_eq!((code(&newer), other.seen("1200").len()), ("00".to_owned(), 1));
    node.running.reload(moved(None)).expect("taken");
    assert_eq!(code(&terminal.ask(&purchase(6, 700)).await), "15");
    assert_eq!(code(&terminal.ask(&void(7, 700, "00", 5)).await), "00");
    let voided = other.seen("1420").len() + other.seen("1200").len();
    assert_eq!(voided, 2, "{:?}", other.seen("1200"));
    assert_eq!(node.host.seen("0200").len(), 3);
    assert_eq!(code(&terminal.ask(&void(8, 700, "00", 99)).await), "25", "nothing is so named");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m5_what_the_first_issuer_cannot_have_is_a_format_error_and_its_absence_is_91() {
    let other = Host::speaking("cup-pos");
    let address = other.address;
    let mut node = Node::start_with(|settings| second(settings, "cup-pos", address)).await;
    let first = node.host.address;
    let dir = node.dir.path().to_owned();
    let moved = |to: &str| {
        let mut fresh = settings(&dir, first);
        second(&mut fresh, "cup-pos", address);
        route_all_to(&mut fresh, to);
        fresh
    };
    let mut terminal = node.terminal().await;
    // a plan in characters that only the host of bytes can have
    let with_plan = |mut message: Message| {
        message.set_binary(62, &[0xB7, 0xD6, 0x33]);
        message
    };
    let mut instalment = purchase(1, 900);
    instalment.set_text(25, "64");
    instalment.set_binary(62, b"03");
    assert_eq!(code(&terminal.ask(&instalment).await), "00");
    node.running.reload(moved("other")).expect("taken");
    let refused = terminal.ask(&with_plan(void(2, 900, "64", 1))).await;
    assert_eq!(code(&refused), "30", "its own issuer cannot have it, whatever the prefix's can");
    let again = terminal.ask(&with_plan(void(2, 900, "64", 1))).await;
    assert_eq!((code(&again), again.text(37)), ("30".to_owned(), refused.text(37)), "committed");

    let mut instalment = with_plan(purchase(3, 900));
    instalment.set_text(25, "64");
    assert_eq!(code(&terminal.ask(&instalment).await), "00");
    node.running.reload(moved("unionpay")).expect("taken");
    assert_eq!(code(&terminal.ask(&with_plan(void(4, 900, "64", 3))).await), "00");
    let sent = other.seen("0200");
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1].binary(62).as_deref(), Some(&[0xB7, 0xD6, 0x33][..]));
    assert_eq!(
        sent[1].text(61).map(|text| text.get(6..12).map(String::from)),
        Some(sent[0].text(11).map(String::from))
    );

    // an issuer that is gone: never sent, which is committed too
    let sold = terminal.ask(&purchase(5, 100)).await;
    assert_eq!(code(&sold), "00");
    let Node { running, dir, host } = node;
    running.drain().await.expect("a good end");
    drop(host);
    let node = Node::start_in(dir, |settings| {
        second(settings, "cup-pos", address);
        settings.issuers.remove(0);
        route_all_to(settings, "other");
    })
    .await;
    let mut terminal = node.terminal().await;
    let gone = terminal.ask(&void(6, 100, "00", 5)).await;
    assert_eq!(code(&gone), "91");
    assert_eq!(terminal.ask(&void(6, 100, "00", 5)).await.text(37), gone.text(37), "committed");
    assert_eq!(other.seen("0200").len(), 2);
    node.running.drain().await.expect("a good end");
}

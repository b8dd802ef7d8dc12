//! A node's life: crash and recovery, drain, reload.

use std::time::Duration;

use iso8583::Dialect;
use switch::config::MerchantSettings;

use crate::{
    host::Deed,
    node::{Node, settings, until},
    terminal::{PATIENCE, Terminal, code, purchase},
};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

#[test]
fn what_a_crash_left_in_flight_is_reversed() {
    let first = runtime();
    let dir = first.block_on(async {
        let node =
            Node::start_with(|settings| settings.issuers[0].timeout = Duration::from_secs(4)).await;
        node.host.conduct(|_| Deed::Answer(Vec::new()));
        let mut terminal = node.terminal().await;
        terminal.send(&purchase(1, 900)).await;
        until("it was forwarded", || async { node.host.seen("0200").len() == 1 }).await;
        let Node { dir, running, .. } = node;
        // Nothing is told to stop: the process just ends.
        drop(running);
        dir
    });
    first.shutdown_timeout(Duration::from_secs(5));
    let second = runtime();
    second.block_on(async {
        let node = Node::start_in(dir, |_| {}).await;
        until("the reversal came", || async {
            !node.host.seen("0400").is_empty() || !node.host.seen("0401").is_empty()
        })
        .await;
        let watch = node.running.watch();
        until("nothing is owed", || async { watch.gauges().reversals_owed == 0 }).await;
        let mut terminal = node.terminal().await;
        assert_eq!(code(&terminal.ask(&purchase(1, 900)).await), "98");
        assert!(node.host.seen("0200").is_empty(), "never forwarded again");
        node.running.drain().await.expect("a good end");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_answers_what_is_in_flight_and_closes_what_is_idle() {
    let node = Node::start_with(|settings| {
        settings.node.drain_timeout = Duration::from_millis(300);
        settings.issuers[0].timeout = Duration::from_secs(4);
    })
    .await;
    node.host.conduct(|_| Deed::Answer(Vec::new()));
    let mut idle = node.terminal().await;
    let mut waiting = node.terminal().await;
    waiting.send(&purchase(1, 900)).await;
    until("it was forwarded", || async { node.host.seen("0200").len() == 1 }).await;
    let watch = node.running.watch();
    let address = node.address();
    let drained = tokio::spawn(node.running.drain());
    assert!(idle.is_closed().await);
    assert!(!watch.is_ready());
    assert_eq!(code(&waiting.receive().await.expect("an answer")), "98", "as on silence");
    drained.await.expect("no panic").expect("a good end");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_ends_with_the_last_answer() {
    let node = Node::start_with(|settings| {
        settings.node.drain_timeout = Duration::from_secs(600);
        settings.issuers[0].timeout = Duration::from_secs(4);
    })
    .await;
    node.host.approve_after(Duration::from_millis(200));
    let mut waiting = node.terminal().await;
    waiting.send(&purchase(1, 900)).await;
    until("it was forwarded", || async { node.host.seen("0200").len() == 1 }).await;
    let drained = tokio::spawn(node.running.drain());
    assert_eq!(code(&waiting.receive().await.expect("an answer")), "00");
    assert!(waiting.is_closed().await);
    let in_time = tokio::time::timeout(PATIENCE, drained).await;
    in_time.expect("not the whole time-out").expect("no panic").expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_takes_merchants_and_routes_and_refuses_the_rest() {
    let mut node = Node::start().await;
    let address = node.host.address;
    let fresh = |dir: &std::path::Path| settings(dir, address);
    let mut terminal = node.terminal().await;
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "00");

    let mut merchants = fresh(node.dir.path());
    merchants.merchants = vec![MerchantSettings {
        id: "123456789012345".to_owned(),
        name: Some("SHOP".to_owned()),
        mcc: Some("5411".to_owned()),
        terminals: vec!["12345678".to_owned()],
        ..MerchantSettings::default()
    }];
    node.running.reload(merchants.clone()).expect("taken");
    assert_eq!(code(&terminal.ask(&purchase(2, 100)).await), "00");
    let forwarded = node.host.seen("0200").pop().expect("forwarded");
    assert_eq!(forwarded.text(18).as_deref(), Some("5411"));
    assert_eq!(forwarded.text(43).map(|name| name.trim_end().to_owned()).as_deref(), Some("SHOP"));
    let mut other = purchase(3, 100);
    other.set_text(42, "999999999999999");
    assert_eq!(code(&terminal.ask(&other).await), "03");
    let mut other = purchase(4, 100);
    other.set_text(41, "87654321");
    assert_eq!(code(&terminal.ask(&other).await), "97");

    merchants.routes.clear();
    node.running.reload(merchants.clone()).expect("taken");
    assert_eq!(code(&terminal.ask(&purchase(5, 100)).await), "15");
    // What was approved stays approved, whatever the routes say now.
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "00");

    let mut threads = merchants.clone();
    threads.node.threads = 3;
    let error = node.running.reload(threads).expect_err("threads need a restart");
    assert!(error.to_string().contains("node.threads"), "{error}");
    merchants.issuers[0].endpoints.push("127.0.0.1:9".to_owned());
    let error = node.running.reload(merchants).expect_err("endpoints need a restart");
    assert!(error.to_string().contains("endpoints"), "{error}");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_that_never_reads_is_cut_off_and_its_outcome_stays() {
    let node = Node::start_with(|settings| settings.bounds.outbound = 8 * 1024).await;
    let mut terminal = node.terminal().await;
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "00");
    let echo = {
        let mut echo = crate::terminal::request("0820", 5);
        echo.set_text(60, "00000001301");
        terminal.bytes(&echo).repeat(2_000)
    };
    let cut = async {
        use tokio::io::AsyncWriteExt;
        while terminal.stream.write_all(&echo).await.is_ok() {}
    };
    tokio::time::timeout(PATIENCE, cut).await.expect("cut off in time");
    let mut again = node.terminal().await;
    assert_eq!(code(&again.ask(&purchase(1, 100)).await), "00", "the outcome stays");
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn balancers_tell_addresses_and_terminals_in_another_dialect_are_served() {
    let node = Node::start_with(|settings| {
        settings.listeners[0].proxy_protocol = true;
        let mut text = settings.listeners[0].clone();
        text.name = "text".into();
        text.dialect = std::sync::Arc::new(Dialect::shipped("iso87-ascii").expect("shipped"));
        text.framing = iso8583::Framing::Ascii4;
        text.proxy_protocol = false;
        settings.listeners.push(text);
    })
    .await;
    let mut terminal = node.terminal().await;
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x0a\0\0\x02\x1f\x90\x21\x87";
    terminal.write(header).await;
    assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "00");
    let mut bare = node.terminal().await;
    bare.send(&purchase(2, 100)).await;
    assert!(bare.is_closed().await, "no header");

    let mut text = Terminal::connect(node.running.addresses()[1].1).await;
    text.speak("iso87-ascii");
    let mut sale = purchase(3, 250);
    sale.remove(60);
    sale.set_text(55, "9F260201029F360109");
    let answer = text.ask(&sale).await;
    assert_eq!(code(&answer), "00");
    assert_eq!(answer.text(4).as_deref(), Some("000000000250"));
    assert_eq!(answer.text(38).as_deref(), Some("A12345"));
    node.running.drain().await.expect("a good end");
}

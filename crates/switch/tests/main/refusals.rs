//! Refusals of the edge after a restart or a reload, on both stores: none contradicts what stands (M2).

use std::sync::Arc;

use interlock_tests::postgres::Postgres;
use iso8583::{Dialect, Message, Mti};
use switch::config::{MerchantSettings, Settings};
use tempfile::TempDir;

use crate::{
    node::{Node, settings},
    terminal::{Terminal, code, purchase, reversal},
};

/// The database of a test, which outlives its nodes.
#[derive(Clone)]
struct Database(Option<String>);

impl Database {
    /// An embedded one, and one of a server.
    fn both() -> [Self; 2] {
        let server = Postgres::shared().expect("a server");
        [Self(None), Self(Some(server.create_next().expect("a database")))]
    }

    fn apply(&self, settings: &mut Settings) {
        if let Some(url) = &self.0 {
            settings.store.url = url.clone();
        }
    }

    async fn start(&self, change: impl FnOnce(&mut Settings)) -> Node {
        Node::start_with(|settings| {
            self.apply(settings);
            change(settings);
        })
        .await
    }

    /// The node ends, and another one begins on what it left.
    async fn restart(&self, node: Node, change: impl FnOnce(&mut Settings)) -> Node {
        let dir = ended(node).await;
        Node::start_in(dir, |settings| {
            self.apply(settings);
            change(settings);
        })
        .await
    }

    /// The node takes other settings.
    fn reload(&self, node: &mut Node, change: impl FnOnce(&mut Settings)) {
        let mut fresh = settings(node.dir.path(), node.host.address);
        self.apply(&mut fresh);
        change(&mut fresh);
        node.running.reload(fresh).expect("taken");
    }
}

async fn ended(node: Node) -> TempDir {
    let Node { running, dir, host } = node;
    running.drain().await.expect("a good end");
    drop(host);
    dir
}

fn only(merchant: &str, terminal: &str) -> Vec<MerchantSettings> {
    vec![MerchantSettings {
        id: merchant.to_owned(),
        terminals: vec![terminal.to_owned()],
        ..MerchantSettings::default()
    }]
}

/// Code (39), RRN (37) and authorisation code (38).
fn answered(message: &Message) -> [Option<String>; 3] {
    [39, 37, 38].map(|number| message.text(number).map(String::from))
}

/// Sends bytes that are the message and something behind it.
async fn ask_with_a_tail(terminal: &mut Terminal, message: &Message) -> Message {
    let mut bytes = terminal.bytes(message).to_vec();
    bytes.push(0);
    let length = u16::try_from(bytes.len() - 2).expect("short").to_be_bytes();
    bytes[..2].copy_from_slice(&length);
    terminal.write(&bytes).await;
    terminal.receive().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m2_a_copy_of_an_approval_is_given_it_though_the_list_changed() {
    for database in Database::both() {
        let node = database.start(|_| {}).await;
        let mut terminal = node.terminal().await;
        let first = terminal.ask(&purchase(1, 100)).await;
        assert_eq!(code(&first), "00");
        let mut node = database
            .restart(node, |settings| settings.merchants = only("999999999999999", "12345678"))
            .await;
        let mut terminal = node.terminal().await;
        let again = terminal.ask(&purchase(1, 100)).await;
        assert_eq!(answered(&again), answered(&first), "03 would contradict it");
        assert_eq!(code(&terminal.ask(&purchase(1, 101)).await), "94", "other content");
        assert_eq!(code(&terminal.ask(&purchase(2, 100)).await), "03");
        database.reload(&mut node, |settings| {
            settings.merchants = only("123456789012345", "87654321");
        });
        let again = terminal.ask(&purchase(1, 100)).await;
        assert_eq!(answered(&again), answered(&first), "97 would contradict it");
        assert_eq!(code(&terminal.ask(&purchase(2, 100)).await), "97");
        // its reversal is asked for: from now on 98, and no refusal goes before that
        assert_eq!(code(&terminal.ask(&reversal(1, 100)).await), "00");
        let node = database
            .restart(node, |settings| settings.merchants = only("999999999999999", "12345678"))
            .await;
        let mut terminal = node.terminal().await;
        assert_eq!(code(&terminal.ask(&purchase(1, 100)).await), "98");
        // what was refused left nothing
        let node = database.restart(node, |_| {}).await;
        let mut terminal = node.terminal().await;
        assert_eq!(code(&terminal.ask(&purchase(2, 100)).await), "00");
        ended(node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m2_no_route_is_told_again_after_the_route_was_added() {
    for database in Database::both() {
        let mut node = database.start(|_| {}).await;
        let mut terminal = node.terminal().await;
        let approved = terminal.ask(&purchase(1, 100)).await;
        database.reload(&mut node, |settings| settings.routes.clear());
        let refused = terminal.ask(&purchase(2, 100)).await;
        assert_eq!(code(&refused), "15");
        let node = database.restart(node, |settings| settings.routes.clear()).await;
        let mut terminal = node.terminal().await;
        let again = terminal.ask(&purchase(1, 100)).await;
        assert_eq!(answered(&again), answered(&approved), "15 would contradict it");
        let again = terminal.ask(&purchase(2, 100)).await;
        assert_eq!(answered(&again), answered(&refused));
        // the route is back: the same request has its answer, a new one is sent
        let node = database.restart(node, |_| {}).await;
        let mut terminal = node.terminal().await;
        let again = terminal.ask(&purchase(2, 100)).await;
        assert_eq!(answered(&again), answered(&refused));
        assert_eq!(code(&terminal.ask(&purchase(3, 100)).await), "00");
        assert_eq!(node.host.seen("0200").len(), 1);
        ended(node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m2_a_malformed_copy_never_contradicts_what_stands() {
    for database in Database::both() {
        let node = database.start(|_| {}).await;
        let mut terminal = node.terminal().await;
        let first = terminal.ask(&purchase(1, 100)).await;
        let node = database.restart(node, |_| {}).await;
        let mut terminal = node.terminal().await;
        let again = ask_with_a_tail(&mut terminal, &purchase(1, 100)).await;
        assert_eq!(answered(&again), answered(&first), "its content can be read");
        let mut without = purchase(1, 100);
        without.remove(4);
        assert_eq!(code(&terminal.ask(&without).await), "94", "other content");
        // where nothing stands: 30, and nothing is left behind
        let fresh = ask_with_a_tail(&mut terminal, &purchase(2, 100)).await;
        assert_eq!(code(&fresh), "30");
        let mut without = purchase(2, 100);
        without.remove(4);
        assert_eq!(code(&terminal.ask(&without).await), "30");
        assert_eq!(code(&terminal.ask(&purchase(2, 100)).await), "00");
        // an identity that cannot be read
        let mut without = purchase(1, 100);
        without.remove(60);
        assert_eq!(code(&terminal.ask(&without).await), "30");
        // a malformed reversal changes nothing
        assert_eq!(code(&ask_with_a_tail(&mut terminal, &reversal(1, 100)).await), "30");
        assert_eq!(answered(&terminal.ask(&purchase(1, 100)).await), answered(&first));
        ended(node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_not_reversed() {
    let node = Node::start_with(|settings| {
        let dialect = Dialect::shipped("iso87-ascii").expect("shipped");
        settings.listeners[0].framing = dialect.framing();
        settings.listeners[0].dialect = Arc::new(dialect);
    })
    .await;
    let mut terminal = node.terminal().await;
    terminal.speak("iso87-ascii");
    let mut sale = purchase(1, 900);
    sale.remove(60);
    sale.set_text(55, "9F260201029F360109");
    assert_eq!(code(&terminal.ask(&sale).await), "00");
    let back = |amount: u64| {
        let mut back = sale.clone();
        back.set_mti(Mti::parse("0400").expect("digits"));
        back.set_text(4, &format!("{amount:012}"));
        back.set_text(90, &format!("0200000001{:032}", 0));
        back
    };
    let mut partial = back(900);
    partial.set_text(95, &format!("{:012}{:030}", 400, 0));
    assert_eq!(code(&terminal.ask(&partial).await), "64", "a replacement amount (95)");
    assert_eq!(code(&terminal.ask(&back(400)).await), "64", "a smaller amount (4)");
    assert_eq!(node.host.seen("0400").len(), 0);
    partial.set_text(95, &format!("{:042}", 0));
    assert_eq!(code(&terminal.ask(&partial).await), "00", "the whole");
    node.running.drain().await.expect("a good end");
}

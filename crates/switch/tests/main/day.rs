//! A terminal's day: sign-in, its batch, settlement, upload, and what it fetches.

use std::fs;

use iso8583::Message;
use store::CaseFile;
use switch_core::CaseKind;

use crate::{
    node::{Node, until},
    terminal::{Terminal, code, purchase, request, reversal},
};

/// A message to the switch itself: type 00, batch, network code.
fn errand(mti: &str, stan: u32, batch: u32, network: &str) -> Message {
    let mut message = request(mti, stan);
    message.set_text(60, &format!("00{batch:06}{network}"));
    message
}

fn sale(stan: u32, batch: u32, amount: u64) -> Message {
    let mut message = purchase(stan, amount);
    message.set_text(60, &format!("22{batch:06}000"));
    message
}

/// A settlement with these domestic debits.
fn settlement(stan: u32, batch: u32, amount: u64, count: u32) -> Message {
    let mut message = errand("0500", stan, batch, "201");
    message.set_text(48, &format!("{amount:012}{count:03}{:047}", 0));
    message.set_text(49, "156");
    message
}

/// A settlement with these domestic debits and credits.
fn settlement_of(stan: u32, batch: u32, sides: [(u64, u32); 2]) -> Message {
    let mut message = settlement(stan, batch, 0, 0);
    let [(debit, debits), (credit, credits)] = sides;
    let totals = format!("{debit:012}{debits:03}{credit:012}{credits:03}0{:031}", 0);
    message.set_text(48, &totals);
    message
}

/// An upload of these traces and amounts.
fn upload(stan: u32, batch: u32, lines: &[(u32, u64)]) -> Message {
    let mut message = errand("0320", stan, batch, "201");
    let mut text = format!("{:02}", lines.len());
    for (trace, amount) in lines {
        text.push_str(&format!("00{trace:06}{:0>20}{amount:012}", "6212345678901232"));
    }
    message.set_text(48, &text);
    message
}

fn upload_end(stan: u32, batch: u32, count: u32) -> Message {
    let mut message = errand("0320", stan, batch, "202");
    message.set_text(48, &format!("{count:04}"));
    message
}

fn text(message: &Message, number: u8) -> String {
    message.text(number).map_or_else(String::new, std::borrow::Cow::into_owned)
}

/// The batch in an answer.
fn batch(answer: &Message) -> u32 {
    text(answer, 60).get(2..8).and_then(|digits| digits.parse().ok()).expect("digits")
}

/// The result digits of a settlement's answer.
fn results(answer: &Message) -> String {
    let totals = text(answer, 48);
    [totals.get(30..31), totals.get(61..62)].into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_from_sign_in_to_settlement() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    let signed = terminal.ask(&errand("0800", 1, 41, "003")).await;
    assert_eq!((signed.mti().as_str(), code(&signed).as_str()), ("0810", "00"));
    assert_eq!(batch(&signed), 41, "a terminal not seen before brings its batch");
    assert_eq!(text(&signed, 32), "00000000");
    let again = terminal.ask(&errand("0800", 1, 41, "003")).await;
    for number in [12, 13, 60] {
        assert_eq!(text(&again, number), text(&signed, number), "field {number}");
    }
    assert_eq!(code(&terminal.ask(&sale(2, 41, 100)).await), "00");
    assert_eq!(code(&terminal.ask(&sale(3, 40, 100)).await), "77", "another batch");
    assert_eq!(code(&terminal.ask(&sale(4, 41, 50)).await), "00");
    assert_eq!(code(&terminal.ask(&reversal_in(4, 41, 50)).await), "00");
    let next = terminal.ask(&errand("0800", 5, 41, "003")).await;
    assert_eq!(batch(&next), 42, "a batch that was used is not handed out again");
    assert_eq!(code(&terminal.ask(&sale(6, 41, 100)).await), "77");
    assert_eq!(code(&terminal.ask(&sale(7, 42, 23)).await), "00");

    assert_eq!(code(&terminal.ask(&void_in(70, 42, 2, 41, 100)).await), "00", "its batch is open");
    assert_eq!(code(&terminal.ask(&sale(71, 42, 100)).await), "00");

    let closed = terminal.ask(&settlement_of(8, 42, [(223, 3), (100, 1)])).await;
    assert_eq!((closed.mti().as_str(), results(&closed).as_str()), ("0510", "11"));
    let fields: Vec<u8> = closed.fields().filter(|number| *number > 1).collect();
    assert_eq!(fields, [11, 12, 13, 15, 37, 41, 42, 48, 49, 60]);
    let again = terminal.ask(&settlement_of(8, 42, [(223, 3), (100, 1)])).await;
    for number in [12, 13, 15, 48] {
        assert_eq!(text(&again, number), text(&closed, number), "field {number}");
    }
    let other = terminal.ask(&settlement(9, 42, 1, 1)).await;
    assert_eq!(code(&other), "77", "it is closed");
    // What is settled is neither taken back nor reversed.
    assert_eq!(code(&terminal.ask(&void_in(72, 43, 7, 42, 23)).await), "25");
    assert_eq!(code(&terminal.ask(&reversal_in(7, 42, 23)).await), "25");
    assert_eq!(code(&terminal.ask(&reversal_in(4, 41, 50)).await), "00", "reversed before");
    // A closed batch takes no sale, but a copy of an earlier one is known.
    assert_eq!(code(&terminal.ask(&sale(7, 42, 23)).await), "00");
    assert_eq!(code(&terminal.ask(&sale(10, 42, 5)).await), "77");
    assert_eq!(code(&terminal.ask(&sale(11, 43, 5)).await), "00", "the terminal counts on");
    assert_eq!(code(&terminal.ask(&errand("0820", 12, 43, "002")).await), "00");
    node.running.drain().await.expect("a good end");
}

/// The void of a sale of another batch perhaps.
fn void_in(stan: u32, batch: u32, sold: u32, sold_in: u32, amount: u64) -> Message {
    let mut message = sale(stan, batch, amount);
    message.set_text(3, "200000");
    message.set_text(60, &format!("23{batch:06}000"));
    message.set_text(61, &format!("{sold_in:06}{sold:06}"));
    message
}

/// The reversal of a sale in this batch.
fn reversal_in(stan: u32, batch: u32, amount: u64) -> Message {
    let mut message = reversal(stan, amount);
    message.set_text(60, &format!("22{batch:06}000"));
    message.set_text(61, &format!("{batch:06}{stan:06}"));
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restart_finds_is_what_was_left() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    assert_eq!(code(&terminal.ask(&sale(1, 7, 100)).await), "00");
    drop(terminal);
    let Node { running, dir, .. } = node;
    running.drain().await.expect("a good end");
    let node = Node::start_in(dir, |_| {}).await;
    let mut terminal = node.terminal().await;
    assert_eq!(code(&terminal.ask(&sale(2, 8, 100)).await), "77");
    assert_eq!(results(&terminal.ask(&settlement(3, 7, 100, 1)).await), "11");
    drop(terminal);
    let Node { running, dir, .. } = node;
    running.drain().await.expect("a good end");
    let node = Node::start_in(dir, |_| {}).await;
    let mut terminal = node.terminal().await;
    assert_eq!(code(&terminal.ask(&sale(4, 7, 100)).await), "77");
    assert_eq!(batch(&terminal.ask(&errand("0800", 5, 7, "001")).await), 8);
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settlement_waits_for_the_sale_in_flight() {
    let node = Node::start_with(|settings| {
        settings.issuers[0].timeout = std::time::Duration::from_secs(4);
    })
    .await;
    let told = node.host.approve_when_told();
    let mut terminal = node.terminal().await;
    terminal.send(&sale(1, 7, 100)).await;
    until("the sale is at the issuer", || async { !node.host.seen("0200").is_empty() }).await;
    let mut other = node.terminal().await;
    assert_eq!(results(&other.ask(&settlement(2, 7, 0, 0)).await), "33");
    told.cancel();
    assert_eq!(code(&terminal.receive().await.expect("an answer")), "00");
    assert_eq!(results(&other.ask(&settlement(2, 7, 100, 1)).await), "11");
    node.running.drain().await.expect("a good end");
}

async fn open_cases(node: &Node) -> Vec<CaseFile> {
    let watch = node.running.watch();
    let mut cases = watch.store().cases(None, 100).await.expect("read");
    cases.sort_by_key(|case| case.kind);
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_names_the_four_differences() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    for (stan, amount) in [(1, 100), (2, 200), (3, 300), (4, 400)] {
        assert_eq!(code(&terminal.ask(&sale(stan, 7, amount)).await), "00");
    }
    assert_eq!(code(&terminal.ask(&reversal_in(4, 7, 400)).await), "00");
    assert_eq!(code(&terminal.ask(&upload(20, 7, &[(1, 100)])).await), "25", "not settled");
    assert_eq!(results(&terminal.ask(&settlement(21, 7, 1_622, 4)).await), "21");
    let lines = [(1, 100), (2, 222), (4, 400), (9, 900)];
    for (at, lines) in lines.chunks(2).enumerate() {
        let stan = 22 + u32::try_from(at).expect("two");
        assert_eq!(code(&terminal.ask(&upload(stan, 7, lines)).await), "00");
        assert_eq!(code(&terminal.ask(&upload(stan, 7, lines)).await), "00", "a copy");
    }
    assert_eq!(code(&terminal.ask(&upload_end(24, 7, 5)).await), "79", "upload again");
    assert_eq!(code(&terminal.ask(&upload(25, 7, &lines)).await), "00");
    for _ in 0..2 {
        let answer = terminal.ask(&upload_end(26, 7, 4)).await;
        assert_eq!((code(&answer).as_str(), text(&answer, 48).as_str()), ("00", "0004"));
    }
    let cases = open_cases(&node).await;
    let kinds: Vec<CaseKind> = cases.iter().map(|case| case.kind).collect();
    assert_eq!(
        kinds,
        [
            CaseKind::TerminalOnly,
            CaseKind::SwitchOnly,
            CaseKind::AmountsDiffer,
            CaseKind::ReversedHere
        ]
    );
    assert!(cases.iter().all(|case| !case.detail.contains("6212345678901232")));
    assert!(cases[1].detail.ends_with("trace 000003: terminal nothing, switch 300"));
    node.running.drain().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_errands_are_refused() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    let mut short = settlement(1, 7, 0, 0);
    short.set_text(48, "0001");
    assert_eq!(code(&terminal.ask(&short).await), "30");
    let mut lines = upload(2, 7, &[(1, 1)]);
    lines.set_text(48, &text(&upload(2, 7, &[(1, 1)]), 48).replacen("01", "02", 1));
    assert_eq!(code(&terminal.ask(&lines).await), "30");
    assert_eq!(code(&terminal.ask(&upload_end(3, 7, 0)).await), "25");
    assert_eq!(code(&terminal.ask(&errand("0800", 4, 7, "360")).await), "12", "nothing is kept");
    assert_eq!(code(&terminal.ask(&errand("0820", 5, 7, "362")).await), "00");
    node.running.drain().await.expect("a good end");
}

const INDEX: &str = r#"
[[file]]
name = "ca-keys"
records = "ca-keys.hex"
list = ["372"]
fetch = ["370"]
end = ["371"]
requirement = 4
require = true

[[file]]
name = "blacklist"
records = "blacklist.txt"
format = "text"
fetch = ["390"]
end = ["391"]
requirement = 7
"#;

fn requirement(answer: &Message) -> Option<u8> {
    answer.header().and_then(iso8583::Header::requirement)
}

async fn fetch(
    terminal: &mut Terminal,
    mti: &str,
    network: &str,
    asked: &[u8],
) -> (Vec<u8>, Option<u8>) {
    let mut message = errand(mti, 50, 7, network);
    if !asked.is_empty() {
        message.set_binary(62, asked);
    }
    let answer = terminal.ask(&message).await;
    assert_eq!(code(&answer), "00");
    (answer.binary(62).map_or_else(Vec::new, |bytes| bytes.to_vec()), requirement(&answer))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_is_asked_to_fetch_until_it_has() {
    let files = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        fs::write(files.path().join(name), text).expect("written");
    };
    write("parameters.toml", INDEX);
    write("ca-keys.hex", "9F0605A000000003 AA01\n9F0605A000000004 AA02\n");
    write("blacklist.txt", &format!("{0}\n{0}\n{0}\n", "6".repeat(200)));
    let mut node = Node::start_with(|settings| {
        settings.parameters = Some(files.path().to_owned());
    })
    .await;
    let mut terminal = node.terminal().await;
    assert_eq!(requirement(&terminal.ask(&sale(1, 7, 100)).await), Some(4), "never fetched");
    let (list, _) = fetch(&mut terminal, "0820", "372", b"").await;
    assert_eq!((list[0], list.len()), (b'1', 17));
    for (at, key) in [[0xAA, 1], [0xAA, 2]].into_iter().enumerate() {
        let id = list[1 + 8 * at..][..8].to_vec();
        let (record, asked) = fetch(&mut terminal, "0800", "370", &id).await;
        assert_eq!((&record[1..], asked), (&key[..], Some(4)));
    }
    let (_, asked) = fetch(&mut terminal, "0800", "371", b"").await;
    assert_eq!(asked, Some(0), "it has all");
    assert_eq!(requirement(&terminal.ask(&sale(2, 7, 100)).await), Some(0));

    // The other file is asked for only once it was fetched and has changed.
    for (page, flag) in [(b"1", b'2'), (b"2", b'3')] {
        let (records, _) = fetch(&mut terminal, "0800", "390", page).await;
        assert_eq!(records[0], flag);
    }
    fetch(&mut terminal, "0800", "391", b"").await;
    write("blacklist.txt", "none\n");
    let mut settings = crate::node::settings(node.dir.path(), node.host.address);
    settings.parameters = Some(files.path().to_owned());
    node.running.reload(settings.clone()).expect("reloaded");
    assert_eq!(requirement(&terminal.ask(&sale(3, 7, 100)).await), Some(7), "it changed");
    write("parameters.toml", "[[file]]\n");
    assert!(node.running.reload(settings).is_err(), "the old ones stay");
    assert_eq!(fetch(&mut terminal, "0800", "390", b"").await.0, b"1none");
    assert_eq!(fetch(&mut terminal, "0800", "391", b"").await.1, Some(0));
    node.running.drain().await.expect("a good end");
}

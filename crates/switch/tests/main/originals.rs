//! Voids, refunds, completions and advices over sockets: matched, refused with the right code, named to the issuer, delivered.

use iso8583::{Message, Mti};

use crate::{
    host::{Deed, approval},
    node::{Node, until},
    terminal::{Terminal, code, purchase, reversal},
};

/// A request about another: message type, processing code, condition and type (60.1), with 61 naming batch 000001 and
/// this trace number.
fn about(mti: &str, of: [&str; 3], stan: u32, amount: u64, original: u32) -> Message {
    let [processing_code, condition, kind] = of;
    let mut message = purchase(stan, amount);
    message.set_mti(Mti::parse(mti).expect("digits"));
    message.set_text(3, processing_code);
    message.set_text(25, condition);
    message.set_text(60, &format!("{kind}000001000"));
    message.set_text(61, &format!("000001{original:06}"));
    message
}

fn void(stan: u32, amount: u64, original: u32) -> Message {
    about("0200", ["200000", "00", "23"], stan, amount, original)
}

fn refund(stan: u32, amount: u64, sold: &Message) -> Message {
    let mut message = about("0220", ["200000", "00", "25"], stan, amount, 0);
    message.set_text(37, &sold.text(37).expect("an RRN"));
    message.remove(61);
    let date = sold.text(13).expect("a date");
    message.set_text(61, &format!("000001000001{date}"));
    message
}

fn authorise(stan: u32, amount: u64) -> Message {
    let mut message = about("0100", ["030000", "06", "10"], stan, amount, 0);
    message.remove(61);
    message
}

/// A completion by request (20) or notice (24), of what was answered with 38 = A12345.
fn complete(mti: &str, kind: &str, stan: u32, amount: u64) -> Message {
    let mut message = about(mti, ["000000", "06", kind], stan, amount, 0);
    message.set_text(38, "A12345");
    message.remove(61);
    message.set_text(61, "000001000000");
    message
}

/// The answer that approves anything, authorisations too.
fn approve(request: &Message) -> Deed {
    let mut answer = approval(request);
    if request.mti().class() == 1 {
        answer.set_text(38, "A12345");
    }
    Deed::Answer(vec![answer])
}

async fn start() -> (Node, Terminal) {
    let node = Node::start_with(|settings| settings.issuers[0].idempotent_advices = true).await;
    node.host.conduct(approve);
    let terminal = node.terminal().await;
    (node, terminal)
}

async fn told(terminal: &mut Terminal, message: &Message) -> String {
    code(&terminal.ask(message).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_void_names_its_original_to_the_issuer() {
    let (node, mut terminal) = start().await;
    let sold = terminal.ask(&purchase(1, 900)).await;
    assert_eq!(code(&sold), "00");
    let voided = terminal.ask(&void(2, 900, 1)).await;
    assert_eq!(code(&voided), "00");
    let sent = node.host.seen("0200");
    let [sale, void_sent] = &sent[..] else { panic!("two requests: {sent:?}") };
    assert_eq!(void_sent.text(3).as_deref(), Some("200000"));
    assert_eq!(void_sent.text(38).as_deref(), Some("A12345"));
    let named = void_sent.text(90).expect("original data elements");
    let (stan, at) = (sale.text(11).expect("a STAN"), sale.text(7).expect("a time"));
    assert_eq!(named, format!("0200{stan}{at}{:022}", 0));
    assert_ne!(void_sent.text(37), sale.text(37), "a number of its own");
    // The same void again gets its answer, another one finds nothing left.
    assert_eq!(terminal.ask(&void(2, 900, 1)).await.text(37), voided.text(37));
    assert_eq!(told(&mut terminal, &void(3, 900, 1)).await, "22");
    assert_eq!(node.host.seen("0200").len(), 2);
    // All of the sale is claimed: its reversal finds nothing to undo.
    assert_eq!(told(&mut terminal, &reversal(1, 900)).await, "00");
    assert_eq!(node.running.watch().gauges().reversals_owed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wrong_void_has_its_code() {
    let (node, mut terminal) = start().await;
    for (stan, issuer) in [(1, "00"), (2, "51")] {
        node.host.conduct(move |request| {
            let mut answer = approval(request);
            answer.set_text(39, issuer);
            Deed::Answer(vec![answer])
        });
        assert_eq!(told(&mut terminal, &purchase(stan, 900)).await, issuer);
    }
    node.host.conduct(approve);
    let mut other_card = void(13, 900, 1);
    other_card.set_text(2, "6200000000000005");
    let mut other_code = void(14, 900, 1);
    other_code.set_text(38, "B99999");
    let mut elsewhere = void(15, 900, 1);
    elsewhere.set_text(41, "87654321");
    // a sale of its own, whose number a void of the first must not carry
    let other = terminal.ask(&purchase(3, 900)).await;
    let mut two_named = void(18, 900, 1);
    two_named.set_text(37, &other.text(37).expect("an RRN"));
    let mut unknown = void(19, 900, 1);
    unknown.set_text(37, "000000999999");
    for (message, expected) in [
        (two_named, "25"),
        (unknown, "25"),
        (void(10, 900, 99), "25"),
        (void(11, 900, 2), "12"),
        (void(12, 901, 1), "64"),
        (other_card, "14"),
        (other_code, "25"),
        (elsewhere, "25"),
        (void(16, 900, 1), "00"),
        (void(17, 900, 1), "22"),
    ] {
        let first = terminal.ask(&message).await;
        assert_eq!(code(&first), expected, "{:?}", message.text(11));
        let again = terminal.ask(&message).await;
        assert_eq!(
            (code(&again), again.text(37)),
            (code(&first), first.text(37)),
            "the same again"
        );
    }
    assert_eq!(node.host.seen("0200").len(), 4, "three sales and the one void");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_void_in_silence_is_reversed_and_its_original_stands_again() {
    let (node, mut terminal) = start().await;
    assert_eq!(told(&mut terminal, &purchase(1, 900)).await, "00");
    node.host.conduct(|request| match request.mti().class() {
        2 => Deed::Answer(Vec::new()),
        _ => approve(request),
    });
    assert_eq!(told(&mut terminal, &void(2, 900, 1)).await, "98");
    node.host.conduct(approve);
    let watch = node.running.watch();
    until("its reversal is confirmed", || async {
        watch.store().open_counts().await.is_ok_and(|open| open.owed == 0)
    })
    .await;
    let reversals = node.host.seen("0400").len() + node.host.seen("0401").len();
    assert!(reversals > 0);
    // Its repeat is told the same; a new one is taken, since the sale stands again.
    assert_eq!(told(&mut terminal, &void(2, 900, 1)).await, "98");
    assert_eq!(told(&mut terminal, &void(3, 900, 1)).await, "00");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_take_what_is_left_and_no_more() {
    let (node, mut terminal) = start().await;
    let sold = terminal.ask(&purchase(1, 900)).await;
    let mut unknown = sold.clone();
    unknown.set_text(37, "000000999999");
    let mut other_day = refund(14, 100, &sold);
    other_day.set_text(61, "0000010000010229");
    for (message, expected) in [
        (refund(10, 300, &sold), "00"),
        (refund(11, 601, &sold), "61"),
        (refund(12, 600, &unknown), "25"),
        (other_day, "25"),
        (refund(13, 600, &sold), "00"),
        (refund(15, 1, &sold), "22"),
    ] {
        assert_eq!(told(&mut terminal, &message).await, expected, "{:?}", message.text(11));
    }
    assert_eq!(node.host.seen("0220").len(), 2);
    let sent = &node.host.seen("0220")[0];
    assert!(sent.text(90).is_some() && sent.text(4).as_deref() == Some("000000000300"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_in_silence_is_delivered_and_holds_the_next_one_back() {
    let (node, mut terminal) = start().await;
    let sold = terminal.ask(&purchase(1, 900)).await;
    node.host.conduct(|_| Deed::Answer(Vec::new()));
    let refunded = terminal.ask(&refund(2, 300, &sold)).await;
    assert_eq!(code(&refunded), "00", "it is the switch's to deliver");
    assert_eq!(told(&mut terminal, &refund(3, 300, &sold)).await, "09");
    let again = terminal.ask(&refund(2, 300, &sold)).await;
    assert_eq!((code(&again), again.text(37)), ("00".to_owned(), refunded.text(37)));
    until("it was repeated", || async { node.host.seen("0221").len() > 1 }).await;
    node.host.conduct(approve);
    let watch = node.running.watch();
    until("it was taken", || async {
        watch.store().open_counts().await.is_ok_and(|open| open.advices == 0)
    })
    .await;
    let first = &node.host.seen("0220")[0];
    let repeat = node.host.seen("0221").pop().expect("a repeat");
    for number in [2, 3, 4, 7, 11, 25, 32, 37, 38, 41, 42, 49, 90] {
        assert_eq!(repeat.text(number), first.text(number), "field {number}");
    }
    assert!(!repeat.has(52) && !repeat.has(35));
    assert_eq!(told(&mut terminal, &refund(4, 600, &sold)).await, "00");
    assert_eq!(told(&mut terminal, &refund(5, 1, &sold)).await, "22");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_takes_no_repeats_gets_one_copy() {
    let node = Node::start().await;
    let mut terminal = node.terminal().await;
    let sold = terminal.ask(&purchase(1, 900)).await;
    node.host.conduct(|_| Deed::Answer(Vec::new()));
    assert_eq!(told(&mut terminal, &refund(2, 300, &sold)).await, "00");
    let store = node.running.watch();
    until("a case is open", || async {
        store.store().open_cases().await.is_ok_and(|open| open == 1)
    })
    .await;
    assert_eq!(node.host.seen("0220").len(), 1);
    assert!(node.host.seen("0221").is_empty());
    assert_eq!(told(&mut terminal, &refund(3, 300, &sold)).await, "09", "its claim stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completion_takes_its_authorisation_whole() {
    let (node, mut terminal) = start().await;
    assert_eq!(told(&mut terminal, &authorise(1, 1_000)).await, "00");
    let mut unknown = complete("0200", "20", 10, 500);
    unknown.set_text(38, "Z00000");
    for (message, expected) in [
        (unknown, "25"),
        (complete("0200", "20", 11, 1_151), "61"),
        (complete("0200", "20", 12, 1_150), "00"),
        (complete("0200", "20", 13, 10), "22"),
        (about("0200", ["200000", "06", "21"], 14, 1_150, 12), "00"),
        // A completion that was taken back does not bring its authorisation back.
        (complete("0220", "24", 15, 900), "22"),
        (authorise(3, 2_000), "00"),
        (complete("0220", "24", 16, 900), "00"),
        (complete("0220", "24", 18, 900), "22"),
    ] {
        assert_eq!(told(&mut terminal, &message).await, expected, "{:?}", message.text(11));
    }
    assert_eq!((node.host.seen("0200").len(), node.host.seen("0220").len()), (2, 1));
    assert_eq!(told(&mut terminal, &authorise(2, 700)).await, "00");
    let mut released = about("0100", ["200000", "06", "11"], 17, 700, 0);
    released.set_text(38, "A12345");
    assert_eq!(told(&mut terminal, &released).await, "00");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tips_and_plans_reach_the_issuer() {
    let (node, mut terminal) = start().await;
    assert_eq!(told(&mut terminal, &purchase(1, 1_000)).await, "00");
    let tip = |stan, total| about("0220", ["000000", "00", "34"], stan, total, 1);
    for (message, expected) in [(tip(10, 1_201), "61"), (tip(11, 1_150), "00")] {
        assert_eq!(told(&mut terminal, &message).await, expected);
    }
    assert_eq!(told(&mut terminal, &void(12, 1_000, 1)).await, "64", "1150 is what is left");
    assert_eq!(told(&mut terminal, &void(13, 1_150, 1)).await, "00");
    let mut instalment = purchase(20, 5_000);
    instalment.set_text(25, "64");
    instalment.set_binary(62, b"12 001");
    assert_eq!(told(&mut terminal, &instalment).await, "00");
    let sent = node.host.seen("0200").pop().expect("the instalment");
    assert_eq!((sent.text(25).as_deref(), sent.text(62).as_deref()), (Some("64"), Some("12 001")));
    // A plain void is of a plain sale.
    assert_eq!(told(&mut terminal, &void(21, 5_000, 20)).await, "25");
    let back = about("0200", ["200000", "64", "23"], 22, 5_000, 20);
    assert_eq!(told(&mut terminal, &back).await, "00");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_advice_that_the_issuer_refuses_late_is_a_case() {
    let (node, mut terminal) = start().await;
    let sold = terminal.ask(&purchase(1, 900)).await;
    node.host.conduct(|_| Deed::Answer(Vec::new()));
    assert_eq!(told(&mut terminal, &refund(2, 300, &sold)).await, "00");
    node.host.conduct(|request| {
        let mut answer = approval(request);
        answer.set_text(39, "57");
        Deed::Answer(vec![answer])
    });
    let watch = node.running.watch();
    until("a case is open", || async {
        watch.store().open_cases().await.is_ok_and(|open| open == 1)
    })
    .await;
    node.host.conduct(approve);
    assert_eq!(told(&mut terminal, &refund(2, 300, &sold)).await, "00", "as it was told");
    assert_eq!(told(&mut terminal, &refund(3, 300, &sold)).await, "09", "its claim stays");
}

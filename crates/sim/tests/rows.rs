//! Every kind of transaction with every fault of a terminal, and every behaviour of an issuer.

use std::collections::BTreeMap;

use iso8583::{Kind, OnSilence};
use sim::issuer::Script;
use tokio::task::JoinSet;

use crate::days::KINDS;
use crate::floor::{Ended, Floor};

fn kinds() -> impl Iterator<Item = Kind> {
    KINDS.lines().filter_map(|line| Kind::from_name(line.split_once(" = ")?.0))
}

fn is_notice(kind: Kind) -> bool {
    kind.on_silence() == OnSilence::Deliver
}

/// Runs one row after the other of a fault, all kinds side by side.
async fn all<F: Future<Output = ()> + Send + 'static>(rows: impl Iterator<Item = F>) {
    let rows: JoinSet<()> = rows.collect();
    rows.join_all().await;
}

/// The faults of terminals, and how each begins in the ledger; none where it is not done to a kind.
fn begins(fault: &str, kind: Kind) -> Option<&'static [&'static str]> {
    let notice = is_notice(kind);
    if kind == Kind::BalanceEnquiry {
        return None;
    }
    Some(match fault {
        "repeat" => &["sent", "approved", "sent"],
        "double" | "impatient" => &["sent", "sent"],
        "give_up" | "reverse" | "reverse_first" if notice => return None,
        "give_up" => &["sent", "unanswered", "reversal_sent"],
        "reverse" => &["sent", "approved", "reversal_sent"],
        "reverse_first" => &["reversal_sent", "reversed", "sent", "declined"],
        "vanish" if !notice => &["sent", "unanswered", "reversal_sent"],
        "vanish" | "vanish_repeat" => &["sent", "unanswered", "sent"],
        // Lost.
        _ => &["sent", "unanswered"],
    })
}

/// A fault of every other transaction of a kind shows in the terminals' ledger, and the ledgers agree.
async fn check_terminals(fault: &'static str, kind: Kind) {
    let floor = Floor::new("cup-pos");
    let script = "[[rule]]\non = \"request\"\ndo = \"delay\"\nfor = \"40ms\"";
    let mix = format!(
        "cards = 40\ntimeout = \"2s\"\n[kinds]\n{} = 1\n[faults]\n{fault} = 0.5\npatience = \"10ms\"\naway = \"10ms\"",
        kind.name()
    );
    let host = floor.host(Script::from_toml(script).expect("a script")).await;
    let ended = floor.sell_to(host, 80, &mix).await;
    let Ended { summary, report, .. } = &ended;
    let row = format!("{fault} of {}", kind.name());
    assert!(report.is_clean() && summary.is_sound(), "{row}: {report}\n{summary}");
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in floor.lines("terminals").iter().filter(|line| line["kind"] == kind.name()) {
        let event = line["event"].as_str().expect("a text").to_owned();
        told.entry(format!("{} {}", line["terminal"], line["stan"])).or_default().push(event);
    }
    let Some(begin) = begins(fault, kind) else {
        let plain = told.values().all(|events| events == &["sent", "approved"]);
        assert!(plain, "{row}: {told:?}");
        return;
    };
    let shown = told.values().filter(|events| events.iter().take(begin.len()).eq(begin)).count();
    assert!(shown >= 3, "{row} shown {shown} times: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_meets_every_fault_of_a_terminal() {
    for fault in [
        "repeat",
        "double",
        "impatient",
        "give_up",
        "reverse",
        "vanish",
        "vanish_repeat",
        "lost",
        "reverse_first",
    ] {
        all(kinds().map(|kind| check_terminals(fault, kind))).await;
    }
}

/// A behaviour shown to every other message of a kind is survived, and the ledgers agree.
async fn check_issuer(name: &'static str, more: &'static str, kind: Kind) {
    let floor = Floor::new("cup-pos");
    let script = format!("[[rule]]\non = \"{}\"\nevery = 2\ndo = \"{name}\"\n{more}", kind.name());
    let mix = format!("cards = 40\ntimeout = \"150ms\"\n[kinds]\n{} = 1", kind.name());
    let host = floor.host(Script::from_toml(&script).expect("a script")).await;
    let ended = floor.sell_to(host, 48, &mix).await;
    let Ended { summary, report, .. } = &ended;
    let row = format!("{name} {more} to {}", kind.name());
    assert!(report.is_clean() && summary.unknown == 0, "{row}: {report}\n{summary}");
    let issuer = floor.lines("issuer");
    let shown = issuer.iter().filter(|line| line["event"] == "fault" && line["code"] == name);
    let shown = shown.inspect(|line| assert_eq!(line["kind"], kind.name(), "{row}")).count();
    assert!(shown >= 3, "{row} shown {shown} times: {summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_meets_every_behaviour_of_an_issuer() {
    for (name, more) in [
        ("decline", "code = \"05\""),
        ("decline", "code = \"96\""),
        ("partial", ""),
        ("delay", "for = \"30ms\""),
        ("late", "for = \"200ms\""),
        ("late", "for = \"200ms\"\nposting = \"then\""),
        ("silent", ""),
        ("silent", "posting = \"never\""),
        ("twice", ""),
        ("wrong-stan", ""),
        ("wrong-amount", ""),
        ("wrong-currency", ""),
        ("wrong-terminal", ""),
        ("malformed", ""),
        ("hang-up", ""),
        ("hang-up", "posting = \"never\""),
        ("stop-reading", "for = \"20ms\""),
        ("refuse", "for = \"20ms\""),
    ] {
        // An advice of which a part is approved is told for ever.
        let kinds = kinds().filter(|kind| name != "partial" || !is_notice(*kind));
        all(kinds.map(|kind| check_issuer(name, more, kind))).await;
    }
}

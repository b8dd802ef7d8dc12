//! Terminals that live whole days against a host: they sign in, sell of every kind, settle, upload, sign off.

use iso8583::SHIPPED;
use sim::bench::Summary;
use sim::issuer::{IssuerCounts, Script};

use crate::floor::{Floor, load};

pub(crate) const KINDS: &str = "[kinds]\npurchase = 30\nvoid = 8\nrefund = 6\nbalance-enquiry = 4\npre-authorisation = 10\n\
    pre-authorisation-void = 3\ncompletion = 4\ncompletion-void = 2\ncompletion-advice = 4\ninstalment = 5\n\
    instalment-void = 3\npoints = 5\npoints-void = 3\noffline-sale = 8\nadjustment = 4\ntip = 5\noffline-upload = 4\n\
    offline-refund = 2\nscript-result = 3\n";

/// All kinds of [`KINDS`].
const ALL: usize = 19;

async fn live(floor: &Floor, script: &str, mix: &str) -> (Summary, IssuerCounts) {
    let host = floor.host(Script::from_toml(script).expect("a script")).await;
    let mut options = floor.options(host.local_addr().to_string(), 1, mix);
    options.sales = None;
    options.seed = 5;
    let summary = load(options).await;
    let counts = host.counts();
    host.stop().await;
    (summary, counts)
}

fn event(summary: &Summary, name: &str) -> u64 {
    summary.events.get(name).copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_every_kind_settles() {
    let floor = Floor::new("cup-pos");
    let mix = format!(
        "cards = 20\nforeign_prefixes = [\"81\"]\n{KINDS}\n[day]\nsales = 80\ndays = 2\n[faults]\nreverse = 0.05\nrepeat = 0.03"
    );
    let (summary, counts) = live(&floor, "", &mix).await;
    assert_eq!(summary.sent, 8 * 2 * 80, "{summary}");
    assert!(summary.is_sound(), "{summary}");
    assert_eq!((event(&summary, "settled"), event(&summary, "balanced")), (16, 16), "{summary}");
    for step in ["signed_in", "batch_ended", "signed_off"] {
        assert_eq!(event(&summary, step), 16, "{step}: {summary}");
    }
    assert_eq!(summary.kinds.len(), ALL, "{summary}");
    assert_eq!(summary.codes.keys().collect::<Vec<_>>(), ["00"], "{summary}");
    assert!(counts.postings.adjusted > 20 && counts.postings.released > 5, "{counts:?}");
    let report = floor.compare();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_difference_is_found_and_uploaded() {
    let floor = Floor::new("cup-pos");
    let mix = format!(
        "cards = 20\nforeign_prefixes = [\"81\"]\n{KINDS}\n[day]\nsales = 30\ndays = 4\nplanted = 0.5"
    );
    let (summary, _) = live(&floor, "", &mix).await;
    assert!(summary.is_sound(), "{summary}");
    let planted = event(&summary, "planted");
    assert!((8..=24).contains(&planted), "{summary}");
    assert_eq!(event(&summary, "unbalanced"), planted, "{summary}");
    assert_eq!(event(&summary, "balanced") + planted, 32, "{summary}");
    assert!(event(&summary, "uploaded") > planted, "{summary}");
    let lines = floor.lines("terminals");
    for how in ["added", "altered", "dropped"] {
        let told = lines.iter().filter(|line| line["event"] == "planted" && line["code"] == how);
        assert!(told.count() > 0, "{how}");
    }
    // The host gets as many messages as terminals say, and the end tells how many transactions they held.
    let of_host = floor.lines("issuer");
    let count = |event: &str| of_host.iter().filter(|line| line["event"] == event).count();
    assert_eq!(u64::try_from(count("uploaded")).expect("few"), event(&summary, "uploaded"));
    let told: u64 = (of_host.iter().filter(|line| line["event"] == "batch_ended"))
        .filter_map(|line| line["totals"].as_str()?.parse::<u64>().ok())
        .sum();
    let held: u64 = (lines.iter().filter(|line| line["event"] == "uploaded"))
        .filter_map(|line| line["copy"].as_u64())
        .sum();
    assert_eq!(told, held);
    // What is planted is in the settlement alone.
    let report = floor.compare();
    assert!(report.is_clean() && report.cards == 20, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn terminals_that_do_not_sign_in_count_their_own_batches() {
    let floor = Floor::new("cup-pos");
    let mix = "foreign_prefixes = [\"81\"]\n[day]\nsales = 5\ndays = 3\nsign_in = false";
    let (summary, _) = live(&floor, "", mix).await;
    assert_eq!((summary.approved, event(&summary, "balanced")), (8 * 15, 24), "{summary}");
    assert_eq!(event(&summary, "signed_in"), 0, "{summary}");
    let mut batches: Vec<u64> = (floor.lines("terminals").iter())
        .filter(|line| line["event"] == "settled")
        .filter_map(|line| line["batch"].as_str()?.parse().ok())
        .collect();
    batches.sort_unstable();
    batches.dedup();
    assert!(batches.len() == 3 && batches[2] == batches[0] + 2, "{batches:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_of_another_batch_signs_in_again() {
    let floor = Floor::new("cup-pos");
    let mix = "foreign_prefixes = [\"81\"]\n[day]\nsales = 5\nsign_in = false";
    let host = floor.host(Script::approving()).await;
    let mut options = floor.options(host.local_addr().to_string(), 1, mix);
    options.sales = None;
    options.run = Some(7);
    let first = load(options.clone()).await;
    // It begins with a batch that the host has settled: the first sale is refused, and the host says which is open.
    options.run = Some(500);
    let second = load(options).await;
    host.stop().await;
    assert_eq!((first.approved, second.approved), (40, 32), "{second}");
    assert_eq!(second.codes["77"], 8, "{second}");
    assert_eq!((event(&second, "signed_in"), event(&second, "balanced")), (8, 8), "{second}");
    assert!(floor.compare().is_clean());
}

/// Trouble of every sort, in days and in loads of every kind.
async fn troubled(dialect: &str, day: &str) {
    let floor = Floor::new(dialect);
    let mix = format!(
        "cards = 40\ntimeout = \"200ms\"\nforeign_prefixes = [\"81\"]\n{KINDS}\n{day}\n[faults]\nrepeat = 0.03\n\
         double = 0.03\nimpatient = 0.03\ngive_up = 0.03\npatience = \"20ms\"\nreverse = 0.03\nvanish = 0.02\n\
         vanish_repeat = 0.02\nreverse_first = 0.02\naway = \"30ms\""
    );
    let script = "[[rule]]\non = \"request\"\nprobability = 0.02\ndo = \"silent\"\n\
                  [[rule]]\non = \"request\"\nprobability = 0.02\ndo = \"silent\"\nposting = \"never\"\n\
                  [[rule]]\non = \"request\"\nprobability = 0.02\ndo = \"late\"\nfor = \"300ms\"\nposting = \"then\"\n\
                  [[rule]]\non = \"request\"\nprobability = 0.02\ndo = \"decline\"\ncode = \"05\"\n\
                  [[rule]]\non = \"advice\"\ncopies = 2\nprobability = 0.05\ndo = \"decline\"\ncode = \"98\"\n\
                  [[rule]]\non = \"reversal\"\ncopies = 1\nprobability = 0.2\ndo = \"silent\"\n\
                  [[rule]]\non = \"network\"\nprobability = 0.03\ndo = \"silent\"";
    let host = floor.host(Script::from_toml(script).expect("a script")).await;
    let mut options = floor.options(host.local_addr().to_string(), 900, &mix);
    options.sales = options.sales.filter(|_| day.is_empty());
    let summary = load(options).await;
    let counts = host.counts();
    host.stop().await;
    assert!(summary.is_sound(), "{dialect}: {summary}");
    assert_eq!(event(&summary, "unbalanced"), 0, "{dialect}: {summary}");
    assert_eq!(event(&summary, "balanced"), if day.is_empty() { 0 } else { 16 }, "{summary}");
    assert!(counts.postings.reversed > 20 && counts.postings.duplicates == 0, "{counts:?}");
    let report = floor.compare();
    assert!(report.is_clean() && report.cards == 40, "{dialect}: {report}\n{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn days_with_trouble_settle_all_the_same() {
    troubled("cup-pos", "[day]\nsales = 50\ndays = 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_of_every_kind_agree_in_every_dialect() {
    for dialect in SHIPPED {
        troubled(dialect, "").await;
    }
}

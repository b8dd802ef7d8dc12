//! An issuer that is started again on its ledger knows what it did; lines are flushed before answers.

use std::time::Duration;

use sim::issuer::Script;

use crate::floor::{Floor, load};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_says_has_happened() {
    let floor = Floor::new("cup-pos");
    let rule = "[[rule]]\nevery = 4\ndo = \"silent\"\n[[rule]]\non = \"reversal\"\ndo = \"silent\"\nposting = \"never\"";
    let issuer = floor.issuer(Script::from_toml(rule).expect("a script")).await;
    let address = issuer.local_addr().to_string();
    let mut options = floor.options(address, 40, "timeout = \"100ms\"\ncards = 5");
    options.run = Some(77);
    options.healing = Duration::from_millis(300);
    let summary = load(options.clone()).await;
    assert!(summary.unknown > 0, "{summary}");
    issuer.stop().await;
    let charged = floor.lines("issuer").iter().filter(|line| line["event"] == "charged").count();

    // The same requests again: each was charged before, and is answered alike.
    let issuer = floor.issuer(Script::approving()).await;
    options.target = issuer.local_addr().to_string();
    let summary = load(options).await;
    assert_eq!((summary.approved, summary.unknown), (40, 0), "{summary}");
    let counts = issuer.counts().postings;
    assert_eq!(counts.charged + counts.repeated, 40, "{counts:?}");
    assert!(counts.repeated >= 8, "{counts:?}");
    issuer.stop().await;
    let lines = floor.lines("issuer");
    let now = lines.iter().filter(|line| line["event"] == "charged").count();
    assert_eq!(u64::try_from(now - charged).expect("few"), counts.charged);
    let mut keys: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "charged")
        .map(|line| (line["terminal"].to_string(), line["stan"].to_string()))
        .collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), now, "one debit for each request");
}

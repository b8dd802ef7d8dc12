//! A seed repeats a run, and figures are those of the time that passed.

use std::time::Duration;

use sim::bench::{Arrivals, Pace, Rates};
use sim::issuer::Script;

use crate::floor::{Floor, load};

async fn sent(seed: u64) -> Vec<String> {
    let floor = Floor::new("cup-pos");
    let issuer = floor.issuer(Script::approving()).await;
    let mix = "[amounts]\nstep = 1\n[faults]\nreverse = 0.2";
    let mut options = floor.options(issuer.local_addr().to_string(), 64, mix);
    (options.seed, options.connections, options.run) = (seed, 1, Some(5));
    load(options).await;
    issuer.stop().await;
    let lines = floor.lines("terminals");
    let text = |line: &serde_json::Value| {
        format!("{} {} {} {}", line["event"], line["stan"], line["amount"], line["pan_hash"])
    };
    lines.iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_repeats_a_run() {
    let first = sent(7).await;
    assert!(first.len() > 128, "sent, answered, and some reversed");
    assert_eq!(first, sent(7).await);
    assert_ne!(first, sent(8).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_counts_from_when_a_request_was_due() {
    let floor = Floor::new("iso87-ascii");
    let rule = "[[rule]]\ndo = \"delay\"\nfor = \"50ms\"";
    let issuer = floor.issuer(Script::from_toml(rule).expect("a script")).await;
    let mut options = floor.options(issuer.local_addr().to_string(), 200, "");
    // Eight terminals at 50 ms each can do 160 a second: at 400, requests wait for a free terminal.
    options.pace = Pace::Open(Rates::constant(400.0).expect("above 0"), Arrivals::Constant);
    options.duration = Duration::from_secs(5);
    let summary = load(options).await;
    assert!(summary.latency.min >= 50_000 && summary.latency.min < 200_000, "{summary}");
    assert!(summary.latency.p50 > 150_000 && summary.latency.max > 500_000, "{summary}");
    assert!(summary.lateness.max > 400_000, "{summary}");
    assert!(
        summary.latency.p50 <= summary.latency.p99 && summary.latency.p99 <= summary.latency.max
    );
    assert!((100.0..170.0).contains(&summary.rate), "{summary}");
    assert_eq!(summary.codes["00"], 200);
    issuer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_without_a_listener_fails() {
    let floor = Floor::new("cup-pos");
    let options = floor.options("127.0.0.1:1".to_owned(), 1, "");
    options.stop.cancel();
    let running = move || sim::bench::run(&options, &std::sync::Arc::default(), |_| {});
    let ended = tokio::task::spawn_blocking(running).await.expect("no panic");
    assert!(ended.expect_err("nobody listens").to_string().contains("127.0.0.1:1"));
}

#[test]
fn the_examples_of_the_documentation_are_read() {
    let text = include_str!("../../../docs/simulators.md");
    let examples: Vec<&str> = text
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(example, _)| example))
        .collect();
    let [script, mix] = examples[..] else { panic!("a script and a mix") };
    Script::from_toml(script).expect("a script");
    assert_eq!(sim::bench::Mix::from_toml(mix).expect("a mix"), sim::bench::Mix::default());
}

//! `interlock dev`: nothing to install, an approval within seconds, reversals soon after, and a good end.

use crate::support::{Process, http_get, wait_for};

#[test]
fn purchases_are_approved_and_some_reversed() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut dev = Process::start(directory.path(), &["dev", "--dir", "here"]);
    let first = dev.line();
    let console = first.strip_prefix("http://").and_then(|rest| rest.split(' ').next());
    let console = console.expect("the console's address comes first").to_owned();
    let approved = (0..20).map(|_| dev.line()).find(|line| line.starts_with("approved: RRN "));
    assert!(approved.is_some(), "an approved purchase is shown");
    wait_for("a confirmed reversal", || {
        let (status, metrics) = http_get(&console, "/metrics");
        status == 200
            && metrics.lines().any(|line| {
                line.starts_with("interlock_reversals_total")
                    && line.contains("result=\"confirmed\"")
                    && !line.ends_with(" 0")
            })
    });
    assert_eq!(http_get(&console, "/readyz").0, 200);
    dev.signal("INT");
    let (status, lines) = dev.end();
    assert_eq!(status, Some(0), "{lines:?}");
    for file in ["interlock.toml", "interlock.db", "card-data.key", "terminals.jsonl"] {
        assert!(directory.path().join("here").join(file).exists(), "{file}");
    }
}

//! Whole days of terminals, with the real programs: sign-in, every kind, faults, settlement, and a node that is killed under
//! them. The three ledgers agree, each batch is closed, and each planted difference is a case.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use interlock_tests::postgres::Postgres;

use crate::programs::{Process, free_address, interlock};

/// The switch: times are short, so that deadlines pass within the days.
fn configuration(store: &str, [pos, admin, issuer]: [&str; 3], dialect: &str) -> String {
    format!(
        r#"
[node]
id = "days"
[store]
url = "{store}"
[card_data]
key_file = "card-data.key"
[admin]
listen = "{admin}"
[[listener]]
name = "pos"
listen = "{pos}"
dialect = "cup-pos"
response_deadline = "4s"
undelivered_grace = "2s"
[[issuer]]
name = "host"
dialect = "{dialect}"
endpoints = ["{issuer}"]
timeout = "1s"
idempotent_advices = true
reversal = {{ first = "300ms", longest = "2s" }}
[[route]]
prefixes = ["62", "81"]
issuer = "host"
"#
    )
}

const SCRIPT: &str = r#"seed = 3

[[rule]]
do = "silent"
probability = 0.03

[[rule]]
do = "late"
for = "1500ms"
probability = 0.03

[[rule]]
on = "request"
do = "decline"
code = "51"
probability = 0.03
"#;

const MIX: &str = r#"card_prefixes = ["62123456", "81987654"]
timeout = "6s"
think = "150ms"

[kinds]
purchase = 30
balance-enquiry = 3
void = 8
refund = 8
pre-authorisation = 8
pre-authorisation-void = 2
completion = 4
completion-void = 2
completion-advice = 3
instalment = 3
instalment-void = 1
points = 2
points-void = 1
offline-sale = 3
offline-upload = 2
offline-refund = 1
adjustment = 1
tip = 3
script-result = 1

[faults]
repeat = 0.03
double = 0.03
give_up = 0.02
reverse = 0.03
vanish = 0.02

[day]
sales = 25
days = 2
planted = 0.4
"#;

/// Two days of twelve terminals, at a host of this dialect.
fn live(store: &str, dialect: &str, path: &Path) {
    let [pos, admin, issuer] = [free_address(), free_address(), free_address()];
    let places = [pos.as_str(), admin.as_str(), issuer.as_str()];
    fs::write(path.join("interlock.toml"), configuration(store, places, dialect)).expect("written");
    fs::write(path.join("issuer.toml"), SCRIPT).expect("written");
    fs::write(path.join("mix.toml"), MIX).expect("written");
    let run = |arguments: &[&str]| -> Output {
        Command::new(interlock()).args(arguments).current_dir(path).output().expect("run")
    };
    assert!(run(&["keys", "init", "card-data.key"]).status.success());
    let start = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(interlock());
        Process::start(command.args(arguments).current_dir(path), path.join(name))
    };
    let host = ["issuer", "--listen", &issuer, "--dialect", dialect, "--script", "issuer.toml"];
    let host = start("issuer.out", &[&host[..], &["--ledger", "issuer.jsonl"]].concat());
    host.line("listening on");
    let serve = ["serve", "--config", "interlock.toml"];
    let mut switch = start("switch.out", &serve);
    switch.line("link to issuer up");

    let load =
        ["bench", "--target", &pos, "--dialect", "cup-pos", "--closed", "--connections", "12"];
    let day = [
        "--day",
        "--mix",
        "mix.toml",
        "--healing",
        "60s",
        "--seed",
        "5",
        "--ledger",
        "terminal.jsonl",
    ];
    let mut load = start("bench.out", &[&load[..], &day].concat());
    for life in 0..2 {
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(load.child.try_wait().expect("its state"), None, "{}", load.written());
        switch.child.kill().expect("killed");
        switch.child.wait().expect("its end");
        switch = start(&format!("switch-{life}.out"), &serve);
        switch.line("link to issuer up");
    }
    load.child.wait().expect("its end");

    let ledgers = ["--terminal", "terminal.jsonl", "--issuer", "issuer.jsonl"];
    let reconcile = [&["reconcile", "--config", "interlock.toml"][..], &ledgers].concat();
    let until = Instant::now() + Duration::from_secs(60);
    let said = loop {
        let output = run(&reconcile);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            break said;
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(Instant::now() < until, "{said}{errors}{}", load.written());
        std::thread::sleep(Duration::from_millis(500));
    };
    let list = |what: &str| -> Vec<serde_json::Value> {
        let output = run(&[what, "--admin", &admin, "--json"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
    };
    let batches = list("batches");
    assert_eq!(batches.len(), 24, "a batch a terminal and day: {}", load.written());
    assert!(batches.iter().all(|batch| batch["result"] != "open"), "{batches:?}");
    let mut differences = list("cases");
    // of an advice that its host refused after silence, a case of its own
    differences.retain(|case| !case["kind"].as_str().is_some_and(|kind| kind.contains("advice")));
    let planted = fs::read_to_string(path.join("terminal.jsonl")).expect("the ledger");
    let planted = planted.lines().filter(|line| line.contains(r#""planted""#)).count();
    assert!(planted >= 4, "{planted} planted");
    assert_eq!(differences.len(), planted, "{differences:?}\n{said}");
}

#[test]
fn days_agree_on_sqlite_at_a_host_of_1993() {
    let directory = tempfile::tempdir().expect("a directory");
    live("sqlite://interlock.db", "iso93-ascii", directory.path());
}

#[test]
fn days_agree_on_postgres_at_a_binary_host() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = Postgres::shared().and_then(|server| server.create("days")).expect("a database");
    live(&url, "iso87-binary", directory.path());
}

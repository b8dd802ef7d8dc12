//! The foreign party: terminal and issuer of another project, over a specification in its format, through Interlock.

use std::{collections::BTreeSet, fs, net::TcpStream, process::Command};

use crate::programs::{Process, example, field, free_address, interlock, top, wait_for};

const SALES: usize = 200;
const SILENT: usize = 77;

fn configuration(issuer: &str) -> String {
    format!(
        r#"
[node]
id = "foreign"
[store]
url = "sqlite://interlock.db"
[admin]
listen = "127.0.0.1:0"
[[listener]]
name = "pos"
listen = "127.0.0.1:0"
dialect = "foreign"
response_deadline = "10s"
[[issuer]]
name = "host"
dialect = "foreign"
endpoints = ["{issuer}"]
timeout = "1s"
echo_interval = "5s"
[[route]]
prefixes = ["62"]
issuer = "host"
"#
    )
}

/// RRNs of the lines of an issuer's output that begin so.
fn rrns(output: &str, begin: &str) -> Vec<String> {
    let lines = output.lines().filter_map(|line| line.strip_prefix(begin));
    lines.filter_map(|rest| Some(rest.split_whitespace().next()?.to_owned())).collect()
}

#[test]
fn two_hundred_sales_cross_and_the_silent_one_is_reversed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let specification = top().join("tests/data/foreign.yaml");
    let run = |arguments: &[&str]| {
        let status = Command::new(interlock()).args(arguments).current_dir(path).status();
        assert!(status.expect("interlock").success(), "{arguments:?}");
    };
    fs::create_dir(path.join("dialects")).expect("made");
    let yaml = specification.to_str().expect("a plain path");
    run(&["dialect", "import", yaml, "--output", "dialects/foreign.toml"]);
    run(&["keys", "init", "card-data.key"]);

    let address = free_address();
    let mut host = Command::new(example("foreign_issuer"));
    host.args([&address, "000000066600"]).env("SPEC_FILE", &specification);
    let issuer = Process::start(&mut host, path.join("issuer.out"));
    wait_for("the issuer", || TcpStream::connect(&address).is_ok());
    fs::write(path.join("interlock.toml"), configuration(&address)).expect("written");
    let mut serve = Command::new(interlock());
    serve.args(["serve", "--config", "interlock.toml"]).current_dir(path);
    let mut switch = Process::start(&mut serve, path.join("switch.out"));
    let pos = field(&switch.line(" ready "), "pos");
    switch.line("link to issuer up");

    let mut till = Command::new(example("foreign_terminal"));
    till.args([&pos, &SALES.to_string(), &SILENT.to_string()]).env("SPEC_FILE", &specification);
    let mut terminal = Process::start(&mut till, path.join("terminal.out"));
    assert!(terminal.child.wait().expect("its end").success(), "{}", terminal.written());

    let written = terminal.written();
    let answers: Vec<Vec<&str>> = written
        .lines()
        .filter_map(|line| line.strip_prefix("T "))
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(answers.len(), SALES);
    let by_code = |code: &str| -> BTreeSet<String> {
        let with = answers.iter().filter(|answer| answer.get(1) == Some(&code));
        with.filter_map(|answer| Some((*answer.get(2)?).to_owned())).collect()
    };
    let (approved, unanswered) = (by_code("00"), by_code("98"));
    assert_eq!((approved.len(), unanswered.len()), (SALES - 1, 1), "{answers:?}");

    wait_for("the reversal", || !rrns(&issuer.written(), "I reversed ").is_empty());
    switch.signal("TERM");
    assert!(switch.child.wait().expect("its end").success());
    let host = issuer.written();
    let charged = rrns(&host, "I charged ");
    let reversed: BTreeSet<String> = rrns(&host, "I reversed ").into_iter().collect();
    assert_eq!(charged.len(), SALES, "none was forwarded twice");
    assert_eq!(reversed, unanswered, "the silent one, and no other, was reversed");
    let kept: BTreeSet<String> =
        charged.into_iter().filter(|rrn| !reversed.contains(rrn)).collect();
    assert_eq!(kept, approved, "charged is what the terminal has");
}

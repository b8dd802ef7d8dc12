//! What keeps the daemon from a wrong key, a wrong day and a locked file, as operators see it.

use std::{fs, path::Path};

use assert_cmd::assert::Assert;
use sqlx::{Connection as _, SqliteConnection};

use crate::{
    serve::{Set, configuration},
    support::{Process, http_get, interlock, wait_for},
};

/// What a command said on standard error.
fn errors(done: &Assert) -> String {
    String::from_utf8_lossy(&done.get_output().stderr).into_owned()
}

fn key(directory: &Path) -> String {
    let keys = keystore::CardKeys::load(&directory.join("card-data.key")).expect("a key");
    keys.check_text()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().display().to_string()).collect();
    names.sort();
    names
}

#[test]
fn another_card_data_key_ends_serve_and_check_with_status_2() {
    let Set { directory, issuer, serve, pos: _, admin: _ } = Set::start();
    let path = directory.path();
    serve.signal("TERM");
    assert_eq!(serve.end().0, Some(0));
    let check = || {
        let mut command = interlock();
        command.current_dir(path).args(["check", "--config", "interlock.toml"]);
        command.assert()
    };
    let before = names(path);
    assert_eq!(errors(&check().success()), "");
    assert_eq!(names(path), before, "nothing is made");

    let kept = key(path);
    fs::remove_file(path.join("card-data.key")).expect("removed");
    interlock().current_dir(path).args(["keys", "init", "card-data.key"]).assert().success();
    let serve = ["serve", "--config", "interlock.toml"];
    for done in [check().code(2), interlock().current_dir(path).args(serve).assert().code(2)] {
        let said = errors(&done);
        for part in ["card_data.key_file", "card-data.key", &kept, &key(path)] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
    }
    assert_eq!(names(path), before, "nothing is left");
    drop(issuer);
}

#[test]
fn a_check_makes_no_database_and_warns_where_it_reaches_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    interlock().current_dir(path).args(["keys", "init", "card-data.key"]).assert().success();
    let check = |text: &str| {
        fs::write(path.join("interlock.toml"), text).expect("written");
        interlock().current_dir(path).args(["check", "--config", "interlock.toml"]).assert()
    };
    let good = configuration("127.0.0.1:9", "");
    assert_eq!(errors(&check(&good).success()), "");
    assert_eq!(names(path), ["card-data.key", "interlock.toml"]);
    let nowhere = good.replace("sqlite://interlock.db", "postgres://nobody@127.0.0.1:1/nothing");
    let said = errors(&check(&nowhere).success());
    assert!(said.contains("warning: the card data key was not compared"), "{said}");
}

#[test]
fn a_second_daemon_on_a_file_is_told_of_the_file() {
    let set = Set::start();
    let file = set.path().join("interlock.toml");
    let other = fs::read_to_string(&file).expect("read").replace("id = \"test\"", "id = \"b\"");
    fs::write(set.path().join("b.toml"), other).expect("written");
    let serve = ["serve", "--config", "b.toml"];
    let said = errors(&interlock().current_dir(set.path()).args(serve).assert().code(1));
    let expected =
        ["store.url: ", "interlock.db is in use by ", ", process ", ": one process a file"];
    for part in expected {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!said.contains("node.id"), "{said}");
}

#[test]
fn a_day_is_set_by_a_person_while_the_daemon_runs() {
    let mut set = Set::start();
    let (status, summary) = http_get(&set.admin, "/api/v1/summary");
    assert_eq!(status, 200);
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
    let today = summary["day"].as_str().expect("a day").to_owned();
    let date: jiff::civil::Date = today.parse().expect("a date");
    let set_day = |day: &str, more: &[&str]| {
        interlock()
            .current_dir(set.path())
            .args(["day", "set", day, "--config", "interlock.toml"])
            .args(more)
            .assert()
    };
    let reason = ["--reason", "a test", "--by", "somebody"];
    set_day("2026-13-01", &reason).code(2);
    set_day(&today, &[]).code(2);
    let said = errors(&set_day(&today, &reason).code(1));
    assert!(said.contains("is the current business day already"), "{said}");
    let far = date.checked_add(jiff::Span::new().days(30)).expect("a date").to_string();
    let said = errors(&set_day(&far, &reason).code(1));
    assert!(said.contains("more than 10 days from the clock's day"), "{said}");
    // The day after: the daemon follows, and shows it.
    let next = date.checked_add(jiff::Span::new().days(1)).expect("a date").to_string();
    wait_for("the day to settle", || {
        let done = interlock()
            .current_dir(set.path())
            .args(["day", "set", &next, "--config", "interlock.toml"])
            .args(reason)
            .assert();
        let output = done.get_output();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success()
            && said.contains(&format!("the business day is {next}, and was {today}"))
    });
    wait_for("the page", || http_get(&set.admin, "/").1.contains(&format!("business day {next}")));
    set.serve.logged("the business day is another");
    set.sell("4");
    assert_eq!(http_get(&set.admin, "/readyz").0, 200);
}

#[test]
fn m15_a_locked_file_makes_the_node_not_ready_and_the_ledgers_agree_afterwards() {
    let mut set = Set::start();
    let path = set.path().to_owned();
    set.sell("4");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let url = format!("sqlite://{}", path.join("interlock.db").display());
    let mut other = runtime.block_on(SqliteConnection::connect(&url)).expect("connects");
    let lock = sqlx::query("BEGIN IMMEDIATE").execute(&mut other);
    runtime.block_on(lock).expect("locked");
    fs::write(path.join("mix.toml"), "first_terminal = 20000001\n").expect("written");
    let load = ["bench", "--target", &set.pos, "--dialect", "cup-pos", "--rate", "10"];
    let more = ["--duration", "6s", "--connections", "8", "--mix", "mix.toml"];
    let ledger = ["--ledger", "terminals.jsonl"];
    let load: Vec<&str> = load.into_iter().chain(more).chain(ledger).collect();
    let load = Process::start(&path, &load);
    wait_for("the node is not ready", || {
        let (status, why) = http_get(&set.admin, "/readyz");
        status == 503 && why.contains("the store is down")
    });
    let shed = |line: &str| {
        let count = line.strip_prefix("interlock_shed_total{reason=\"store_down\"} ");
        count.is_some_and(|count| count != "0")
    };
    wait_for("shed requests", || http_get(&set.admin, "/metrics").1.lines().any(shed));
    let log = set.serve.logged("locked by another process");
    assert!(log.contains("WARN"), "{log}");
    set.serve.logged("the store is down");
    runtime.block_on(sqlx::query("ROLLBACK").execute(&mut other)).expect("let go");
    wait_for("readiness", || http_get(&set.admin, "/readyz").0 == 200);
    drop(load.end());
    fs::write(path.join("mix.toml"), "first_terminal = 30000001\n").expect("written");
    let sold = interlock()
        .current_dir(&path)
        .args(["bench", "--target", &set.pos, "--dialect", "cup-pos", "--sales", "4"])
        .args(["--connections", "1", "--mix", "mix.toml", "--ledger", "terminals.jsonl"])
        .assert()
        .success();
    let text = String::from_utf8_lossy(&sold.get_output().stdout).into_owned();
    assert!(text.contains("00: 4") || text.contains("4 approved"), "{text}");
    set.serve.signal("TERM");
    assert_eq!(set.serve.end().0, Some(0));
    set.issuer.signal("TERM");
    assert_eq!(set.issuer.end().0, Some(0));
    interlock()
        .current_dir(&path)
        .args(["reconcile", "--terminal", "terminals.jsonl", "--issuer", "issuer.jsonl"])
        .args(["--config", "interlock.toml"])
        .assert()
        .success();
}

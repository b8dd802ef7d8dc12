//! `interlock serve`: sales cross it, operators see them, it reloads, drains, and the ledgers agree.

use std::{fs, path::Path};

use crate::support::{Process, field, http_get, interlock, wait_for};

/// A configuration with free ports for one issuer.
pub(crate) fn configuration(issuer: &str, extra: &str) -> String {
    format!(
        r#"
[node]
id = "test"
drain_timeout = "5s"
[store]
url = "sqlite://interlock.db"
[admin]
listen = "127.0.0.1:0"
[[listener]]
name = "pos"
listen = "127.0.0.1:0"
dialect = "cup-pos"
response_deadline = "8s"
[[issuer]]
name = "unionpay"
dialect = "iso87-ascii"
endpoints = ["{issuer}"]
timeout = "4s"
[[route]]
prefixes = ["62", "81"]
issuer = "unionpay"
{extra}"#
    )
}

pub(crate) struct Set {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) issuer: Process,
    pub(crate) serve: Process,
    pub(crate) pos: String,
    pub(crate) admin: String,
}

impl Set {
    /// An issuer and a switch in processes of their own.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        interlock().current_dir(path).args(["keys", "init", "card-data.key"]).assert().success();
        let arguments = [
            "issuer",
            "--listen",
            "127.0.0.1:0",
            "--dialect",
            "iso87-ascii",
            "--ledger",
            "issuer.jsonl",
        ];
        let mut issuer = Process::start(path, &arguments);
        let line = issuer.line();
        let address = line.strip_prefix("listening on ").expect("its address").to_owned();
        fs::write(path.join("interlock.toml"), configuration(&address, "")).expect("written");
        let mut serve = Process::start(path, &["serve", "--config", "interlock.toml"]);
        let ready = serve.logged(" ready ");
        let (pos, admin) = (field(&ready, "pos"), field(&ready, "admin"));
        serve.logged("link to issuer up");
        Self { directory, issuer, serve, pos, admin }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Sales through the switch, each with a terminal's ledger.
    pub(crate) fn sell(&self, sales: &str) {
        interlock()
            .current_dir(self.path())
            .args(["bench", "--target", &self.pos, "--dialect", "cup-pos", "--sales", sales])
            .args(["--connections", "4", "--duration", "20s", "--ledger", "terminals.jsonl"])
            .assert()
            .success();
    }
}

/// No parameter is dropped or changed.
fn refuses_bad_parameters(set: &Set) {
    for (query, place) in [
        ("transactions?stan=4294967296", "stan: "),
        ("transactions?amount=9223372036854775808", "amount: "),
        ("transactions?limit=0", "limit: "),
        ("transactions?state=bogus", "state: "),
        ("transactions?colour=red", "colour"),
        ("transactions/1?colour=red", "colour"),
        ("reversals?status=bogus", "status: "),
        ("reversals?limit=5000", "limit: "),
        ("cases?all=perhaps", "all: "),
        ("batches?limit=-1", "limit: "),
        ("links?up=1", "up"),
        ("summary?day=1", "day"),
    ] {
        let (status, body) = http_get(&set.admin, &format!("/api/v1/{query}"));
        assert!(status == 400 && body.contains(place), "{query}: {status} {body}");
    }
}

#[test]
fn sales_cross_the_switch_and_the_ledgers_agree() {
    let set = Set::start();
    assert_eq!(http_get(&set.admin, "/healthz").0, 200);
    wait_for("readiness", || http_get(&set.admin, "/readyz").0 == 200);
    set.sell("40");
    let (status, metrics) = http_get(&set.admin, "/metrics");
    assert_eq!(status, 200);
    let counted =
        "interlock_transactions_total{listener=\"pos\",kind=\"purchase\",outcome=\"approved\"} 40";
    assert!(metrics.contains(counted), "{metrics}");
    let (status, page) = http_get(&set.admin, "/");
    assert!(status == 200 && page.contains("unionpay") && page.contains("approved"), "{page}");

    let found = interlock()
        .args([
            "txn", "find", "--state", "approved", "--limit", "5", "--json", "--admin", &set.admin,
        ])
        .assert()
        .success();
    let lines = String::from_utf8_lossy(&found.get_output().stdout).into_owned();
    assert_eq!(lines.lines().count(), 5, "{lines}");
    refuses_bad_parameters(&set);
    let bad = ["txn", "find", "--stan", "4294967296", "--admin", &set.admin];
    interlock().args(bad).assert().code(2);
    let show = ["txn", "show", "1", "--admin", &set.admin];
    let shown = interlock().args(show).assert().success();
    let text = String::from_utf8_lossy(&shown.get_output().stdout).into_owned();
    assert!(text.contains("000000000001") && text.contains("******"), "{text}");
    interlock().args(["txn", "show", "999999", "--admin", &set.admin]).assert().code(1);
    interlock().args(["links", "--admin", &set.admin]).assert().success();
    interlock().args(["reversals", "--admin", &set.admin]).assert().success().stdout("none\n");
    let cases = ["cases", "--all", "--admin", &set.admin];
    interlock().args(cases).assert().success().stdout("none\n");
    // What terminals brought is written behind.
    wait_for("batches", || {
        let batches = ["batches", "--json", "--admin", &set.admin];
        let listed = interlock().args(batches).assert().success();
        let text = String::from_utf8_lossy(&listed.get_output().stdout).into_owned();
        text.lines().count() == 4 && text.lines().all(|line| line.contains("\"result\":\"open\""))
    });

    set.serve.signal("TERM");
    let path = set.path().to_owned();
    let log = set.serve.log();
    assert_eq!(set.serve.end().0, Some(0), "{log}");
    set.issuer.signal("TERM");
    assert_eq!(set.issuer.end().0, Some(0));
    let reconcile = [
        "reconcile",
        "--terminal",
        "terminals.jsonl",
        "--issuer",
        "issuer.jsonl",
        "--config",
        "interlock.toml",
    ];
    interlock().current_dir(&path).args(reconcile).assert().success();
    // A charge that nobody knows of is a difference.
    let ledger = fs::read_to_string(path.join("issuer.jsonl")).expect("the ledger");
    let line = ledger.lines().find(|line| line.contains("charged")).expect("a charge");
    let (head, tail) = line.split_once("\"rrn\":\"").expect("an RRN");
    let foreign = format!("{head}\"rrn\":\"9{}", tail.get(1..).unwrap_or_default());
    fs::write(path.join("issuer.jsonl"), format!("{ledger}{foreign}\n")).expect("written");
    interlock().current_dir(&path).args(reconcile).assert().code(1);
}

#[test]
fn a_reload_takes_new_routes_or_keeps_the_old_ones() {
    let mut set = Set::start();
    let file = set.path().join("interlock.toml");
    let good = fs::read_to_string(&file).expect("the configuration");
    fs::write(&file, good.replace("issuer = \"unionpay\"", "issuer = \"lost\"")).expect("written");
    set.serve.signal("HUP");
    set.serve.logged("route[0].issuer: \"lost\" is no issuer");
    set.serve.logged("not reloaded: the old settings stay");
    set.sell("4");
    fs::write(&file, good.replace("\"62\", \"81\"", "\"4\"")).expect("written");
    set.serve.signal("HUP");
    set.serve.logged(" reloaded ");
    // Other terminals: two runs within a second share their identities.
    fs::write(set.path().join("mix.toml"), "first_terminal = 20000001\n").expect("written");
    let refused = interlock()
        .current_dir(set.path())
        .args(["bench", "--target", &set.pos, "--dialect", "cup-pos", "--sales", "4"])
        .args(["--connections", "1", "--duration", "10s", "--mix", "mix.toml"])
        .assert()
        .success();
    let text = String::from_utf8_lossy(&refused.get_output().stdout).into_owned();
    assert!(text.contains("15: 4"), "no route for these cards any more: {text}");
    set.serve.signal("INT");
    assert_eq!(set.serve.end().0, Some(0));
}

#[test]
fn it_refuses_to_start_without_its_key_and_names_the_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("interlock.toml");
    fs::write(&file, configuration("127.0.0.1:1", "")).expect("written");
    let output = interlock().args(["serve", "--config"]).arg(&file).assert().code(2);
    let errors = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(errors.contains("interlock keys init"), "{errors}");
}

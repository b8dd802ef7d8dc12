//! The daemon before a Postgres that is not there, takes no writes, cuts sessions, or is gone at the end.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use interlock_tests::postgres::Postgres;

use crate::{
    serve,
    support::{Process, field, http_get, interlock, wait_for},
};

/// That of the other tests with this database, and a shorter drain.
fn configuration(url: &str, issuer: &str) -> String {
    serve::configuration(issuer, "")
        .replace("sqlite://interlock.db", url)
        .replace("drain_timeout = \"5s\"", "drain_timeout = \"3s\"")
}

struct Set {
    directory: tempfile::TempDir,
    server: Postgres,
    _issuer: Process,
    serve: Process,
    pos: String,
    admin: String,
}

impl Set {
    fn start() -> Self {
        let server = Postgres::start().expect("a server");
        let url = server.create("ilk").expect("a database");
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        interlock().current_dir(path).args(["keys", "init", "card-data.key"]).assert().success();
        let listen = ["issuer", "--listen", "127.0.0.1:0", "--dialect", "iso87-ascii"];
        let mut issuer = Process::start(path, &listen);
        let line = issuer.line();
        let address = line.strip_prefix("listening on ").expect("its address");
        fs::write(path.join("interlock.toml"), configuration(&url, address)).expect("written");
        let mut serve = Process::start(path, &["serve", "--config", "interlock.toml"]);
        let ready = serve.logged(" ready ");
        let (pos, admin) = (field(&ready, "pos"), field(&ready, "admin"));
        serve.logged("link to issuer up");
        Self { directory, server, _issuer: issuer, serve, pos, admin }
    }

    /// Sales of terminals of their own.
    fn sell(&self, first_terminal: u32, sales: &str) {
        let mix = self.directory.path().join("mix.toml");
        fs::write(&mix, format!("first_terminal = {first_terminal}\n")).expect("written");
        interlock()
            .current_dir(self.directory.path())
            .args(["bench", "--target", &self.pos, "--dialect", "cup-pos", "--sales", sales])
            .args(["--connections", "1", "--duration", "20s", "--mix", "mix.toml"])
            .assert()
            .success();
    }

    /// Asks the server as its owner, in a database that the daemon does not use.
    fn ask(&self, statement: &str) -> String {
        let url = self.server.url("postgres");
        let psql = interlock_tests::postgres::binaries().expect("installed").join("psql");
        let output = std::process::Command::new(psql)
            .args(["-XAt", "-c", statement, &url])
            .output()
            .expect("psql");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Ends the daemon's sessions.
    fn cut(&self) {
        self.ask(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'ilk'",
        );
    }

    /// The value of a metric's line that begins with this.
    fn metric(&self, line: &str) -> Option<u64> {
        let (_, metrics) = http_get(&self.admin, "/metrics");
        let value = metrics.lines().find_map(|found| found.strip_prefix(line))?;
        value.trim().parse().ok()
    }
}

const APPROVED: &str =
    "interlock_transactions_total{listener=\"pos\",kind=\"purchase\",outcome=\"approved\"}";

fn holds(log: &str, text: &str) -> usize {
    log.lines().filter(|line| line.contains(text)).count()
}

#[test]
fn a_read_only_server_is_named_and_does_not_fill_the_log() {
    let mut set = Set::start();
    set.sell(20_000_001, "2");
    set.ask("ALTER DATABASE ilk SET default_transaction_read_only = on");
    set.cut();
    set.serve.logged("the store is down");
    let lanes = ["store=\"intents\"", "store=\"outcomes\"", "store=\"beat\"", "store=\"numbers\""];
    // Each user of the store says it, some of them ten times a second.
    for lane in lanes.iter().take(3) {
        set.serve.logged(lane);
    }
    let reason = "cannot execute UPDATE in a read-only transaction (25006)";
    set.serve.logged(reason);
    wait_for("not ready", || http_get(&set.admin, "/readyz").0 == 503);
    // Until the lanes have tried some thirty times each.
    let begun = set.ask("SELECT sum(sessions) FROM pg_stat_database WHERE datname = 'ilk'");
    let begun: u64 = begun.parse().expect("a number");
    wait_for("attempts", || {
        let now = set.ask("SELECT sum(sessions) FROM pg_stat_database WHERE datname = 'ilk'");
        now.parse::<u64>().is_ok_and(|now| now >= begun + 60)
    });
    let log = set.serve.log();
    let lines = holds(&log, reason);
    assert!((1..=8).contains(&lines), "{lines} lines: {log}");
    set.ask("ALTER DATABASE ilk RESET default_transaction_read_only");
    set.serve.logged("the store works again");
    set.serve.logged("the store is up");
    wait_for("ready", || http_get(&set.admin, "/readyz").0 == 200);
    set.sell(20_000_101, "2");
    assert_eq!(set.metric(APPROVED), Some(4));
    let log = set.serve.log();
    for sql in ["UPDATE fence", "UPDATE node", "SELECT ", "WITH me"] {
        assert_eq!(holds(&log, sql), 0, "no statement's text: {log}");
    }
    set.serve.signal("TERM");
    assert_eq!(set.serve.end().0, Some(0), "{log}");
}

#[test]
fn the_first_sale_after_a_cut_of_all_sessions_is_served() {
    let set = Set::start();
    set.sell(20_000_001, "2");
    for round in 1..4_u32 {
        set.cut();
        let gone = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'ilk' AND application_name = 'interlock' \
             AND query LIKE 'WITH me%'";
        wait_for("the writers' sessions are gone", || set.ask(gone) == "0");
        set.sell(20_000_001 + 100 * round, "1");
        assert_eq!(set.metric(APPROVED), Some(2 + u64::from(round)), "{}", set.serve.log());
    }
    assert_eq!(set.metric("interlock_shed_total{reason=\"store_down\"}").unwrap_or(0), 0);
    let log = set.serve.log();
    assert_eq!(holds(&log, "in use by"), 0, "{log}");
    set.serve.signal("TERM");
    assert_eq!(set.serve.end().0, Some(0));
}

#[test]
fn a_drain_without_a_database_takes_no_longer_than_its_time() {
    let mut set = Set::start();
    set.sell(20_000_001, "2");
    set.server.crash().expect("crashes");
    set.serve.logged("the store is down");
    let begun = Instant::now();
    set.serve.signal("TERM");
    let log = set.serve.log();
    let (status, _) = set.serve.end();
    let took = begun.elapsed();
    assert_eq!(status, Some(0), "{log}");
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn a_start_without_a_database_names_the_place_and_the_cause() {
    let port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.local_addr().expect("bound").port()
    };
    let directory = tempfile::tempdir().expect("a directory");
    let path: &Path = directory.path();
    interlock().current_dir(path).args(["keys", "init", "card-data.key"]).assert().success();
    let url = format!("postgres://ilk:SECRET@127.0.0.1:{port}/ilk");
    fs::write(path.join("interlock.toml"), configuration(&url, "127.0.0.1:1")).expect("written");
    let serve = ["serve", "--config", "interlock.toml"];
    let ended = interlock().current_dir(path).args(serve).assert().code(1);
    let errors = String::from_utf8_lossy(&ended.get_output().stderr).into_owned();
    let expected =
        format!("store.url: no connection to 127.0.0.1:{port} within 5 s: connection refused");
    assert_eq!(errors.matches(&expected).count(), 1, "{errors}");
    assert!(!errors.contains("SECRET") && !errors.contains("timed out"), "{errors}");
}

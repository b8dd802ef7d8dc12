//! An issuer and terminals that speak to it directly, over the loopback.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iso8583::{Dialect, SHIPPED};
use sim::bench::{Arrivals, BenchOptions, Live, Mix, Pace, Rates, Summary, run};
use sim::issuer::{Issuer, IssuerCounts, IssuerOptions, Script};
use sim::reconcile::{Ledgers, Report, SwitchRow, reconcile};
use tempfile::TempDir;

pub(crate) struct Floor {
    pub(crate) dir: TempDir,
    dialect: Arc<Dialect>,
}

pub(crate) struct Ended {
    pub(crate) summary: Summary,
    pub(crate) counts: IssuerCounts,
    pub(crate) report: Report,
}

impl Floor {
    pub(crate) fn new(dialect: &str) -> Self {
        Self::of(Dialect::shipped(dialect).expect("shipped"))
    }

    fn of(dialect: Dialect) -> Self {
        Self { dir: tempfile::tempdir().expect("a directory"), dialect: Arc::new(dialect) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn lines(&self, name: &str) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.path(name)).expect("a ledger");
        text.lines().map(|line| serde_json::from_str(line).expect("json")).collect()
    }

    pub(crate) async fn issuer(&self, script: Script) -> Issuer {
        let mut options = IssuerOptions::new(Arc::clone(&self.dialect));
        options.script = script;
        options.ledger = Some(self.path("issuer"));
        Issuer::start(options).await.expect("started")
    }

    /// A host that terminals speak to directly; cards that begin with 81 are foreign.
    pub(crate) async fn host(&self, script: Script) -> Issuer {
        let mut options = IssuerOptions::new(Arc::clone(&self.dialect));
        options.script = script;
        options.ledger = Some(self.path("issuer"));
        (options.acquirer, options.foreign_prefixes) = (true, vec!["81".to_owned()]);
        Issuer::start(options).await.expect("started")
    }

    pub(crate) fn options(&self, target: String, sales: u64, mix: &str) -> BenchOptions {
        BenchOptions {
            sales: Some(sales),
            connections: 8,
            mix: Mix::from_toml(mix).expect("a mix"),
            ledger: Some(self.path("terminals")),
            healing: Duration::from_secs(20),
            ..BenchOptions::new(target, Arc::clone(&self.dialect))
        }
    }

    pub(crate) fn compare(&self) -> Report {
        let ledgers =
            Ledgers { terminals: vec![self.path("terminals")], issuers: vec![self.path("issuer")] };
        reconcile(&ledgers, None::<Vec<SwitchRow>>).expect("readable")
    }

    /// So many sales, until all terminals know.
    pub(crate) async fn sell(&self, script: Script, sales: u64, mix: &str) -> Ended {
        self.sell_to(self.issuer(script).await, sales, mix).await
    }

    pub(crate) async fn sell_to(&self, issuer: Issuer, sales: u64, mix: &str) -> Ended {
        let options = self.options(issuer.local_addr().to_string(), sales, mix);
        let summary = load(options).await;
        let counts = issuer.counts();
        issuer.stop().await;
        Ended { summary, counts, report: self.compare() }
    }
}

pub(crate) async fn load(options: BenchOptions) -> Summary {
    let running = move || run(&options, &Arc::new(Live::default()), |_| {});
    tokio::task::spawn_blocking(running).await.expect("no panic").expect("a summary")
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_cross_and_reconcile_in_every_dialect_and_both_paces() {
    for dialect in SHIPPED {
        let floor = Floor::new(dialect);
        let Ended { summary, counts, report } =
            floor.sell(Script::approving(), 500, "balance_enquiries = 0.2").await;
        assert_eq!((summary.sent, summary.approved), (500, 500), "{summary}");
        assert!(summary.is_sound() && summary.errors.is_empty(), "{summary}");
        assert!(report.is_clean() && report.transactions < 480, "{report}");
        assert!((320..480).contains(&counts.postings.charged), "{counts:?}");

        let floor = Floor::new(dialect);
        let issuer = floor.issuer(Script::approving()).await;
        let mut options = floor.options(issuer.local_addr().to_string(), 300, "terminals = 24");
        options.pace = Pace::Open(Rates::constant(1000.0).expect("above 0"), Arrivals::Constant);
        let summary = load(options).await;
        assert_eq!((summary.approved, summary.unknown), (300, 0), "{summary}");
        assert!((0.25..3.0).contains(&summary.seconds), "{summary}");
        issuer.stop().await;
        assert!(floor.compare().is_clean());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_goes_on_after_what_its_dialect_cannot_hold() {
    // No original fits in its 90: neither a void nor a reversal can be written.
    let short = "base = \"iso87-ascii\"\n[fields]\n\
                 90 = { name = \"Original\", content = \"n\", length = 20, privacy = \"open\" }";
    for mix in ["[kinds]\npurchase = 1\nvoid = 1", "[faults]\nreverse = 0.5"] {
        let floor = Floor::of(Dialect::parse("short", short).expect("a dialect"));
        let Ended { summary, counts, .. } = floor.sell(Script::approving(), 40, mix).await;
        let failed = summary.errors["not encoded"];
        assert!(failed > 10 && summary.unknown == 0 && !summary.is_sound(), "{summary}");
        let begun = if mix.contains("void") { 40 - failed } else { 40 };
        assert_eq!((summary.sent, summary.approved), (begun, begun), "{summary}");
        assert_eq!((counts.postings.charged, counts.received), (begun, begun));
    }
}

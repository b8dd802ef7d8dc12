//! One chaos run: terminals, a faulty issuer, faults on every connection, and a daemon that is killed again and again;
//! then the three ledgers are compared.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::{
    dice::Dice,
    files,
    process::{Process, free_address, metric, wait_ready},
    proxy::{Cut, Proxy, Rates},
};

/// The store under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Embedded.
    Sqlite,
    /// A private server that the run starts.
    Postgres,
}

/// What to do to it.
#[derive(Debug, Clone)]
pub struct ChaosOptions {
    /// The program under test.
    pub interlock: PathBuf,
    /// Its store.
    pub backend: Backend,
    /// Sales at least.
    pub sales: u64,
    /// SIGKILLs.
    pub kills: u32,
    /// Repeats the choices of the run, not its timing.
    pub seed: u64,
    /// Where files go; kept if something is found.
    pub dir: PathBuf,
}

/// What happened.
#[derive(Debug)]
pub struct ChaosReport {
    /// How often each kind of fault happened.
    pub faults: BTreeMap<String, u64>,
    /// What `interlock reconcile` said.
    pub reconciled: String,
    /// The longest time from SIGKILL and restart to ready.
    pub slowest_start: Duration,
    /// Starts that ended because the way to the database broke meanwhile.
    pub refused: u64,
    /// Reversals still owed at the end.
    pub owed: f64,
}

/// Sales a second: slow enough that kills, time-outs and restarts fall between them.
const RATE: u64 = 45;

/// Runs it.
///
/// # Errors
/// Anything that must not happen, with what the processes said.
pub fn run(options: &ChaosOptions) -> anyhow::Result<ChaosReport> {
    let mut dice = Dice::new(options.seed);
    let stage = Stage::set(options, &mut dice)?;
    let mut host = start_issuer(options, stage.issuer)?;
    let mut load = Load { slowest_start: Duration::ZERO, refused: 0 };
    let mut daemon = load.run(options, &stage, &mut dice)?;
    let owed = wait_quiet(stage.admin)?;
    daemon.terminate(Duration::from_secs(30))?;
    host.terminate(Duration::from_secs(10))?;
    let mut faults = count_faults(options, &stage.proxies)?;
    faults.insert("SIGKILL".to_owned(), options.kills.into());
    let reconciled = reconcile(options)?;
    let database = stage.postgres.as_ref().map(crate::postgres::Postgres::data);
    super::canary::search(&options.dir, database.as_deref())?;
    let Load { slowest_start, refused } = load;
    let report = ChaosReport { faults, reconciled, slowest_start, refused, owed };
    ensure!(owed == 0.0, "reversals are still owed\n{}", report.text());
    Ok(report)
}

/// What stands around the daemon: its files, its database, and a proxy on each connection.
struct Stage {
    _runtime: tokio::runtime::Runtime,
    postgres: Option<crate::postgres::Postgres>,
    admin: SocketAddr,
    issuer: SocketAddr,
    /// Where terminals connect.
    terminals: SocketAddr,
    proxies: Vec<(&'static str, Proxy)>,
}

impl Stage {
    fn set(options: &ChaosOptions, dice: &mut Dice) -> anyhow::Result<Self> {
        fs::create_dir_all(&options.dir)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let [pos, admin, issuer] = [free_address()?, free_address()?, free_address()?];
        let keys = Command::new(&options.interlock)
            .args(["keys", "init", "card-data.key"])
            .current_dir(&options.dir)
            .output()?;
        ensure!(keys.status.success(), "keys init failed");
        let mut proxy =
            |target, cut, rates| runtime.block_on(Proxy::start(target, cut, rates, dice.next()));
        let to_switch = proxy(pos, Cut::Len2, LINKS)?;
        let to_issuer = proxy(issuer, Cut::Ascii4, LINKS)?;
        let places = |url| files::Places { pos, admin, issuer: to_issuer.address, url };
        let mut store = None;
        let postgres = match options.backend {
            Backend::Sqlite => {
                files::write(&options.dir, &places("sqlite://interlock.db".to_owned()))?;
                None
            }
            Backend::Postgres => {
                let server = crate::postgres::Postgres::start()?;
                let local = SocketAddr::from(([127, 0, 0, 1], server.port()));
                let way = proxy(local, Cut::Reads, STORE)?;
                let direct = server.create("interlock")?;
                let url = direct.replace(&local.to_string(), &way.address.to_string());
                files::write(&options.dir, &places(url))?;
                store = Some((STORE_LINK, way));
                Some(server)
            }
        };
        let terminals = to_switch.address;
        let mut proxies = vec![("terminal link", to_switch), ("issuer link", to_issuer)];
        proxies.extend(store);
        Ok(Self { _runtime: runtime, postgres, admin, issuer, terminals, proxies })
    }

    /// No faults on the way to the database, or faults again.
    fn calm_store(&self, calm: bool) {
        for (_, proxy) in self.proxies.iter().filter(|(name, _)| *name == STORE_LINK) {
            proxy.calm(calm);
        }
    }
}

/// The load, and the daemon's deaths under it.
struct Load {
    slowest_start: Duration,
    /// Starts that ended because the way to the database broke.
    refused: u64,
}

impl Load {
    /// Gives the daemon of the last life, once every terminal knows what became of its sales.
    fn run(
        &mut self,
        options: &ChaosOptions,
        stage: &Stage,
        dice: &mut Dice,
    ) -> anyhow::Result<Process> {
        let (mut daemon, _) = start_ready(options, stage, &mut self.refused)?;
        let seconds = options.sales / RATE + 1;
        let mut bench = start_bench(options, stage.terminals, seconds)?;
        let begun = Instant::now();
        let length = Duration::from_secs(seconds);
        let gap = length / (options.kills + 1);
        for kill in 1..=options.kills {
            let jitter = gap * u32::try_from(dice.below(500)).unwrap_or(0) / 1_000;
            std::thread::sleep((gap * kill + jitter).saturating_sub(begun.elapsed()));
            daemon.kill()?;
            let (next, took) = start_ready(options, stage, &mut self.refused)?;
            daemon = next;
            self.slowest_start = self.slowest_start.max(took);
        }
        std::thread::sleep(length.saturating_sub(begun.elapsed()));
        for (_, proxy) in &stage.proxies {
            proxy.calm(true);
        }
        // its status tells of answers that never came, which this run is full of; the ledgers judge
        bench.wait_any(Duration::from_secs(240))?;
        Ok(daemon)
    }
}

/// Starts in a row, at most, after a kill.
const STARTS: u32 = 10;

/// What the way to the database is called.
const STORE_LINK: &str = "store link";

/// Faults on the connections of terminals and issuers.
const LINKS: Rates =
    Rates { reset: 60, cut: 60, lost: 60, stall: 80, stall_for: Duration::from_millis(1_500) };
/// Faults on the way to the database.
const STORE: Rates =
    Rates { reset: 12, cut: 16, lost: 12, stall: 14, stall_for: Duration::from_millis(700) };

fn start_daemon(options: &ChaosOptions) -> anyhow::Result<Process> {
    Process::start(
        &options.interlock,
        &["serve", "--config", "interlock.toml"],
        "serve",
        &options.dir,
    )
}

/// Starts the daemon and waits until it is ready. Where the way to its database breaks while it starts, it ends and says
/// so, as it should: then its supervisor starts it again. About every second start ends so; the tenth in a row finds the
/// way whole, and has no excuse. Gives how long the start that succeeded took.
fn start_ready(
    options: &ChaosOptions,
    stage: &Stage,
    refused: &mut u64,
) -> anyhow::Result<(Process, Duration)> {
    for start in 1..=STARTS {
        stage.calm_store(start == STARTS);
        let begun = Instant::now();
        let mut daemon = start_daemon(options)?;
        while begun.elapsed() < Duration::from_secs(20) && !daemon.has_ended()? {
            if wait_ready(stage.admin, Duration::from_millis(50)).is_ok() {
                stage.calm_store(false);
                return Ok((daemon, begun.elapsed()));
            }
        }
        let told = ["the database failed", "store.url: no connection"];
        let no_database = start < STARTS && told.iter().any(|text| daemon.tail().contains(text));
        ensure!(
            no_database,
            "the daemon does not become ready in start {start}:\n{}",
            daemon.tail()
        );
        *refused += 1;
    }
    anyhow::bail!("the daemon was not started")
}

fn start_issuer(options: &ChaosOptions, listen: SocketAddr) -> anyhow::Result<Process> {
    let listen = listen.to_string();
    let arguments = [
        "issuer",
        "--listen",
        &listen,
        "--dialect",
        "iso87-ascii",
        "--script",
        "issuer.toml",
        "--ledger",
        "issuer.jsonl",
    ];
    Process::start(&options.interlock, &arguments, "issuer", &options.dir)
}

fn start_bench(
    options: &ChaosOptions,
    target: SocketAddr,
    seconds: u64,
) -> anyhow::Result<Process> {
    let (target, rate) = (target.to_string(), RATE.to_string());
    let (duration, seed) = (format!("{seconds}s"), options.seed.to_string());
    let arguments = [
        "bench",
        "--target",
        &target,
        "--dialect",
        "cup-pos",
        "--rate",
        &rate,
        "--connections",
        "40",
        "--duration",
        &duration,
        "--mix",
        "mix.toml",
        "--seed",
        &seed,
        "--ledger",
        "terminal.jsonl",
        "--json",
        "bench.json",
    ];
    Process::start(&options.interlock, &arguments, "bench", &options.dir)
}

/// Waits until nothing is owed any more; gives what is still owed when patience ends.
fn wait_quiet(admin: SocketAddr) -> anyhow::Result<f64> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let owed =
            metric(admin, "interlock_reversals_owed")? + metric(admin, "interlock_in_flight")?;
        if owed == 0.0 || Instant::now() > end {
            return Ok(owed);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn reconcile(options: &ChaosOptions) -> anyhow::Result<String> {
    let arguments = [
        "reconcile",
        "--terminal",
        "terminal.jsonl",
        "--issuer",
        "issuer.jsonl",
        "--config",
        "interlock.toml",
    ];
    let output =
        Command::new(&options.interlock).args(arguments).current_dir(&options.dir).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "the ledgers differ:\n{said}\n{errors}\nfiles: {}",
        options.dir.display()
    );
    Ok(said)
}

fn count_faults(
    options: &ChaosOptions,
    proxies: &[(&str, Proxy)],
) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut faults = BTreeMap::new();
    for (name, proxy) in proxies {
        let counts = &proxy.counts;
        let kinds = [
            ("reset", &counts.reset),
            ("cut", &counts.cut),
            ("lost tail", &counts.lost),
            ("stall", &counts.stall),
        ];
        for (kind, count) in kinds {
            faults.insert(format!("{name}: {kind}"), count.load(Ordering::Relaxed));
        }
    }
    faults.extend(files::issuer_faults(&options.dir)?);
    faults.extend(files::terminal_faults(&options.dir)?);
    Ok(faults)
}

impl ChaosReport {
    /// A kind of fault that happened less often than `least`, and how often: such a run proves too little of it.
    #[must_use]
    pub fn scarce(&self, least: u64) -> Option<(&str, u64)> {
        let scarce = self.faults.iter().find(|(_, count)| **count < least);
        scarce.map(|(kind, count)| (kind.as_str(), *count))
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (kind, count) in &self.faults {
            let _ = writeln!(text, "  {count:>6}  {kind}");
        }
        let _ = writeln!(text, "  slowest start after a SIGKILL: {:?}", self.slowest_start);
        let _ = writeln!(
            text,
            "  starts that ended because the way to the database broke: {}",
            self.refused
        );
        let _ = writeln!(text, "  still owed: {}", self.owed);
        text + &self.reconciled
    }
}

/// Where a run's files go: a directory of its own below the target directory.
#[must_use]
pub fn run_dir(target: &Path, backend: Backend, seed: u64) -> PathBuf {
    target.join("chaos").join(format!("{backend:?}-{seed}-{}", std::process::id()).to_lowercase())
}

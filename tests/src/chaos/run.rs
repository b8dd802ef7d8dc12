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
    proxy::{Counts, Cut, Proxy, Rates},
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
    /// Each kind of fault must have happened so often.
    pub least: u64,
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

/// Where a server of the loopback listens.
fn local(server: &crate::postgres::Postgres) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], server.port()))
}

/// Sales a second: slow enough that kills, time-outs and restarts fall between them.
const RATE: u64 = 45;

/// Runs it.
///
/// # Errors
/// Anything that must not happen, with what the processes said.
pub fn run(options: &ChaosOptions) -> anyhow::Result<ChaosReport> {
    fs::create_dir_all(&options.dir)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut dice = Dice::new(options.seed);
    let postgres = match options.backend {
        Backend::Sqlite => None,
        Backend::Postgres => Some(crate::postgres::Postgres::start()?),
    };
    let [pos, admin, issuer] = [free_address()?, free_address()?, free_address()?];
    let keys = Command::new(&options.interlock)
        .args(["keys", "init", "card-data.key"])
        .current_dir(&options.dir)
        .status()?;
    ensure!(keys.success(), "keys init failed");
    let rates =
        Rates { reset: 60, cut: 60, lost: 60, stall: 80, stall_for: Duration::from_millis(1_500) };
    let to_switch = runtime.block_on(Proxy::start(pos, Cut::Len2, rates, dice.next()))?;
    let to_issuer = runtime.block_on(Proxy::start(issuer, Cut::Ascii4, rates, dice.next()))?;
    let to_store = match &postgres {
        None => None,
        Some(server) => {
            let rates = Rates {
                reset: 16,
                cut: 24,
                lost: 16,
                stall: 20,
                stall_for: Duration::from_millis(700),
            };
            Some(runtime.block_on(Proxy::start(local(server), Cut::Reads, rates, dice.next()))?)
        }
    };
    let url = match (&postgres, &to_store) {
        (Some(server), Some(proxy)) => {
            let direct = server.create("interlock")?;
            direct.replace(&local(server).to_string(), &proxy.address.to_string())
        }
        _ => "sqlite://interlock.db".to_owned(),
    };
    let places = files::Places { pos, admin, issuer: to_issuer.address, url };
    files::write(&options.dir, &places)?;
    let mut host = start_issuer(options, issuer)?;
    let mut refused = 0;
    let (mut daemon, _) = start_ready(options, admin, &mut refused)?;

    let seconds = options.sales / RATE + 1;
    let mut bench = start_bench(options, to_switch.address, seconds)?;
    let begun = Instant::now();
    let mut slowest_start = Duration::ZERO;
    let gap = Duration::from_secs(seconds).as_millis() / u128::from(options.kills + 1);
    for kill in 1..=options.kills {
        let jitter = u128::from(dice.below(1_000)) * gap / 2_000;
        let due =
            Duration::from_millis(u64::try_from(gap * u128::from(kill) + jitter).unwrap_or(0));
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        daemon.kill()?;
        let (next, took) = start_ready(options, admin, &mut refused)?;
        daemon = next;
        slowest_start = slowest_start.max(took);
    }
    std::thread::sleep(Duration::from_secs(seconds).saturating_sub(begun.elapsed()));
    for proxy in [Some(&to_switch), Some(&to_issuer), to_store.as_ref()].into_iter().flatten() {
        proxy.calm();
    }
    // its status tells of answers that never came, which this run is full of; the ledgers judge
    bench.wait_any(Duration::from_secs(240))?;
    let owed = wait_quiet(admin)?;
    daemon.terminate(Duration::from_secs(30))?;
    host.terminate(Duration::from_secs(10))?;
    let mut proxies =
        vec![("terminal link", &to_switch.counts), ("issuer link", &to_issuer.counts)];
    proxies.extend(to_store.as_ref().map(|proxy| ("store link", &proxy.counts)));
    let mut faults = count_faults(options, &proxies)?;
    faults.insert("SIGKILL".to_owned(), options.kills.into());
    let reconciled = reconcile(options)?;
    super::canary::search(
        &options.dir,
        postgres.as_ref().map(crate::postgres::Postgres::data).as_deref(),
    )?;
    let report = ChaosReport { faults, reconciled, slowest_start, refused, owed };
    for (kind, count) in &report.faults {
        ensure!(
            *count >= options.least,
            "{kind} happened only {count} times: run longer\n{}",
            report.text()
        );
    }
    Ok(report)
}

fn start_daemon(options: &ChaosOptions) -> anyhow::Result<Process> {
    Process::start(
        &options.interlock,
        &["serve", "--config", "interlock.toml"],
        "serve",
        &options.dir,
    )
}

/// Starts the daemon and waits until it is ready. Where the way to its database breaks while it starts, it ends and says
/// so, as it should: then its supervisor starts it again. Gives how long the start that succeeded took.
fn start_ready(
    options: &ChaosOptions,
    admin: SocketAddr,
    refused: &mut u64,
) -> anyhow::Result<(Process, Duration)> {
    for _ in 0..10 {
        let begun = Instant::now();
        let mut daemon = start_daemon(options)?;
        while begun.elapsed() < Duration::from_secs(20) && !daemon.has_ended()? {
            if wait_ready(admin, Duration::from_millis(50)).is_ok() {
                return Ok((daemon, begun.elapsed()));
            }
        }
        let no_database = daemon.tail().contains("the database failed");
        ensure!(no_database, "the daemon does not become ready:\n{}", daemon.tail());
        *refused += 1;
    }
    anyhow::bail!("the daemon does not become ready in ten starts")
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
    proxies: &[(&str, &std::sync::Arc<Counts>)],
) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut faults = BTreeMap::new();
    for (name, counts) in proxies {
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

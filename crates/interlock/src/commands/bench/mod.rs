//! `interlock bench`: simulated terminals, a progress bar, and a summary.

mod report;

pub(crate) use self::report::FormerError;

use std::{fs, io::IsTerminal, path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use clap::error::ErrorKind;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sim::bench::{BenchError, BenchOptions, Live, Mix, Pace, Progress, run as run_bench, used};

use self::report::{Former, Settings};
use crate::{cli::Bench, config::dialects, node::Signals, output::say};

/// The load ends with the terminals' days, and without a duration nothing else ends it.
const DAYS_END: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs the load; Ctrl-C ends it early, and goes on to clear up what terminals do not know.
pub(crate) async fn run(options: &Bench) -> anyhow::Result<ExitCode> {
    let former = options.compare.as_deref().map(Former::load).transpose()?;
    let bench = bench_options(options)?;
    for file in [&options.json, &options.html].into_iter().flatten() {
        writable(file)?;
    }
    let settings = settings(&bench);
    let stop = bench.stop.clone();
    let duration = bench.duration;
    let work = tokio::task::spawn_blocking(move || {
        let bar = bar(duration);
        let summary =
            run_bench(&bench, &Arc::new(Live::default()), |progress| show(&bar, progress));
        bar.finish_and_clear();
        summary
    });
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.stop().await;
        stop.cancel();
    });
    let summary = match work.await.context("the load")? {
        // Options that do not go together, which only the load can tell.
        Err(error @ (BenchError::Connections { .. } | BenchError::Kind { .. })) => {
            clap::Error::raw(ErrorKind::ArgumentConflict, format!("{error}\n")).print()?;
            return Ok(ExitCode::from(2));
        }
        ended => ended?,
    };
    say(&summary)?;
    if let Some(former) = &former {
        say(format_args!("\n{}", report::comparison(&summary, &settings, former)))?;
    }
    if let Some(file) = &options.json {
        write(file, &serde_json::to_string_pretty(&report::json(&summary, &settings)?)?)?;
    }
    if let Some(file) = &options.html {
        write(file, &report::page(&summary, &settings, former.as_ref())?)?;
    }
    Ok(if summary.is_sound() && summary.valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The options of the load, with its files read.
fn bench_options(options: &Bench) -> anyhow::Result<BenchOptions> {
    let dialect = dialects::for_command(&options.dialect)?;
    let mut bench = BenchOptions::new(options.target.to_string(), dialect);
    bench.framing = options.framing.map(crate::cli::FramingName::framing);
    if let Some(rates) = &options.rate {
        bench.duration = rates.length().unwrap_or(bench.duration);
        bench.pace = Pace::Open(rates.clone(), options.arrivals.arrivals());
    }
    bench.connections = options.connections;
    if let Some(duration) = options.duration {
        bench.duration = duration.0;
    }
    if let Some(warm_up) = options.warm_up {
        bench.warm_up = warm_up.0;
    }
    if options.warm_up.is_some() && bench.warm_up >= bench.duration {
        anyhow::bail!(
            "--warm-up {:?} leaves nothing of the {:?} that the load takes",
            bench.warm_up,
            bench.duration
        );
    }
    bench.sales = options.sales;
    if let Some(file) = &options.mix {
        bench.mix = Mix::load(file)?;
    }
    if options.day {
        bench.mix.day.get_or_insert_default();
    }
    if bench.mix.day.is_some() && options.duration.is_none() && options.rate.is_none() {
        bench.duration = DAYS_END;
    }
    bench.seed = options.seed;
    bench.ledger.clone_from(&options.ledger);
    if let Some(healing) = options.healing {
        bench.healing = healing.0;
    }
    bench.watched = options.watch_pid.clone();
    if let Some(gone) = bench.watched.iter().find(|watched| used(watched.pid).is_none()) {
        anyhow::bail!("--watch-pid {}={}: there is no such process", gone.name, gone.pid);
    }
    Ok(bench)
}

/// What the load was told, for its report.
fn settings(bench: &BenchOptions) -> Settings {
    let pace = match &bench.pace {
        Pace::Closed => "closed loop".to_owned(),
        Pace::Open(rates, arrivals) => format!("{rates} a second, {arrivals:?}").to_lowercase(),
    };
    let named = serde_json::json!({
        "target": bench.target,
        "dialect": bench.dialect.name(),
        "pace": pace,
        "connections": bench.connections,
        "terminals": bench.mix.terminals.unwrap_or(bench.connections),
        "duration": format!("{:?}", bench.duration),
        "warm-up": format!("{:?}", bench.warm_up),
        "sales": bench.sales,
        "seed": bench.seed,
        "ledger": bench.ledger.is_some(),
    });
    let mut settings = named.as_object().cloned().unwrap_or_default();
    let mix = serde_json::to_value(&bench.mix).unwrap_or_default();
    for (key, value) in mix.as_object().into_iter().flatten() {
        settings.insert(format!("mix: {key}"), value.clone());
    }
    settings
}

fn bar(duration: Duration) -> ProgressBar {
    let length = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let bar = ProgressBar::new(length);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{elapsed} {bar:30} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(u64::try_from(progress.elapsed.as_millis()).unwrap_or(u64::MAX));
    let Progress { rate, answered, approved, errors, unknown, connected, .. } = progress;
    let what = if progress.healing { "clearing up" } else { "load" };
    let codes: Vec<_> = progress.refusals.iter().map(|(code, n)| format!("{code}: {n}")).collect();
    let codes = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
    bar.set_message(format!(
        "{what}: {rate:.0}/s, p50 {:?}, p99 {:?}, {answered} answered, {approved} approved{codes}, {errors} errors, \
         {unknown} unknown, {connected} connections",
        progress.p50, progress.p99,
    ));
}

/// Fails before the load and not after it.
fn writable(file: &Path) -> anyhow::Result<()> {
    let opened = fs::OpenOptions::new().create(true).append(true).open(file);
    opened.map(drop).with_context(|| format!("{}: cannot be written", file.display()))
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("{}: cannot be written", file.display()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[tokio::test(flavor = "multi_thread")]
    async fn options_that_do_not_go_together_are_bad_use() {
        for more in [
            &["--dialect", "iso87-ascii", "--day"][..],
            &["--dialect", "cup-pos", "--connections", "0"],
        ] {
            let bench = ["interlock", "bench", "--target", "127.0.0.1:1"];
            let cli = Cli::try_parse_from(bench.iter().chain(more)).expect("options");
            let Command::Bench(options) = cli.command else { panic!("another command") };
            assert_eq!(run(&options).await.expect("a status"), ExitCode::from(2), "{more:?}");
        }
    }
}

//! `interlock bench`: simulated terminals, a progress bar, and a summary.

use std::{fs, io::IsTerminal, path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sim::bench::{BenchOptions, Live, Mix, Pace, Progress, Summary, run as run_bench};

use crate::{cli::Bench, config::dialects, node::Signals};

/// Runs the load; Ctrl-C ends it early, and goes on to clear up what terminals do not know.
#[expect(clippy::print_stdout, reason = "the result of the command goes to standard output")]
pub(crate) async fn run(options: &Bench) -> anyhow::Result<ExitCode> {
    let bench = bench_options(options)?;
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
    let summary = work.await.context("the load")??;
    println!("{summary}");
    if let Some(file) = &options.json {
        write(file, &serde_json::to_string_pretty(&summary)?)?;
    }
    if let Some(file) = &options.html {
        write(file, &html(&summary))?;
    }
    Ok(if summary.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The options of the load, with its files read.
fn bench_options(options: &Bench) -> anyhow::Result<BenchOptions> {
    let dialect = dialects::for_command(&options.dialect)?;
    let mut bench = BenchOptions::new(options.target.to_string(), dialect);
    bench.framing = options.framing.map(crate::cli::FramingName::framing);
    bench.pace = options.rate.map_or(Pace::Closed, Pace::Rate);
    bench.connections = options.connections;
    bench.duration = options.duration.0;
    if let Some(warm_up) = options.warm_up {
        bench.warm_up = warm_up.0;
    }
    bench.sales = options.sales;
    if let Some(file) = &options.mix {
        bench.mix = Mix::load(file)?;
    }
    bench.seed = options.seed;
    bench.ledger.clone_from(&options.ledger);
    if let Some(healing) = options.healing {
        bench.healing = healing.0;
    }
    Ok(bench)
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
    bar.set_message(format!(
        "{what}: {rate:.0}/s, p50 {:?}, p99 {:?}, {answered} answered, {approved} approved, {errors} errors, \
         {unknown} unknown, {connected} connections",
        progress.p50, progress.p99,
    ));
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("{}: cannot be written", file.display()))
}

/// The summary as a page.
fn html(summary: &Summary) -> String {
    let text = summary.to_string().replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>interlock bench</title>\n\
         <h1>interlock bench</h1>\n<pre>{text}</pre>\n</html>\n"
    )
}

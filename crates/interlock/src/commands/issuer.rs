//! `interlock issuer`: a simulated issuer that runs until it is told to stop.

use std::process::ExitCode;

use sim::issuer::{Issuer as Simulator, IssuerOptions, Script};

use crate::{cli::Issuer, config::dialects, node::Signals, output::say, telemetry};

/// Runs the simulator until SIGTERM or Ctrl-C, then says what it did.
pub(crate) async fn run(options: &Issuer) -> anyhow::Result<ExitCode> {
    telemetry::start(telemetry::Format::Text, "warn")?;
    let dialect = dialects::for_command(&options.dialect)?;
    let script = match &options.script {
        Some(file) => Script::load(file)?,
        None => Script::by_amount(),
    };
    let issuer = Simulator::start(IssuerOptions {
        listen: options.listen.to_string(),
        dialect,
        framing: options.framing.map(crate::cli::FramingName::framing),
        script,
        ledger: options.ledger.clone(),
        acquirer: options.acquirer,
        foreign_prefixes: options.foreign.clone(),
    })
    .await?;
    let mut signals = Signals::new()?;
    say(format_args!("listening on {}", issuer.local_addr()))?;
    signals.stop().await;
    let counts = issuer.counts();
    issuer.stop().await;
    let sim::issuer::Postings {
        charged,
        credited,
        held,
        released,
        adjusted,
        reversed,
        declined,
        duplicates,
        ..
    } = counts.postings;
    say(format_args!(
        "{} messages: {charged} charged, {reversed} reversed, {declined} declined, {duplicates} forwarded twice",
        counts.received
    ))?;
    if credited + held + released + adjusted > 0 {
        say(format_args!(
            "{credited} credited, {held} held, {released} released, {adjusted} adjusted"
        ))?;
    }
    for (behaviour, times) in &counts.shown {
        say(format_args!("{behaviour}: {times}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

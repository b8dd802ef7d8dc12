//! `interlock check`: validates a configuration without binding a port.

use std::{process::ExitCode, time::Duration};

use keystore::CardKeys;

use super::migrate::store_config;
use crate::{
    cli::Check,
    config::{Config, reference},
    output::say,
};

/// Checks the file, and says what it holds.
pub(crate) async fn run(options: &Check) -> anyhow::Result<ExitCode> {
    if options.reference {
        say(reference::markdown().trim_end())?;
    }
    let Some(file) = &options.config else { return Ok(ExitCode::SUCCESS) };
    let config = Config::load(file)?;
    card_key(&config).await?;
    let settings = &config.settings;
    say(format_args!(
        "{}: good: {}, {}, {}, {}",
        config.file.display(),
        counted(settings.listener.0.len(), "listener"),
        counted(settings.issuer.0.len(), "issuer"),
        counted(settings.route.0.len(), "route"),
        counted(settings.merchant.0.len(), "merchant"),
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// `1 listener`, `2 listeners`.
fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

/// How long the database may take to say which key is its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// Refuses another card data key than the database's. A key that cannot be read is not looked at here; a database that cannot
/// be reached is a warning, since a configuration may be checked where its database is not.
async fn card_key(config: &Config) -> anyhow::Result<()> {
    let file = config.key_file();
    let Ok(keys) = CardKeys::load(&file) else { return Ok(()) };
    // The connection is this command's own, and only reads.
    let store = store_config(config);
    let looked = tokio::time::timeout(PATIENCE, store::look_at_card_key(&store));
    let why = match looked.await {
        Ok(Ok(kept)) => {
            return match switch::refuse_other(&file, &keys, &kept) {
                Ok(()) => Ok(()),
                Err(other) => Err(config.fault("card_data.key_file", other.to_string()).into()),
            };
        }
        Ok(Err(error)) => format!("{:#}", anyhow::Error::from(error)),
        Err(_elapsed) => format!("no answer within {} s", PATIENCE.as_secs()),
    };
    warn(&format!("the card data key was not compared with the database's: {why}"));
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a warning of a command goes to standard error")]
fn warn(text: &str) {
    eprintln!("interlock: warning: {text}");
}

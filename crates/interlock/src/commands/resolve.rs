//! `interlock resolve`: a person's word on a transaction's cases, written into the database.

use std::process::ExitCode;

use store::{Resolution, Store};
use switch_core::TxnId;

use super::migrate::store_config;
use crate::{
    cli::{Resolve, Word},
    config::Config,
    output::say,
};

/// Closes the cases, and says so. A second time is an error that changes nothing.
pub(crate) async fn run(options: &Resolve) -> anyhow::Result<ExitCode> {
    let config = Config::load_for_store(&options.file.config)?;
    let store = Store::open(&store_config(&config)).await?;
    store.check_version().await?;
    let how = match options.how {
        Word::Delivered => Resolution::Delivered,
        Word::Refused => Resolution::Refused,
        Word::Confirmed => Resolution::Confirmed,
        Word::Seen => Resolution::Seen,
    };
    let id = TxnId(options.id);
    let reason = options.reason.as_deref().unwrap_or_default();
    store.resolve(id, how, reason, switch::clock::now().wall).await?;
    say(format_args!("the cases of {} are resolved: {}", id.rrn(), how.name()))?;
    Ok(ExitCode::SUCCESS)
}

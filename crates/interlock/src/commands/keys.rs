//! `interlock keys init`: makes the key that protects card data at rest.

use std::process::ExitCode;

use keystore::CardKeys;

use crate::{cli::KeysInit, output::say};

/// Makes the key file; never overwrites one.
pub(crate) fn init(options: &KeysInit) -> anyhow::Result<ExitCode> {
    CardKeys::init(&options.file)?;
    say(format_args!(
        "made {}: without it the card numbers in the database cannot be read; keep a copy in a safe place",
        options.file.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

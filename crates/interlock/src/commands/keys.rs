//! `interlock keys init`: makes the key that protects card data at rest.

use std::process::ExitCode;

use keystore::CardKeys;

use crate::cli::KeysInit;

/// Makes the key file; never overwrites one.
#[expect(clippy::print_stdout, reason = "the result of the command goes to standard output")]
pub(crate) fn init(options: &KeysInit) -> anyhow::Result<ExitCode> {
    CardKeys::init(&options.file)?;
    println!(
        "made {}: without it the card numbers in the database cannot be read; keep a copy in a safe place",
        options.file.display()
    );
    Ok(ExitCode::SUCCESS)
}

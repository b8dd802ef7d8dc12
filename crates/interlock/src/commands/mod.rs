//! The commands, and how their ends become exit statuses: 0 done, 1 failed, 2 bad usage or configuration.

mod check;
mod convert;
mod dialect;
mod keys;
mod operator;

use std::process::ExitCode;

use crate::{
    cli::{Cli, Command, Dialect, Keys, Txn},
    config::Faults,
};

/// Runs a command to its end.
pub(crate) fn run(cli: Cli) -> ExitCode {
    match dispatch(cli.command) {
        Ok(status) => status,
        Err(error) => {
            report(&error);
            if error.is::<Faults>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Calls the command's own function.
fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(options) => check::run(&options),
        Command::Decode(options) => convert::decode(&options),
        Command::Encode(options) => convert::encode(&options),
        Command::Txn(Txn::Find(options)) => runtime()?.block_on(operator::find(&options)),
        Command::Txn(Txn::Show(options)) => runtime()?.block_on(operator::show(&options)),
        Command::Links(server) => runtime()?.block_on(operator::links(&server)),
        Command::Reversals(options) => runtime()?.block_on(operator::reversals(&options)),
        Command::Keys(Keys::Init(options)) => keys::init(&options),
        Command::Dialect(Dialect::Import(options)) => dialect::import(&options),
    }
}

/// The runtime of the commands that wait for sockets.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Writes an error and what caused it to standard error.
#[expect(clippy::print_stderr, reason = "the error of a command goes to standard error")]
fn report(error: &anyhow::Error) {
    if let Some(faults) = error.downcast_ref::<Faults>() {
        eprintln!("{faults}");
        let number = faults.len();
        eprintln!("interlock: {number} fault{} found", if number == 1 { "" } else { "s" });
    } else {
        eprintln!("interlock: {error:#}");
    }
}

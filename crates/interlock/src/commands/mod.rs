//! The commands, and how their ends become exit statuses: 0 done, 1 failed, 2 bad usage or configuration.

mod bench;
mod check;
mod convert;
mod day;
mod dev;
mod dialect;
mod issuer;
mod keys;
mod migrate;
mod operator;
mod reconcile;
mod resolve;
mod serve;

use std::process::ExitCode;

use crate::{
    cli::{Cli, Command, Day, Dialect, Keys, Txn},
    config::Faults,
};

/// Runs a command to its end.
pub(crate) fn run(cli: Cli) -> ExitCode {
    match dispatch(cli.command) {
        Ok(status) => status,
        Err(error) => {
            report(&error);
            if is_bad_configuration(&error) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Whether a file or a setting of the user's is at fault, rather than the world.
fn is_bad_configuration(error: &anyhow::Error) -> bool {
    error.is::<Faults>()
        || error.is::<sim::issuer::ScriptError>()
        || error.is::<sim::bench::MixError>()
        || error.is::<bench::FormerError>()
        || matches!(error.downcast_ref(), Some(switch::StartError::OtherKey(_)))
        || matches!(
            store_error(error),
            Some(
                store::StoreError::Url { .. }
                    | store::StoreError::BadDay { .. }
                    | store::StoreError::OtherDay { .. }
            )
        )
}

/// The store's own error, wherever it came up.
fn store_error(error: &anyhow::Error) -> Option<&store::StoreError> {
    match error.downcast_ref::<switch::StartError>() {
        Some(switch::StartError::Store(error)) => Some(error),
        Some(
            switch::StartError::Key(_)
            | switch::StartError::OtherKey(_)
            | switch::StartError::Day(_)
            | switch::StartError::Parameters(_)
            | switch::StartError::Listen { .. },
        ) => None,
        None => error.downcast_ref::<store::StoreError>(),
    }
}

/// Calls the command's own function.
fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(options) => runtime()?.block_on(check::run(&options)),
        Command::Decode(options) => convert::decode(&options),
        Command::Encode(options) => convert::encode(&options),
        Command::Txn(Txn::Find(options)) => runtime()?.block_on(operator::find(&options)),
        Command::Txn(Txn::Show(options)) => runtime()?.block_on(operator::show(&options)),
        Command::Links(server) => runtime()?.block_on(operator::links(&server)),
        Command::Reversals(options) => runtime()?.block_on(operator::reversals(&options)),
        Command::Resolve(options) => runtime()?.block_on(resolve::run(&options)),
        Command::Day(Day::Set(options)) => runtime()?.block_on(day::set(&options)),
        Command::Cases(options) => runtime()?.block_on(operator::cases(&options)),
        Command::Batches(options) => runtime()?.block_on(operator::batches(&options)),
        Command::Dev(options) => runtime()?.block_on(dev::run(&options)),
        Command::Serve(options) => runtime()?.block_on(serve::run(&options)),
        Command::Migrate(options) => runtime()?.block_on(migrate::run(&options)),
        Command::Issuer(options) => runtime()?.block_on(issuer::run(&options)),
        Command::Bench(options) => runtime()?.block_on(bench::run(&options)),
        Command::Reconcile(options) => runtime()?.block_on(reconcile::run(&options)),
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

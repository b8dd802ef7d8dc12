//! Runs the binary, and finds the repository.

use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// The binary under test, without variables that would override a configuration.
pub(crate) fn interlock() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_interlock"));
    for (name, _) in std::env::vars() {
        if name.starts_with("INTERLOCK_") {
            command.env_remove(name);
        }
    }
    command
}

/// The top of the repository.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

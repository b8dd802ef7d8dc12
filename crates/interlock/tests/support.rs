//! Runs the binary, and finds the repository.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Stdio},
};

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

/// A process of the binary that runs until it is told to stop; killed if a test fails before.
pub(crate) struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts the binary with these arguments in `directory`.
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_interlock"));
        command.args(arguments).current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("started");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, output }
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.expect("kill").success(), "signal {name}");
    }

    /// Waits for its end; gives its status and what it printed last.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>) {
        let lines = self.output.by_ref().lines().map_while(Result::ok).collect();
        (self.child.wait().expect("its end").code(), lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

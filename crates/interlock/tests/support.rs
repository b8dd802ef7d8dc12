//! Runs the binary, and finds the repository.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Stdio},
    time::{Duration, Instant},
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
    errors: PathBuf,
}

impl Process {
    /// Starts the binary with these arguments in `directory`; its log goes to a file there.
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Self {
        Self::start_with(directory, arguments, &[])
    }

    /// The same with variables of the environment.
    pub(crate) fn start_with(
        directory: &Path,
        arguments: &[&str],
        variables: &[(&str, &Path)],
    ) -> Self {
        let errors = directory.join(format!("{}.err", arguments[0]));
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_interlock"));
        command.args(arguments).current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(fs::File::create(&errors).expect("a log"));
        for (name, _) in std::env::vars() {
            if name.starts_with("INTERLOCK_") {
                command.env_remove(name);
            }
        }
        command.envs(variables.iter().copied());
        let mut child = command.spawn().expect("started");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, output, errors }
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// Waits until a line of its log holds `text`, and gives that line.
    pub(crate) fn logged(&mut self, text: &str) -> String {
        let mut found = String::new();
        wait_for(text, || {
            assert!(self.child.try_wait().expect("alive").is_none(), "it ended: {}", self.log());
            let log = self.log();
            found = log.lines().find(|line| line.contains(text)).unwrap_or_default().to_owned();
            !found.is_empty()
        });
        found
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

/// Waits until `condition` holds; fails after half a minute.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < until, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The answer of an HTTP server to a GET: status and body.
pub(crate) fn http_get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("the HTTP server");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
}

/// What stands after `name` and an `=` in a line of the log, up to the next space.
pub(crate) fn field(line: &str, name: &str) -> String {
    let (_, rest) = line.split_once(&format!("{name}=")).expect(name);
    rest.split([' ', '"']).next().expect("a value").to_owned()
}

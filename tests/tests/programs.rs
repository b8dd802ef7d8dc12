//! Programs that tests start: the binary, and the programs of another project.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

/// The directory of this build.
fn build() -> PathBuf {
    let own = env::current_exe().expect("its path");
    own.ancestors().nth(2).expect("the build").to_owned()
}

/// The top of the repository.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// Has cargo bring a target up to date, in the profile of this test.
fn bring_up(target: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "-q"]).args(target).current_dir(top());
    if build().ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo").success(), "{target:?} builds");
}

/// The binary, brought up to date once.
pub(crate) fn interlock() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| bring_up(&["-p", "interlock"]));
    build().join("interlock")
}

/// An example of this package, all brought up to date once.
pub(crate) fn example(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| bring_up(&["-p", "interlock-tests", "--examples"]));
    build().join("examples").join(name)
}

/// A process that is killed when it is dropped; its output goes to a file.
pub(crate) struct Process {
    pub(crate) child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts `command` with its output, errors too, in `output`.
    pub(crate) fn start(command: &mut Command, output: PathBuf) -> Self {
        let file = fs::File::create(&output).expect("an output file");
        let errors = file.try_clone().expect("the same file");
        for (name, _) in env::vars() {
            if name.starts_with("INTERLOCK_") {
                command.env_remove(name);
            }
        }
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn();
        Self { child: child.expect("started"), output }
    }

    /// What it has written so far; bytes that are no text are replaced.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).expect("its output")).into_owned()
    }

    /// Waits until a line of its output holds `text`, and gives the line.
    pub(crate) fn line(&self, text: &str) -> String {
        let mut found = None;
        wait_for(text, || {
            found = self.written().lines().find(|line| line.contains(text)).map(str::to_owned);
            found.is_some()
        });
        found.expect("just found")
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().expect("kill").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `condition` holds; fails after a minute.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < until, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An address of the loopback that was free a moment ago.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

/// What stands after `name=` in a line, up to the next space.
pub(crate) fn field(line: &str, name: &str) -> String {
    let (_, rest) = line.split_once(&format!("{name}=")).expect(name);
    rest.split([' ', '"']).next().expect("a value").to_owned()
}

//! A private Postgres server in a temporary directory, gone when it is dropped.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

/// How long the server may take to accept connections.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. Anyone on this machine may connect to it as `postgres`.
#[derive(Debug)]
pub struct Postgres {
    directory: TempDir,
    binaries: PathBuf,
    port: u16,
    server: Child,
}

impl Postgres {
    /// Starts a server on a free port of the loopback, with the durability that a production server has.
    ///
    /// # Errors
    /// Postgres is not installed, or does not start.
    pub fn start() -> anyhow::Result<Self> {
        let binaries =
            binaries().context("Postgres is not installed: apt-get install postgresql")?;
        let directory = tempfile::Builder::new().prefix("interlock-pg-").tempdir()?;
        let data = directory.path().join("data");
        if is_root()? {
            run(Command::new("chown").arg("postgres:").arg(directory.path()))?;
        }
        run(as_owner(&binaries.join("initdb"))?
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale"])
            .args(["--no-instructions", "-D"])
            .arg(&data))?;
        let port = free_port()?;
        let log = fs::File::create(directory.path().join("log"))?;
        let server = as_owner(&binaries.join("postgres"))?
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"])
            .arg("-c")
            .arg(format!("unix_socket_directories={}", directory.path().display()))
            .arg("-c")
            .arg(format!("port={port}"))
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()?;
        let mut started = Self { directory, binaries, port, server };
        started.wait()?;
        Ok(started)
    }

    /// The address of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and gives its address.
    ///
    /// # Errors
    /// It exists, or the server is gone.
    pub fn create(&self, database: &str) -> anyhow::Result<String> {
        run(Command::new(self.binaries.join("createdb")).args([
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-p",
            &self.port.to_string(),
            database,
        ]))?;
        Ok(self.url(database))
    }

    /// Waits until it accepts connections.
    fn wait(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.server.try_wait()? {
                bail!("the server ended with {status}: {}", self.log());
            }
            let ready = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
                && Command::new(self.binaries.join("pg_isready"))
                    .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                    .status()?
                    .success();
            if ready {
                return Ok(());
            }
            ensure!(Instant::now() < until, "the server does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.directory.path().join("data");
        if let Ok(mut stop) = as_owner(&self.binaries.join("pg_ctl")) {
            let _ = stop.args(["stop", "-s", "-m", "immediate", "-D"]).arg(data).status();
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The newest directory of Postgres's programs.
#[must_use]
pub fn binaries() -> Option<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    let version = |path: &PathBuf| {
        let name =
            path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        name.and_then(|name| name.parse::<u32>().ok())
    };
    found.sort_by_key(version);
    found.reverse();
    found.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    found.into_iter().find(|path| path.join("initdb").is_file() && path.join("postgres").is_file())
}

/// Postgres refuses root: as root its programs run as the user `postgres`. They die with this process.
fn as_owner(program: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new("setpriv");
    if is_root()? {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.arg("--pdeathsig=QUIT").arg(program);
    command.current_dir("/");
    Ok(command)
}

fn is_root() -> anyhow::Result<bool> {
    let output = Command::new("id").arg("-u").output().context("id -u")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {said}", output.status);
    Ok(())
}

/// A port that was free a moment ago.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_takes_a_database_and_is_gone_after_it() {
        let server = Postgres::start().expect("a server");
        let url = server.create("first").expect("a database");
        let port = server.port;
        assert_eq!(url, format!("postgres://postgres@127.0.0.1:{port}/first"));
        let directory = server.directory.path().to_owned();
        drop(server);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "the port is closed");
        assert!(!directory.exists(), "its directory is gone");
    }
}

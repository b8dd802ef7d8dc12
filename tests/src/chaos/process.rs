//! The processes of a chaos run: started, waited for, killed by their own id.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

/// A process that ends with this value.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with `arguments`; its output goes to `NAME.log` in `dir`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(
        program: &Path,
        arguments: &[&str],
        name: &str,
        dir: &Path,
    ) -> anyhow::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, name: name.to_owned(), log })
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// It had ended already: that is a fault of its own.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} had ended by itself: {status}\n{}", self.name, self.tail());
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for an end with status 0.
    ///
    /// # Errors
    /// It does not end in time, or not well.
    pub fn terminate(&mut self, patience: Duration) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        self.wait(patience)
    }

    /// Waits for an end with status 0.
    ///
    /// # Errors
    /// It does not end in time, or not well.
    pub fn wait(&mut self, patience: Duration) -> anyhow::Result<()> {
        let status = self.wait_any(patience)?;
        ensure!(status.success(), "{} ended with {status}\n{}", self.name, self.tail());
        Ok(())
    }

    /// Waits for an end, however it ends.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn wait_any(&mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        let end = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < end, "{} does not end\n{}", self.name, self.tail());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// The end of its log.
    #[must_use]
    pub fn tail(&self) -> String {
        let Ok(file) = File::open(&self.log) else { return String::new() };
        let lines: Vec<String> = BufReader::new(file).lines().map_while(Result::ok).collect();
        let from = lines.len().saturating_sub(25);
        lines.get(from..).unwrap_or(&[]).join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of the loopback whose port is free now.
///
/// # Errors
/// No port is free.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Waits until `/readyz` of the daemon gives 200; gives how long that took.
///
/// # Errors
/// It does not become ready in time.
pub(super) fn wait_ready(admin: SocketAddr, patience: Duration) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    loop {
        if get(admin, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            return Ok(begun.elapsed());
        }
        ensure!(begun.elapsed() < patience, "the daemon is not ready after {patience:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The answer to a GET, head and body.
///
/// # Errors
/// No answer.
pub(super) fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The sum of a metric over all its labels.
///
/// # Errors
/// No answer from `/metrics`.
pub(super) fn metric(admin: SocketAddr, name: &str) -> anyhow::Result<f64> {
    let text = get(admin, "/metrics")?;
    let values = text
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
    Ok(values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

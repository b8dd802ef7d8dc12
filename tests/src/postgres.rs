//! A Postgres of the tests' own: made in a temporary directory, gone with the process that started it.

use std::{
    env,
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

const START_WITHIN: Duration = Duration::from_secs(60);
const INSTALL: &str = "Postgres is not installed: apt-get install postgresql";
/// Ends the server when the pipe to the process that started it breaks, however that process ends, and removes what it
/// wrote unless it was told to keep it.
const WATCH: &str = r#"dir=$1; shift; "$@" & server=$!; read -r word
kill -QUIT "$server"; wait "$server"; [ "$word" = keep ] || rm -rf "$dir""#;

/// A running server with `fsync`, `full_page_writes` and `synchronous_commit` on.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    dir: PathBuf,
    port: u16,
    user: Option<(u32, u32)>,
    watch: Option<Child>,
    databases: AtomicU32,
}

impl Postgres {
    /// The server that all tests of this process share.
    ///
    /// # Errors
    /// No server is installed, or it does not start: a failure, never a reason to skip a test.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Postgres, String>> = OnceLock::new();
        let made = SHARED.get_or_init(|| Self::start().map_err(|error| format!("{error:#}")));
        made.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Makes a cluster and starts a server on it.
    ///
    /// # Errors
    /// No server is installed, or it does not start.
    pub fn start() -> Result<Self> {
        let bin = binaries().with_context(|| INSTALL)?;
        let user = unprivileged()?;
        let dir = tempfile::Builder::new().prefix("interlock-pg-").tempdir()?.keep();
        fs::set_permissions(&dir, Permissions::from_mode(0o755))?;
        if let Some((uid, gid)) = user {
            chown(&dir, Some(uid), Some(gid))?;
        }
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut server = Self { bin, dir, port, user, watch: None, databases: AtomicU32::new(0) };
        let data = server.dir.join("data");
        server.run(
            "initdb",
            &["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"],
            &data,
        )?;
        server.resume()?;
        Ok(server)
    }

    /// Starts the server on its cluster, after `crash` or for the first time.
    ///
    /// # Errors
    /// It does not start.
    pub fn resume(&mut self) -> Result<()> {
        let log = fs::File::options().create(true).append(true).open(self.dir.join("log"))?;
        let mut watch = Command::new("sh");
        watch
            .args(["-c", WATCH, "watch"])
            .arg(&self.dir)
            .arg(self.bin.join("postgres"))
            .arg("-D")
            .arg(self.dir.join("data"))
            .arg("-k")
            .arg(&self.dir)
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300"])
            .args(["-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB"])
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        self.as_user(&mut watch);
        self.watch = Some(watch.spawn().context("starting postgres")?);
        let deadline = Instant::now() + START_WITHIN;
        while self
            .run("pg_isready", &["-q", "-p", &self.port.to_string(), "-h"], &self.dir)
            .is_err()
        {
            if Instant::now() > deadline {
                bail!("postgres did not start: {}", self.log());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Ends the server at once, as a power cut would; `resume` starts it again.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn crash(&mut self) -> Result<()> {
        self.end("keep\n")
    }

    fn end(&mut self, word: &str) -> Result<()> {
        if let Some(mut watch) = self.watch.take() {
            if let Some(mut pipe) = watch.stdin.take() {
                pipe.write_all(word.as_bytes())?;
            }
            watch.wait()?;
        }
        Ok(())
    }

    /// The address of one of its databases, on a loopback port, where a proxy can stand before it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and gives its address.
    ///
    /// # Errors
    /// It exists, or the server is gone.
    pub fn create(&self, database: &str) -> Result<String> {
        let port = self.port.to_string();
        self.run("createdb", &["-U", "postgres", "-p", &port, database, "-h"], &self.dir)?;
        Ok(self.url(database))
    }

    /// Makes an empty database with a name of its own and gives its address.
    ///
    /// # Errors
    /// The server is gone.
    pub fn create_next(&self) -> Result<String> {
        self.create(&format!("interlock_{}", self.databases.fetch_add(1, Ordering::Relaxed)))
    }

    /// The loopback port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The server's data directory, to look for what must not be in it.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Runs one of the server's programs to its end.
    fn run(&self, program: &str, arguments: &[&str], last: &Path) -> Result<Output> {
        let mut command = Command::new(self.bin.join(program));
        command.args(arguments).arg(last).current_dir("/").stdin(Stdio::null());
        self.as_user(&mut command);
        let output = command.output().with_context(|| program.to_owned())?;
        if !output.status.success() {
            bail!("{program}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output)
    }

    fn as_user(&self, command: &mut Command) {
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command.current_dir("/");
    }

    fn log(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = fs::File::open(self.dir.join("log")) {
            let _ = file.read_to_string(&mut text);
        }
        text
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.end("");
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The newest directory of Postgres's programs: Debian's, else one in the path.
#[must_use]
pub fn binaries() -> Option<PathBuf> {
    let version = |entry: fs::DirEntry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((number, entry.path().join("bin")))
    };
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = installed.filter_map(version).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    let path = env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = env::split_paths(&path).collect();
    found
        .into_iter()
        .map(|(_, bin)| bin)
        .chain(path)
        .find(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
}

/// Whom to run as where this process is root, which initdb refuses: `postgres`, else `nobody`.
fn unprivileged() -> Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd")?;
    let user = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut parts = line.split(':').skip(2);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    let found = user("postgres").or_else(|| user("nobody"));
    found.map(Some).context("neither a user postgres nor a user nobody to run Postgres as")
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_server_starts_crashes_comes_back_and_is_gone_after_it() {
        let mut server = Postgres::start().expect("a server");
        let url = server.create("first").expect("a database");
        let port = server.port();
        assert_eq!(url, format!("postgres://postgres@127.0.0.1:{port}/first"));
        server.crash().expect("crashes");
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the port is closed");
        server.resume().expect("comes back");
        server.create("second").expect("takes a database again");
        let directory = server.dir.clone();
        drop(server);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the port is closed");
        assert!(!directory.exists(), "its directory is gone");
    }
}

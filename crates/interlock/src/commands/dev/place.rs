//! The directory of `interlock dev`: key, database, ledgers, log, and the configuration that was used.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::Context;
use keystore::CardKeys;

/// A directory that belongs to one `interlock dev` at a time.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
}

impl Place {
    /// Makes the directory and the key, where they are missing.
    ///
    /// # Errors
    /// Neither can be made.
    pub(super) fn make(directory: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)
            .with_context(|| format!("{}: cannot be made", directory.display()))?;
        let place = Self { directory: std::path::absolute(directory)? };
        let key = place.directory.join("card-data.key");
        if !key.exists() {
            CardKeys::init(&key)?;
        }
        Ok(place)
    }

    pub(super) fn config(&self) -> PathBuf {
        self.directory.join("interlock.toml")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("interlock.log")
    }

    pub(super) fn ledger(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.jsonl"))
    }

    /// Writes the configuration of this start, so that other commands can be given it, and gives its text.
    ///
    /// # Errors
    /// It cannot be written, or no port is free.
    pub(super) fn configuration(&self, issuers: &[(&str, SocketAddr)]) -> anyhow::Result<String> {
        let (admin, listener) = (port(8580)?, port(8583)?);
        let mut text = format!(
            r#"# Written by `interlock dev` at each start: changes are lost.

[node]
id = "dev"
drain_timeout = "10s"

[store]
url = "sqlite://interlock.db"

[admin]
listen = "127.0.0.1:{admin}"

[[listener]]
name = "pos"
listen = "127.0.0.1:{listener}"
dialect = "cup-pos"
response_deadline = "8s"
undelivered_grace = "5s"
"#
        );
        for (name, address) in issuers {
            let own = *name == "unionpay";
            let prefixes = if own { r#""62", "81""# } else { r#""4", "5""# };
            let foreign = !own;
            text.push_str(&format!(
                r#"
[[issuer]]
name = "{name}"
dialect = "iso87-ascii"
endpoints = ["{address}"]
timeout = "3s"
foreign = {foreign}
idempotent_advices = true
reversal = {{ first = "1s", longest = "30s" }}

[[route]]
prefixes = [{prefixes}]
issuer = "{name}"
"#
            ));
        }
        fs::write(self.config(), &text)
            .with_context(|| format!("{}: cannot be written", self.config().display()))?;
        Ok(text)
    }
}

/// The preferred port of the loopback, or a free one if it is busy.
fn port(preferred: u16) -> anyhow::Result<u16> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = bind(preferred).or_else(|_| bind(0)).context("no free port on the loopback")?;
    Ok(listener.local_addr()?.port())
}

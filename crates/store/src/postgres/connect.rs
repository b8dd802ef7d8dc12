//! The first connection to the server: why there is none is said with its place and the server's own reason.

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    ConnectOptions as _, PgConnection,
    postgres::{PgConnectOptions, PgDatabaseError},
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{StoreError, error::reason};

/// A server that is not there, or not ready yet, is tried again for so long.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const TRY_EVERY: Duration = Duration::from_millis(200);
/// A statement that takes longer is logged, without its text, at a level that nobody sees unasked.
const SLOW: Duration = Duration::from_secs(1);

/// Parameters that an address may have behind its `?`.
const KNOWN: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Understands the address. Neither it nor a value of it is part of an error.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let bad = |why: String| StoreError::Url { url: "postgres://…".to_owned(), why };
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    let names = query.split('&').filter(|pair| !pair.is_empty());
    for name in names.map(|pair| pair.split('=').next().unwrap_or_default()) {
        if !KNOWN.contains(&name) && !name.starts_with("options[") {
            return Err(bad(format!("{name:?} is no parameter of an address")));
        }
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| bad(error.to_string()))?;
    Ok(options
        .application_name("interlock")
        // Where the server guesses at many rows, compiling takes ten times as long as reading the few.
        .options([("jit", "off")])
        .log_slow_statements(log::LevelFilter::Debug, SLOW))
}

/// Host and port, or the socket.
fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => format!("{}, port {}", socket.display(), options.get_port()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// Connects, and tries again while the server is not there or not ready.
pub(super) async fn first(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let until = Instant::now() + CONNECT_WITHIN;
    let mut why = "no answer".to_owned();
    loop {
        match timeout_at(until, options.connect()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => match refusal(options, &error) {
                Some(refused) => return Err(refused),
                None => why = unreached(&error),
            },
            Err(_elapsed) => {}
        }
        if Instant::now() + TRY_EVERY >= until {
            return Err(StoreError::Unreachable { place: place(options), why });
        }
        sleep(TRY_EVERY).await;
    }
}

/// An attempt's reason without the number of the operating system's error.
fn unreached(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "connection refused".to_owned()
        }
        other => reason(other),
    }
}

/// The server's refusal that another attempt does not change.
fn refusal(options: &PgConnectOptions, error: &sqlx::Error) -> Option<StoreError> {
    let refused = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    let why = match refused.code() {
        "28P01" => "wrong password (28P01)".to_owned(),
        code if code.starts_with("28") || matches!(code, "3D000" | "42501") => reason(error),
        _ => return None,
    };
    let user = options.get_username().to_owned();
    let database = options.get_database().unwrap_or(&user).to_owned();
    Some(StoreError::Refused { place: place(options), user, database, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_an_unknown_parameter_is_refused_without_its_value() {
        for url in ["postgres://u:SECRET@h/d?pasword=SECRET", "postgres://h/d?sslmode=on&x=SECRET"]
        {
            let refused = options(url).expect_err("unknown").to_string();
            assert!(!refused.contains("SECRET"), "{refused}");
            assert!(refused.contains("\"pasword\"") || refused.contains("\"x\""), "{refused}");
        }
        let refused = options("postgres://u:SECRET@h:port/d").expect_err("no port").to_string();
        assert!(!refused.contains("SECRET"), "{refused}");
        assert!(options("postgres://u:p@h:1/d?sslmode=require&options[x]=1").is_ok());
    }
}

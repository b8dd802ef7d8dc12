//! The little of HTTP that the operator's commands need: one GET of the admin API.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The JSON at `path` with these parameters, from the admin server at `address`.
///
/// # Errors
/// The server cannot be reached, or says why it has no answer.
pub(crate) async fn get(
    address: &str,
    path: &str,
    parameters: &[(&str, &str)],
) -> anyhow::Result<Value> {
    let mut target = path.to_owned();
    for (at, (name, value)) in parameters.iter().enumerate() {
        target.push(if at == 0 { '?' } else { '&' });
        target.push_str(name);
        target.push('=');
        target.push_str(&escaped(value));
    }
    let answer = timeout(PATIENCE, exchange(address, &target))
        .await
        .with_context(|| format!("the admin API at {address} does not answer"))?
        .with_context(|| {
            format!("the admin API at {address}: is `interlock serve` running there?")
        })?;
    let (status, body) = split(&answer).context("the answer is not HTTP")?;
    let value: Value = serde_json::from_slice(body)
        .with_context(|| format!("status {status}, and a body that is not JSON"))?;
    if status == 200 {
        return Ok(value);
    }
    match value.get("error").and_then(Value::as_str) {
        Some(error) => bail!("{error}"),
        None => bail!("status {status}"),
    }
}

async fn exchange(address: &str, target: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let host = if address.starts_with('[') { "[::1]" } else { "127.0.0.1" };
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Status and body of an answer that ends with its connection.
fn split(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.get(end + 4..)?))
}

/// A value of a query, with all but plain characters escaped.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_split_and_a_query_escaped() {
        assert_eq!(split(b"HTTP/1.1 404 Not Found\r\na: b\r\n\r\n{}"), Some((404, &b"{}"[..])));
        assert_eq!(split(b"HTTP/1.1 200"), None);
        assert_eq!(escaped("in flight&x=1"), "in%20flight%26x%3D1");
    }
}

//! `interlock txn`, `links`, `reversals`, `cases` and `batches`: an operator's view, over the admin API of a running node.

use std::process::ExitCode;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::Value;

use crate::{
    cli::{Batches, Cases, Find, Reversals, Server, Show},
    http,
    output::say,
};

/// Columns of a list of transactions.
const TRANSACTIONS: &[&str] = &[
    "rrn", "created", "kind", "terminal", "stan", "card", "amount", "currency", "state", "code",
    "issuer",
];
/// Columns of a list of reversals.
const REVERSALS: &[&str] = &[
    "rrn", "status", "cause", "attempts", "answered", "opened", "kind", "terminal", "amount",
    "currency", "issuer",
];
/// Columns of a list of cases.
const CASES: &[&str] = &["rrn", "opened", "resolved", "kind", "detail", "attempts", "answered"];
/// Columns of a list of batches.
const BATCHES: &[&str] = &[
    "merchant",
    "terminal",
    "batch",
    "day",
    "closed",
    "result",
    "terminal_totals",
    "switch_totals",
    "uploaded",
    "cases",
];
/// Columns of a list of links.
const LINKS: &[&str] = &["issuer", "endpoint", "up", "state"];

/// `interlock txn find`
pub(crate) async fn find(options: &Find) -> anyhow::Result<ExitCode> {
    let limit = options.limit.to_string();
    let known = [
        ("rrn", &options.rrn),
        ("host_rrn", &options.host_rrn),
        ("stan", &options.stan),
        ("terminal", &options.terminal),
        ("merchant", &options.merchant),
        ("amount", &options.amount),
        ("last4", &options.last4),
        ("issuer", &options.issuer),
        ("state", &options.state),
        ("from", &options.from),
        ("to", &options.to),
    ];
    let mut parameters: Vec<(&str, &str)> =
        known.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    parameters.push(("limit", &limit));
    list(&options.server, "/api/v1/transactions", &parameters, TRANSACTIONS).await
}

/// `interlock txn show`
pub(crate) async fn show(options: &Show) -> anyhow::Result<ExitCode> {
    let path = format!("/api/v1/transactions/{}", options.id);
    let answer = http::get(&options.server.admin, &path, &[]).await?;
    if options.server.json {
        say(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = new_table();
    rows_of(&mut table, "", answer.get("transaction").unwrap_or(&Value::Null));
    say(&table)?;
    for (title, key, columns) in [
        ("Events", "events", &["at", "what", "detail"][..]),
        ("Cases", "cases", &["kind", "opened", "resolved", "detail", "attempts", "answered"][..]),
        ("Claims on it", "claims", &["rrn", "amount", "status"][..]),
    ] {
        let items = answer.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if !items.is_empty() {
            say(format_args!("\n{title}\n{}", table_of(items, columns)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `interlock links`
pub(crate) async fn links(server: &Server) -> anyhow::Result<ExitCode> {
    list(server, "/api/v1/links", &[], LINKS).await
}

/// `interlock reversals`
pub(crate) async fn reversals(options: &Reversals) -> anyhow::Result<ExitCode> {
    let limit = options.limit.to_string();
    let parameters = [("status", options.status.as_str()), ("limit", limit.as_str())];
    list(&options.server, "/api/v1/reversals", &parameters, REVERSALS).await
}

/// `interlock cases`
pub(crate) async fn cases(options: &Cases) -> anyhow::Result<ExitCode> {
    let all = if options.all { "true" } else { "false" };
    list(&options.server, "/api/v1/cases", &[("all", all)], CASES).await
}

/// `interlock batches`
pub(crate) async fn batches(options: &Batches) -> anyhow::Result<ExitCode> {
    let limit = options.limit.to_string();
    let mut parameters = vec![("limit", limit.as_str())];
    parameters.extend(options.terminal.as_deref().map(|terminal| ("terminal", terminal)));
    list(&options.server, "/api/v1/batches", &parameters, BATCHES).await
}

/// Prints a list of the API as a table, or one JSON object a line.
async fn list(
    server: &Server,
    path: &str,
    parameters: &[(&str, &str)],
    columns: &[&str],
) -> anyhow::Result<ExitCode> {
    let answer = http::get(&server.admin, path, parameters).await?;
    let items = answer.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if server.json {
        for item in items {
            say(item)?;
        }
    } else if items.is_empty() {
        say("none")?;
    } else {
        say(table_of(items, columns))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn new_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn table_of(items: &[Value], columns: &[&str]) -> Table {
    let mut table = new_table();
    table.set_header(columns);
    for item in items {
        table.add_row(columns.iter().map(|column| {
            let value = item.get(*column).unwrap_or(&Value::Null);
            let cell = Cell::new(plain(value));
            if value.is_number() { cell.set_alignment(CellAlignment::Right) } else { cell }
        }));
    }
    table
}

/// One line a key, those of inner objects behind a dot.
fn rows_of(table: &mut Table, prefix: &str, value: &Value) {
    let Some(object) = value.as_object() else { return };
    for (key, value) in object {
        let key = format!("{prefix}{key}");
        if value.is_object() {
            rows_of(table, &format!("{key}."), value);
        } else if !value.is_null() {
            table.add_row([key, plain(value)]);
        }
    }
}

/// The sums of one group of a batch's totals that are not zero: minor units, and of how many transactions.
fn sums<'a>(name: &'a str, group: &'a Value) -> impl Iterator<Item = String> + 'a {
    let number = |key: &str| group.get(key).and_then(Value::as_i64).unwrap_or(0);
    [("debit", "debits"), ("credit", "credits")].into_iter().filter_map(move |(sum, count)| {
        let count = number(count);
        (count > 0).then(|| format!("{name} {sum} {} ({count})", number(sum)))
    })
}

/// A value without its quotes. The API has replaced control characters already. Totals in one line each: debits and credits, of
/// domestic and of foreign cards, as far as there are any.
fn plain(value: &Value) -> String {
    match value {
        Value::Object(groups) if groups.contains_key("domestic") => {
            let lines = groups.iter().flat_map(|(name, group)| sums(name, group));
            lines.collect::<Vec<_>>().join("\n")
        }
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

//! What no key shows alone: timers that nest, names that are unique and known, addresses that need protection.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    settings::{Issuer, Listener, Settings},
    source::Source,
    text::Framing,
    value::{Span, quoted},
};

/// The patience of a terminal: every answer must be given before.
const TERMINAL_PATIENCE: Duration = Duration::from_secs(60);

/// Checks `settings`, whose keys are right each for itself, as a whole.
pub(crate) fn check(settings: &Settings, source: &Source) {
    let listeners = &settings.listener.0;
    let issuers = &settings.issuer.0;
    unique(source, "listener", "name", listeners.iter().map(|listener| listener.name.0.clone()));
    unique(source, "issuer", "name", issuers.iter().map(|issuer| issuer.name.0.clone()));
    unique(source, "merchant", "id", settings.merchant.0.iter().map(|m| m.id.0.clone()));
    unique(source, "listener", "listen", listeners.iter().map(listen_of));
    for (at, listener) in listeners.iter().enumerate() {
        check_listener(source, at, listener);
    }
    for (at, issuer) in issuers.iter().enumerate() {
        check_issuer(source, at, issuer);
    }
    check_timers(source, listeners, issuers);
    check_window(source, settings);
    check_routes(source, settings);
}

/// A copy of a request is looked for in the horizon only (M7).
fn check_window(source: &Source, settings: &Settings) {
    let day = &settings.day.0;
    let (window, overlap) = (day.repeat_window.0, day.overlap.0);
    if window > overlap
        && !source.is_faulty("day.overlap")
        && !source.is_faulty("day.repeat_window")
    {
        let words = format!(
            "{overlap:?} is less than day.repeat_window, {window:?}; expected at least that: copies are not looked for beyond it"
        );
        source.fault("day.overlap", words);
    }
}

/// The address of a listener, or nothing where the system chooses the port.
fn listen_of(listener: &Listener) -> String {
    if listener.listen.port() == 0 { String::new() } else { listener.listen.to_string() }
}

/// Notes each value that an earlier table of the same kind has already.
fn unique(source: &Source, table: &str, key: &str, values: impl Iterator<Item = String>) {
    let mut seen = BTreeMap::new();
    for (at, value) in values.enumerate() {
        if value.is_empty() {
            continue; // a stand-in for a value that has a fault of its own
        }
        if let Some(first) = seen.get(&value) {
            let found = format!("{} is taken by {table}[{first}]", quoted(&value));
            source.fault(&format!("{table}[{at}].{key}"), format!("{found}; expected another"));
        } else {
            seen.insert(value, at);
        }
    }
}

fn check_listener(source: &Source, at: usize, listener: &Listener) {
    let key = |name: &str| format!("listener[{at}].{name}");
    let listen = &listener.listen;
    if !listen.is_loopback() && !listener.allow_plaintext && !source.is_faulty(&key("listen")) {
        source.fault(
            &key("listen"),
            format!(
                "\"{listen}\" is off loopback without TLS; expected a loopback address, or \
                 allow_plaintext = true"
            ),
        );
    }
    if listener.framing.0 == Some(Framing::Ascii4) && listener.max_frame.0 > 9999 {
        let found = format!("{} does not fit into 4 digits", listener.max_frame.0);
        source.fault(&key("max_frame"), format!("{found}; expected at most 9999"));
    }
}

fn check_issuer(source: &Source, at: usize, issuer: &Issuer) {
    let key = |name: &str| format!("issuer[{at}].{name}");
    for (number, endpoint) in issuer.endpoints.0.iter().enumerate() {
        let key = key(&format!("endpoints[{number}]"));
        if endpoint.port() == 0 && !source.is_faulty(&key) {
            source.fault(&key, format!("\"{endpoint}\" has no port; expected one from 1 to 65535"));
        }
    }
    let waits = [
        ("reconnect", issuer.reconnect.0.first, issuer.reconnect.0.longest),
        ("reversal", issuer.reversal.0.first, issuer.reversal.0.longest),
    ];
    for (table, first, longest) in waits {
        if first > longest {
            source.fault(
                &key(&format!("{table}.first")),
                format!("{first} is above longest, {longest}; expected at most that"),
            );
        }
    }
}

/// Issuer's timeout < listener's response deadline < the terminal's own patience.
fn check_timers(source: &Source, listeners: &[Listener], issuers: &[Issuer]) {
    for (at, listener) in listeners.iter().enumerate() {
        if listener.response_deadline.0 >= TERMINAL_PATIENCE {
            source.fault(
                &format!("listener[{at}].response_deadline"),
                format!("{} is too long; expected below 60s", listener.response_deadline),
            );
        }
    }
    let shortest = listeners
        .iter()
        .enumerate()
        .filter(|(at, _)| !source.is_faulty(&format!("listener[{at}].response_deadline")))
        .min_by_key(|(_, listener)| listener.response_deadline);
    let (place, limit) = match shortest {
        Some((at, listener)) => {
            (format!("listener[{at}].response_deadline"), listener.response_deadline)
        }
        None => ("the terminals' own patience".to_owned(), Span(TERMINAL_PATIENCE)),
    };
    for (at, issuer) in issuers.iter().enumerate() {
        let key = format!("issuer[{at}].timeout");
        if issuer.timeout >= limit && !source.is_faulty(&key) {
            let found = format!("{} is too long", issuer.timeout);
            source.fault(&key, format!("{found}; expected below {limit}, which is {place}"));
        }
    }
}

fn check_routes(source: &Source, settings: &Settings) {
    let names: BTreeSet<&str> =
        settings.issuer.0.iter().map(|issuer| issuer.name.0.as_str()).collect();
    let known: Vec<&str> = names.iter().copied().filter(|name| !name.is_empty()).collect();
    for (at, route) in settings.route.0.iter().enumerate() {
        let key = format!("route[{at}].issuer");
        if !names.contains(route.issuer.0.as_str()) && !source.is_faulty(&key) {
            let expected = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let found = format!("{} is no issuer", quoted(&route.issuer.0));
            source.fault(&key, format!("{found}; expected one of the issuers: {expected}"));
        }
    }
}

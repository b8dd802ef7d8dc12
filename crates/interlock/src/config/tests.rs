//! Bad files, each with the message that its user must see.

use std::path::Path;

use super::Config;

const GOOD: &str = r#"
[[listener]]
name = "pos"
listen = "127.0.0.1:8583"
dialect = "cup-pos"

[[issuer]]
name = "unionpay"
dialect = "iso87-ascii"
endpoints = ["127.0.0.1:9001"]

[[route]]
prefixes = ["62"]
issuer = "unionpay"
"#;

fn faults(text: &str, environment: &[(&str, &str)]) -> String {
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    match Config::parse(Path::new("x.toml"), text, environment) {
        Ok(_) => String::new(),
        Err(faults) => faults.to_string(),
    }
}

#[test]
fn a_good_file_has_the_documented_defaults() {
    assert_eq!(faults(GOOD, &[]), "");
    let config = Config::parse(Path::new("conf/x.toml"), GOOD, []).expect("good");
    assert_eq!(config.store_url(), "sqlite://conf/interlock.db");
    assert_eq!(config.key_file(), Path::new("conf/card-data.key"));
    let issuer = &config.settings.issuer.0[0];
    assert_eq!(issuer.timeout.to_string(), "15s");
    assert_eq!(issuer.reversal.0.attempts.0, 50);
    assert_eq!(issuer.unknown_codes.0.len(), 2);
}

#[test]
fn what_terminals_fetch_is_read_with_the_file() {
    let found = faults(&format!("[parameters]\ndir = \"nowhere\"\n{GOOD}"), &[]);
    let expected = "x.toml:2: parameters.dir: ./nowhere/parameters.toml: cannot be read; expected a directory with \
                    parameters.toml";
    assert_eq!(found, expected);
}

#[test]
fn all_faults_of_what_terminals_fetch_come_with_those_of_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let index = "[[file]]\nname = \"keys\"\nrecords = \"keys.hex\"\nfetch = [\"36\"]\nend = [\"301\"]\nrequirement = 1\n";
    for (name, text) in [("parameters.toml", index), ("keys.hex", "AA\nx\n")] {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    let path = dir.path().display();
    let text = format!("[parameters]\ndir = \"{path}\"\n[node]\nid = \"a b\"\n{GOOD}");
    let found = faults(&text, &[]);
    let lines: Vec<_> = found.lines().collect();
    assert_eq!(lines.len(), 4, "{found}");
    for (line, place) in lines.iter().zip([
        "x.toml:4: node.id: ".to_owned(),
        format!("{path}/keys.hex:2: not hex; expected "),
        format!("{path}/parameters.toml:4: file[0].fetch[0]: \"36\" is no network code; expected three digits"),
        format!("{path}/parameters.toml:5: file[0].end[0]: no terminal fetches by \"301\"; expected one of "),
    ]) {
        assert!(line.starts_with(&place), "{line}\n{place}");
    }
}

#[test]
fn a_command_that_needs_only_the_store_reads_no_other_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("x.toml");
    let text = format!("[parameters]\ndir = \"nowhere\"\n{GOOD}").replace("cup-pos", "none");
    std::fs::write(&file, &text).expect("written");
    assert_eq!(Config::load(&file).expect_err("two faults").len(), 2);
    Config::load_for_store(&file).expect("good");
    std::fs::write(&file, text.replace("[[issuer]]", "[[issuer]]\nx = 1")).expect("written");
    assert_eq!(Config::load_for_store(&file).expect_err("a fault").len(), 1);
}

#[test]
fn the_environment_overrides_the_file() {
    let environment = [
        ("INTERLOCK__STORE__URL", "postgres://u@h/d"),
        ("INTERLOCK__STORE__CONNECTIONS", "8"),
        ("INTERLOCK__NODE__ID", "007"),
        ("INTERLOCK__LISTENER__0__LISTEN", "127.0.0.1:1"),
        ("INTERLOCK__ISSUER__0__ENDPOINTS", "127.0.0.1:2, 127.0.0.1:3"),
        ("UNRELATED", "x"),
    ];
    let environment = environment.map(|(k, v)| (k.to_owned(), v.to_owned()));
    let settings = Config::parse(Path::new("x.toml"), GOOD, environment).expect("good").settings;
    assert_eq!(settings.store.0.url.0, "postgres://u@h/d");
    assert_eq!(settings.store.0.connections.0, 8);
    assert_eq!(settings.node.0.id.0, "007");
    assert_eq!(settings.listener.0[0].listen.to_string(), "127.0.0.1:1");
    assert_eq!(settings.listener.0[0].name.0, "pos");
    assert_eq!(settings.issuer.0[0].endpoints.0.len(), 2);
    assert_eq!(
        faults(GOOD, &[("INTERLOCK__STORE__CONNECTIONS", "many"), ("INTERLOCK__FOO__BAR", "1")]),
        "x.toml (environment INTERLOCK__FOO__BAR): foo: unknown key; expected one of node, day, \
         store, card_data, admin, log, parameters, acquirer, listener, issuer, route, merchant\n\
         x.toml (environment INTERLOCK__STORE__CONNECTIONS): store.connections: \"many\" is not a \
         number; expected a whole number from 1 to 256"
    );
}

/// A change to the good file, and the faults that it brings: all of them, in order.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn each_fault_is_named_with_its_place() {
    let rows: &[(&str, &str, &str)] = &[
        (
            "\"127.0.0.1:8583\"",
            "\"8583\"",
            "x.toml:4: listener[0].listen: \"8583\" is not an address; expected an address host:port such as \"127.0.0.1:8583\"",
        ),
        (
            "\"127.0.0.1:8583\"",
            "8583",
            "x.toml:4: listener[0].listen: 8583 is not a text; expected an address host:port such as \"127.0.0.1:8583\"",
        ),
        (
            "\"127.0.0.1:8583\"",
            "\"0.0.0.0:8583\"",
            "x.toml:4: listener[0].listen: \"0.0.0.0:8583\" is off loopback without TLS; expected a loopback address, or allow_plaintext = true",
        ),
        ("\"127.0.0.1:8583\"", "\"0.0.0.0:8583\"\nallow_plaintext = true", ""),
        (
            "listen = \"127.0.0.1:8583\"\n",
            "",
            "x.toml:2: listener[0].listen: missing; expected an address host:port such as \"127.0.0.1:8583\"",
        ),
        (
            "\"pos\"",
            "\"pos\"\ntls = { cert = \"a\" }",
            "x.toml:4: listener[0].tls: not supported in this version; expected no such key",
        ),
        (
            "\"pos\"",
            "\"pos\"\nkeys = {}",
            "x.toml:4: listener[0].keys: not supported in this version; expected no such key",
        ),
        (
            "\"pos\"",
            "\"pos\"\nresponse_deadline = \"60s\"",
            "x.toml:4: listener[0].response_deadline: 60s is too long; expected below 60s",
        ),
        (
            "\"pos\"",
            "\"pos\"\nresponse_deadline = \"15s\"",
            "x.toml:8: issuer[0].timeout: 15s is too long; expected below 15s, which is listener[0].response_deadline",
        ),
        (
            "\"pos\"",
            "\"pos\"\nidle_timeout = \"9ms\"",
            "x.toml:4: listener[0].idle_timeout: \"9ms\" is out of range; expected a duration such as \"15s\", \"500ms\" or \"2h\", from 10ms to 30d",
        ),
        (
            "\"pos\"",
            "\"pos\"\nidle_timeout = \"31d\"",
            "x.toml:4: listener[0].idle_timeout: \"31d\" is out of range; expected a duration such as \"15s\", \"500ms\" or \"2h\", from 10ms to 30d",
        ),
        (
            "\"pos\"",
            "\"pos\"\nidle_timeout = \"1 s\"",
            "x.toml:4: listener[0].idle_timeout: \"1 s\" is not a duration; expected a duration such as \"15s\", \"500ms\" or \"2h\", from 10ms to 30d",
        ),
        (
            "\"pos\"",
            "\"pos\"\nmax_frame = 63",
            "x.toml:4: listener[0].max_frame: 63 is out of range; expected a whole number from 64 to 65535",
        ),
        (
            "\"pos\"",
            "\"pos\"\nmax_frame = \"100\"",
            "x.toml:4: listener[0].max_frame: \"100\" is not a whole number; expected a whole number from 64 to 65535",
        ),
        (
            "\"pos\"",
            "\"pos\"\nkeepalive = \"never\"",
            "x.toml:4: listener[0].keepalive: \"never\" is not known; expected \"count\" or \"echo\"",
        ),
        (
            "\"pos\"",
            "\"pos\"\nframing = \"ascii4\"\nmax_frame = 10000",
            "x.toml:5: listener[0].max_frame: 10000 does not fit into 4 digits; expected at most 9999",
        ),
        (
            "\"pos\"",
            "\"p os\"",
            "x.toml:3: listener[0].name: \"p os\" is not a name; expected a name of 1 to 64 letters, digits, '-', '_' or '.'",
        ),
        (
            "[\"127.0.0.1:9001\"]",
            "[]",
            "x.toml:10: issuer[0].endpoints: empty; expected at least one of: an address host:port such as \"127.0.0.1:8583\"",
        ),
        (
            "[\"127.0.0.1:9001\"]",
            "\"127.0.0.1:9001\"",
            "x.toml:10: issuer[0].endpoints: not a list; expected a list of: an address host:port such as \"127.0.0.1:8583\"",
        ),
        (
            "[\"127.0.0.1:9001\"]",
            "[\"127.0.0.1:9001\", \"a:0\"]",
            "x.toml:10: issuer[0].endpoints[1]: \"a:0\" has no port; expected one from 1 to 65535",
        ),
        (
            "name = \"unionpay\"",
            "name = \"unionpay\"\nreconnect = { first = \"1m\", faktor = 2 }",
            "x.toml:9: issuer[0].reconnect.faktor: unknown key; expected one of first, factor, longest\nx.toml:9: issuer[0].reconnect.first: 60s is above longest, 10s; expected at most that",
        ),
        (
            "name = \"unionpay\"",
            "name = \"unionpay\"\nunknown_codes = [\"6\", \"98\"]",
            "x.toml:9: issuer[0].unknown_codes[0]: \"6\" is not a response code; expected a response code of 2 to 4 letters or digits such as \"00\"",
        ),
        (
            "[\"62\"]",
            "[\"6x\"]",
            "x.toml:13: route[0].prefixes[0]: \"6x\" has other characters than digits; expected 1 to 19 decimal digits in quotes",
        ),
        (
            "issuer = \"unionpay\"",
            "issuer = \"visa\"",
            "x.toml:14: route[0].issuer: \"visa\" is no issuer; expected one of the issuers: unionpay",
        ),
        ("[[route]]", "[[route]]\nissuer = \"unionpay\"\nprefixes = [\"4\"]\n[[route]]", ""),
        (
            "[[route]]",
            "[[merchant]]\nid = \"1\"\n[[merchant]]\nid = \"1\"\n[[route]]",
            "x.toml:15: merchant[1].id: \"1\" is taken by merchant[0]; expected another",
        ),
        (
            "[[route]]",
            "[day]\nzone = \"Mars\"\ncutover = \"24:00\"\n[[route]]",
            "x.toml:13: day.zone: \"Mars\" is no known time zone; expected a time zone of the IANA database such as \"Asia/Shanghai\"\nx.toml:14: day.cutover: \"24:00\" is not a time of the day; expected a time of the day such as \"23:00\"",
        ),
        (
            "[[route]]",
            "[store]\nurl = \"mysql://u:secret@h/d\"\n[[route]]",
            "x.toml:13: store.url: not the address of a store; expected \"sqlite://FILE\" or \"postgres://USER@HOST/DATABASE\"",
        ),
        (
            "[[route]]",
            "[routes]\n[[route]]",
            "x.toml:12: routes: unknown key; expected one of node, day, store, card_data, admin, log, parameters, acquirer, listener, issuer, route, merchant",
        ),
        ("[[route]]", "[node\n[[route]]", "x.toml:12: not TOML: unclosed table, expected `]`"),
    ];
    let mut wrong = Vec::new();
    for (from, to, expected) in rows {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from} is not in the file");
        let found = faults(&text, &[]);
        if found != *expected {
            wrong.push(format!("after {from} became {to}:\n{found}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_second_of_the_same_name_or_address_is_refused() {
    let second =
        "[[listener]]\nname = \"pos\"\nlisten = \"127.0.0.1:8583\"\ndialect = \"cup-pos\"\n";
    let text = format!("{GOOD}\n{second}");
    assert_eq!(
        faults(&text, &[]),
        "x.toml:17: listener[1].name: \"pos\" is taken by listener[0]; expected another\n\
         x.toml:18: listener[1].listen: \"127.0.0.1:8583\" is taken by listener[0]; expected another"
    );
}

#[test]
fn the_faults_of_a_dialect_file_are_named_with_their_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("x.toml");
    let dialects = directory.path().join("dialects");
    std::fs::create_dir(&dialects).expect("made");
    let text = "base = \"cup-pos\"\nframing = \"len3\"\n";
    std::fs::write(dialects.join("mine.toml"), text).expect("written");
    let text = GOOD.replace("\"cup-pos\"", "\"mine\"").replace("\"iso87-ascii\"", "\"lost\"");
    let found = Config::parse(&file, &text, []).expect_err("two faults").to_string();
    let place = format!("{}:2: framing: ", dialects.join("mine.toml").display());
    assert!(found.contains(&place), "{place} is not in {found}");
    let place = format!("{}:9: issuer[0].dialect: no dialect \"lost\"", file.display());
    assert!(found.contains(&place), "{place} is not in {found}");
}

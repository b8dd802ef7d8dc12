//! `interlock decode`, `encode` and `dialect import`: each line for itself, status 1 where one was bad.

use std::fs;

use crate::support::{interlock, top};

/// A message of `iso87-ascii` in ASCII: `0800` with 11 and 41.
const GOOD: &str = "30383030303032303030303030303830303030303030303030315445524D30303031";

#[test]
fn a_line_of_each_kind_keeps_its_place() {
    let input = format!("{GOOD}\nxyz\n30383030\n{GOOD}");
    let output = interlock()
        .args(["decode", "--dialect", "iso87-ascii", "--json", "--clear"])
        .write_stdin(input)
        .assert()
        .code(1);
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(
        lines[0],
        r#"{"dialect":"iso87-ascii","mti":"0800","fields":{"11":"000001","41":"TERM0001"}}"#
    );
    assert!(lines[1].starts_with(r#"{"error":{"field":null,"offset":0,"kind":"hex""#), "{text}");
    assert!(lines[2].starts_with(r#"{"error":{"field":null,"offset":4,"kind":"bitmap""#), "{text}");
    assert_eq!(lines[3], lines[0]);
}

#[test]
fn encode_gives_back_what_was_decoded() {
    for (dialect, good) in [
        ("iso87-ascii", GOOD),
        ("iso87-binary", "080000200000008000000000015445524D30303031"),
        ("iso87-ebcdic", "F0F8F0F0F0F0F2F0F0F0F0F0F0F0F0F0F0F0F0F0F0F0F0F0F0F1"),
        ("iso93-ascii", "3138303430303230303130303030303030303030303030303031383331"),
    ] {
        let decode = ["decode", "--dialect", dialect, "--json", "--clear", good];
        let json = interlock().args(decode).assert().success().get_output().stdout.clone();
        assert!(String::from_utf8_lossy(&json).contains("\"11\":\"000001\""));
        let encode = interlock().args(["encode", "--dialect", dialect]).write_stdin(json).assert();
        let output = encode.success();
        assert_eq!(String::from_utf8_lossy(&output.get_output().stdout).trim(), good);
    }
    interlock().args(["encode", "--dialect", "iso87-ascii"]).write_stdin("{").assert().code(1);
}

#[test]
fn an_unknown_dialect_is_bad_usage() {
    let output = interlock().args(["decode", "--dialect", "lost", "00"]).assert().code(2);
    let errors = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(errors.contains("iso87-ascii"), "the known ones are named: {errors}");
}

#[test]
fn a_specification_becomes_a_dialect_that_decodes() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("dialects")).expect("made");
    let output = directory.path().join("dialects/foreign.toml");
    interlock()
        .args(["dialect", "import"])
        .arg(top().join("tests/data/foreign.yaml"))
        .arg("--output")
        .arg(&output)
        .assert()
        .success();
    // The same again would overwrite.
    interlock()
        .args(["dialect", "import"])
        .arg(top().join("tests/data/foreign.yaml"))
        .arg("--output")
        .arg(&output)
        .assert()
        .code(1);
    // 0800, a raw bitmap with 11 and 41.
    let hex = "30383030002000000080000030303030303154455245424f4e31";
    interlock()
        .current_dir(directory.path())
        .args(["decode", "--dialect", "foreign", "--json", hex])
        .assert()
        .success()
        .stdout(
            "{\"dialect\":\"foreign\",\"mti\":\"0800\",\"fields\":{\"11\":\"000001\",\"41\":\"TEREBON1\"}}\n",
        );
}

#[test]
fn all_faults_of_a_specification_come_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bad.yaml");
    let text =
        fs::read_to_string(top().join("tests/data/foreign.yaml")).expect("the specification");
    let text = text.replacen("\"0210\"", "0210", 1).replacen("len: 12", "len: twelve", 1).replacen(
        "type: Fixed\n            len: 15",
        "type: Fixe\n            len: 15",
        1,
    );
    fs::write(&path, text).expect("written");
    let output = interlock().args(["dialect", "import"]).arg(&path).assert().code(2);
    let errors = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    for place in [
        "bad.yaml:16: messages[0].selector[1]: ",
        "children[2].len: missing or of another type; expected a whole number",
        "Fixe is not known; expected Fixed or Variable",
        "3 faults found",
    ] {
        assert!(errors.contains(place), "{place} is not in {errors}");
    }
}

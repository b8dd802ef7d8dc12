//! `interlock check`: the shipped examples are good, bad files end with status 2 and all their faults.

use std::fs;

use crate::support::{interlock, top};

#[test]
fn every_shipped_example_is_good() {
    let mut seen = 0;
    for entry in fs::read_dir(top().join("config")).expect("config/") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            seen += 1;
            interlock().args(["check", "--config"]).arg(&path).assert().success();
        }
    }
    assert!(seen >= 2, "{seen} examples");
}

#[test]
fn one_is_counted_in_the_singular() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("one.toml");
    let text = "[store]\nurl = \"sqlite://x.db\"\n[[listener]]\nname = \"pos\"\nlisten = \"127.0.0.1:0\"\n\
                dialect = \"cup-pos\"\n[[issuer]]\nname = \"bank\"\ndialect = \"iso87-ascii\"\n\
                endpoints = [\"127.0.0.1:9\", \"127.0.0.1:10\"]\n[[route]]\nprefixes = [\"62\"]\nissuer = \"bank\"\n";
    fs::write(&path, text).expect("written");
    let output = interlock().args(["check", "--config"]).arg(&path).assert().success();
    let said = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert!(said.contains("good: 1 listener, 1 issuer, 1 route, 0 merchants"), "{said}");
}

#[test]
fn all_faults_of_a_file_come_at_once_with_status_2() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bad.toml");
    fs::write(&path, "[node]\nid = \"a b\"\n[day]\ncutover = 3\nzones = \"UTC\"\n")
        .expect("written");
    let output = interlock().args(["check", "--config"]).arg(&path).assert().code(2);
    let errors = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    for place in ["bad.toml:2: node.id: ", "bad.toml:4: day.cutover: ", "bad.toml:5: day.zones: "] {
        assert!(errors.contains(place), "{place} is not in {errors}");
    }
    assert!(errors.contains("3 faults found"), "{errors}");
}

#[test]
fn a_missing_file_and_bad_usage_end_with_status_2() {
    interlock().args(["check", "--config", "/nonexistent/x.toml"]).assert().code(2);
    interlock().args(["check"]).assert().code(2);
    interlock().args(["no-such-command"]).assert().code(2);
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_interlock"))
        .args(["check", "--reference"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ended");
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stderr)),
        (Some(0), "".into())
    );
}

/// Written anew where `UPDATE_DOCUMENTS` is set.
#[test]
fn the_reference_of_keys_in_the_documents_is_the_binary_s_own() {
    let output = interlock().args(["check", "--reference"]).assert().success();
    let made = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    let path = top().join("docs/operations.md");
    let text = fs::read_to_string(&path).expect("docs/operations.md");
    let (before, rest) = text.split_once("<!-- reference -->\n").expect("a mark");
    let (written, after) = rest.split_once("<!-- /reference -->").expect("a mark");
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        let text = format!("{before}<!-- reference -->\n{made}<!-- /reference -->{after}");
        fs::write(&path, text).expect("written");
    } else {
        assert_eq!(written, made, "run the tests with UPDATE_DOCUMENTS=1");
    }
}

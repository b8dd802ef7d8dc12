//! `interlock migrate`: makes what is missing, and twice is once.

use std::fs;

use crate::support::interlock;

#[test]
fn a_missing_database_is_made_beside_the_configuration() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("interlock.toml");
    fs::write(&file, "[store]\nurl = \"sqlite://data.db\"\n").expect("written");
    for _ in 0..2 {
        interlock().args(["migrate", "--config"]).arg(&file).assert().success();
    }
    assert!(directory.path().join("data.db").exists());
}

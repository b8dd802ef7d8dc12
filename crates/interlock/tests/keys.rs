//! `interlock keys init`: a new file for its owner only, never written over.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::interlock;

#[test]
fn a_key_is_made_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("card-data.key");
    interlock().args(["keys", "init"]).arg(&path).assert().success();
    let mode = fs::metadata(&path).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(&path).expect("readable");
    interlock().args(["keys", "init"]).arg(&path).assert().code(1);
    assert_eq!(fs::read(&path).expect("readable"), before);
}

//! `interlock issuer`: says where it listens, ends well when it is told to.

use std::net::TcpStream;

use crate::support::{Process, interlock};

#[test]
fn it_listens_until_it_is_told_to_stop() {
    let directory = tempfile::tempdir().expect("a directory");
    let arguments = ["issuer", "--listen", "127.0.0.1:0", "--dialect", "iso87-ascii"];
    let mut issuer = Process::start(directory.path(), &arguments);
    let line = issuer.line();
    let address = line.strip_prefix("listening on ").expect("its address");
    TcpStream::connect(address).expect("it accepts");
    issuer.signal("TERM");
    let (status, lines) = issuer.end();
    assert_eq!(status, Some(0));
    assert_eq!(lines, ["0 messages: 0 charged, 0 reversed, 0 declined, 0 forwarded twice"]);
}

#[test]
fn a_bad_script_is_bad_configuration() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = directory.path().join("script.toml");
    std::fs::write(&script, "balances = 3\n").expect("written");
    interlock()
        .args(["issuer", "--listen", "127.0.0.1:0", "--dialect", "iso87-ascii", "--script"])
        .arg(&script)
        .assert()
        .code(2);
}

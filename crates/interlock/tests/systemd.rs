//! What systemd sees: a unit without a fault, and a service that says when it is ready and when it stops.

use std::{fs, os::unix::net::UnixDatagram, process::Command, time::Duration};

use crate::support::{Process, interlock, top};

#[test]
fn the_unit_is_without_a_fault() {
    let directory = tempfile::tempdir().expect("a directory");
    let unit = fs::read_to_string(top().join("deploy/interlock.service")).expect("the unit");
    // The binary is where this test has it, and `User=` is known.
    let unit = unit
        .replace("/usr/local/bin/interlock", env!("CARGO_BIN_EXE_interlock"))
        .replace("User=interlock", "User=root");
    let path = directory.path().join("interlock.service");
    fs::write(&path, unit).expect("written");
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").arg(&path).output() else {
        return; // not a machine with systemd
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && !said.contains("interlock.service:"), "{said}");
}

#[test]
fn the_service_says_when_it_is_ready_and_when_it_stops() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let socket = path.join("notify");
    let listener = UnixDatagram::bind(&socket).expect("a socket");
    listener.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    interlock().current_dir(path).args(["keys", "init", "card-data.key"]).assert().success();
    let text = "[store]\nurl = \"sqlite://interlock.db\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    fs::write(path.join("interlock.toml"), text).expect("written");
    let arguments = ["serve", "--config", "interlock.toml"];
    let serve = Process::start_with(path, &arguments, &[("NOTIFY_SOCKET", &socket)]);
    let mut heard = [0; 256];
    let mut next = || {
        let length = listener.recv(&mut heard).expect("told within half a minute");
        String::from_utf8_lossy(&heard[..length]).into_owned()
    };
    assert!(next().contains("READY=1"));
    serve.signal("TERM");
    assert!(next().contains("STOPPING=1"));
    assert_eq!(serve.end().0, Some(0));
}

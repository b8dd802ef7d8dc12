//! Malformed messages, measured: the parser of another project panics on them, and ours refuses them.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use bytes::Bytes;
use iso8583::{Dialect, Message};

use crate::programs::{example, interlock, top};

/// A sound sale of the foreign specification: message type, bitmap, then 2, 3, 4, 7, 11, 12, 13, 41, 42, 49.
fn sound() -> Vec<u8> {
    let mut sale = b"0200".to_vec();
    sale.extend([0x72, 0x38, 0, 0, 0, 0xC0, 0x80, 0]);
    sale.extend(b"166200000000000005000000000000001001112310150000000118150011");
    sale.extend(b"23FOREIGN1FOREIGN00000001156");
    sale
}

/// The sound sale with one byte replaced, at every place, and cut off at every place.
fn malformed() -> Vec<Vec<u8>> {
    let sound = sound();
    let replaced = (0..sound.len()).flat_map(|at| {
        let sound = sound.clone();
        [0x00, b'-', b'A', 0x80, 0xFF].into_iter().map(move |byte| {
            let mut message = sound.clone();
            message[at] = byte;
            message
        })
    });
    let cut = (0..sound.len()).map(|length| sound[..length].to_vec());
    replaced.chain(cut).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[test]
fn the_foreign_parser_panics_where_ours_refuses() {
    let specification = top().join("tests/data/foreign.yaml");
    let mut messages = malformed();
    let count = messages.len();
    messages.push(sound());

    let directory = tempfile::tempdir().expect("a directory");
    let input = directory.path().join("messages.hex");
    let mut file = fs::File::create(&input).expect("a file");
    for message in &messages {
        writeln!(file, "{}", hex(message)).expect("written");
    }
    let probe = Command::new(example("foreign_probe"))
        .env("SPEC_FILE", &specification)
        .stdin(Stdio::from(fs::File::open(&input).expect("the file")))
        .output()
        .expect("the probe");
    let text = String::from_utf8_lossy(&probe.stdout).into_owned();
    let words: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("P ")).collect();
    assert_eq!(words.len(), messages.len());
    assert_eq!(words.last(), Some(&"parsed"), "the sound message");
    let panicked = words.iter().filter(|word| **word == "panicked").count();

    let imported = Command::new(interlock())
        .args(["dialect", "import"])
        .arg(&specification)
        .output()
        .expect("interlock");
    let toml = String::from_utf8(imported.stdout).expect("text");
    let dialect = Dialect::parse("foreign", &toml).expect("a dialect");
    let take = |message: &Vec<u8>| Message::decode(&dialect, Bytes::from(message.clone()));
    let refused = messages.iter().filter(|message| take(message).is_err()).count();
    assert!(take(&sound()).is_ok());
    println!(
        "{count} malformed messages: theirs panicked on {panicked}, ours refused {refused} and panicked on none"
    );
    assert!(panicked > 0, "decision 0001 would have to be thought over");
}

//! How the parser of another project takes what it does not expect: hexadecimal lines in, one word a line out.
//!
//! `SPEC_FILE=foreign.yaml foreign_probe < messages.hex` prints `P parsed`, `P refused` or `P panicked`.

#![expect(clippy::print_stdout, reason = "its output is its result")]

use std::{io::stdin, panic};

use iso8583_rs::iso8583::iso_spec::spec;

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect()
}

fn main() {
    let known = spec("");
    panic::set_hook(Box::new(|_| {}));
    for line in stdin().lines() {
        let mut message = bytes_of(&line.expect("a line"));
        let word = match panic::catch_unwind(panic::AssertUnwindSafe(|| {
            // Reading a field's text is part of taking a message, and can panic too.
            known.parse(&mut message).is_ok_and(|parsed| !format!("{parsed}").is_empty())
        })) {
            Ok(true) => "parsed",
            Ok(false) => "refused",
            Err(_) => "panicked",
        };
        println!("P {word}");
    }
}

//! Real messages of others decode to their fields and encode back to their bytes.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use iso8583::{Dialect, Message};
use serde_json::Value;

pub(crate) struct Vector {
    pub(crate) id: String,
    pub(crate) dialect: String,
    pub(crate) frame: Vec<u8>,
    pub(crate) mti: String,
    pub(crate) fields: BTreeMap<u8, String>,
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digit).collect()
}

pub(crate) fn vectors() -> Vec<Vector> {
    let lines = include_str!("../data/vectors.jsonl").lines();
    lines
        .map(|line| {
            let row: Value = serde_json::from_str(line).expect("JSON");
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let mut frame = hex(&text(&row["hex"]));
            if row["header"]["length"].is_number() {
                frame.drain(..2);
            }
            let all = row["fields"].as_object().expect("fields");
            let numbers = all.iter().filter_map(|(key, value)| {
                let number = key.parse().ok().filter(|number| *number > 0)?;
                Some((number, text(value)))
            });
            Vector {
                id: text(&row["id"]),
                dialect: text(&row["dialect"]),
                frame,
                mti: text(&all["0"]),
                fields: numbers.collect(),
            }
        })
        .collect()
}

pub(crate) fn passes(dialect: &Dialect, vector: &Vector) -> Result<(), String> {
    let frame = Bytes::from(vector.frame.clone());
    let message = Message::decode(dialect, frame.clone()).map_err(|error| error.to_string())?;
    if message.mti().as_str() != vector.mti {
        return Err(format!("message type {}", message.mti()));
    }
    let fields: BTreeMap<u8, String> = message
        .fields()
        .map(|number| (number, message.text(number).unwrap_or_default().into_owned()))
        .collect();
    if fields != vector.fields {
        return Err(format!("{fields:?} instead of {:?}", vector.fields));
    }
    let mut again = BytesMut::new();
    message.encode(dialect, &mut again).map_err(|error| error.to_string())?;
    if again != frame {
        return Err("other bytes".to_owned());
    }
    let mut built = Message::new(message.mti());
    if let Some(header) = message.header() {
        built.set_header(*header);
    }
    for (number, text) in &fields {
        built.set_text(*number, text);
    }
    again.clear();
    built.encode(dialect, &mut again).map_err(|error| error.to_string())?;
    if again == frame { Ok(()) } else { Err("other bytes when built".to_owned()) }
}

#[test]
fn most_decode_with_the_shipped_dialects() {
    for (name, wire, least) in [("cup-pos", "cup-pos", 49), ("iso87-ascii", "iso87ascii", 48)] {
        let dialect = Dialect::shipped(name).expect("shipped");
        let of_it = |vector: &&Vector| vector.dialect == wire;
        let good = vectors().iter().filter(of_it).filter(|v| passes(&dialect, v).is_ok()).count();
        assert!(good >= least, "{good} vectors of {name}");
    }
}

//! Real messages of others decode to their fields and encode back to their bytes: most with the shipped
//! dialects, the others, each listed here, with a dialect file that is derived from a shipped one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use iso8583::{Dialect, Message, decode_line, encode_line};
use serde_json::Value;

/// Vectors that the shipped dialects cannot read, and the dialect file that can.
const DERIVED: &[(&str, &str)] = &[
    // no header at all
    ("cup-cil-signin-0800", "cup-bare"),
    ("cup-cil-tmk-0810", "cup-bare"),
    ("cup-cil-tmk-0800b", "cup-bare"),
    ("cup-steel-void-0200", "cup-bare"),
    ("cup-steel-void-0210", "cup-bare"),
    ("cup-adamdev-settle-0500", "cup-bare"),
    ("cup-adamdev-tc-0200", "cup-bare"),
    // no header, and an odd track 2 filled with F
    ("cup-whty-sale-0200", "cup-bare-f"),
    // caller identification between TPDU and head
    ("cup-koolpos-signin-0800", "cup-caller"),
    // head without TPDU, field 48 as text
    ("cup-msg64-sale-0200", "cup-48-text"),
    ("cup-msg64-sale2-0200", "cup-48-text"),
    // field 60 was overwritten with nibbles that are no digits
    ("cup-koolpos-query-0200", "cup-60-raw"),
    // the length of field 62 counts nibbles
    ("cup-zzyh-signin-0810", "cup-62-nibbles"),
    // field 60 as text
    ("cup-payby-refund-0220-a", "cup-60-text"),
    ("cup-payby-refund-0220-b", "cup-60-text"),
    ("cup-payby-refund-0230", "cup-60-text"),
    ("cup-payby-sale-0200", "cup-60-text"),
    ("cup-payby-sale-0210", "cup-60-text"),
    ("cup-payby-reversal-0400", "cup-60-text"),
    // fields 55 and 60 as text
    ("cup-payby-reversal-0410", "cup-60-55-text"),
    // always two bitmaps, field 55 as tags and values
    ("basei-0100-auth-request-unknown-tlv", "iso87-always-128"),
    ("basei-0100-auth-request", "iso87-always-128"),
    ("basei-0110-auth-response", "iso87-always-128"),
    ("basei-0200-financial-request", "iso87-always-128"),
    ("basei-0210-financial-response", "iso87-always-128"),
    ("basei-0420-reversal-advice", "iso87-always-128"),
    ("basei-0430-reversal-response", "iso87-always-128"),
    ("basei-0800-network-echo", "iso87-always-128"),
    ("basei-0810-network-echo-response", "iso87-always-128"),
    ("spec87-0800-echo", "iso87-always-128"),
    // the bitmap as bytes
    ("zem-0800-binbitmap", "iso87-raw-bitmap"),
    // the bitmap as bytes, and a length of six digits
    ("jpos-base-field127-post", "iso87-raw-bitmap-127"),
    // field 96 of eight bytes
    ("erl-ascii-fields_95_96_test", "iso87-96-short"),
    // field 55 as text
    ("jpos-iso87b-field64", "iso87-binary-55-text"),
    ("jpos-iso87bpackager", "iso87-binary-55-text"),
    // an odd card number filled on the left
    ("imohsenb-0800-b", "iso87-binary-2-left"),
    // field 48 as bytes
    ("dart-pos-logon-0800", "iso87-binary-48-raw"),
    // the 1993 version in another encoding
    ("jpos-iso93bpackager", "iso93-binary"),
    // and with nine bytes of routing
    ("jpos-iso93-ebcdic-custom-1100", "iso93-ebcdic"),
];

/// Classes of vectors, the shipped dialect of each, and how many pass with it and with a derived one.
const CLASSES: &[(&str, &str, [usize; 2])] = &[
    ("cup-pos", "cup-pos", [49, 20]),
    ("iso87ascii", "iso87-ascii", [48, 13]),
    ("iso87binary", "iso87-binary", [18, 4]),
    ("iso87ebcdic", "iso87-ebcdic", [7, 0]),
    ("iso93ascii", "iso93-ascii", [1, 0]),
    ("iso93binary", "iso93-ascii", [0, 1]),
    ("iso93ebcdic", "iso93-ascii", [0, 1]),
];

pub(crate) struct Vector {
    id: String,
    class: String,
    hex: String,
    frame: Vec<u8>,
    mti: String,
    fields: BTreeMap<u8, String>,
}

fn hex(text: &str) -> Vec<u8> {
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    let value = |digit: u8| char::from(digit).to_digit(16).expect("a hexadecimal digit");
    pairs.iter().map(|[a, b]| u8::try_from(value(*a) * 16 + value(*b)).expect("a byte")).collect()
}

pub(crate) fn vectors() -> Vec<Vector> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let one = |line: &str| {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let mut whole = text(&row["hex"]);
        if row["header"]["length"].is_number() {
            whole.drain(..4);
        }
        let all = row["fields"].as_object().expect("fields");
        let numbers = all.iter().filter_map(|(key, value)| {
            let number = key.parse().ok().filter(|number| *number > 0)?;
            Some((number, text(value)))
        });
        Vector {
            id: text(&row["id"]),
            class: text(&row["dialect"]),
            frame: hex(&whole),
            hex: whole,
            mti: text(&all["0"]),
            fields: numbers.collect(),
        }
    };
    include_str!("../data/vectors.jsonl").lines().map(one).collect()
}

/// The message has the vector's fields, and encodes to its bytes as it stands, when it is built from
/// the fields, and through JSON.
fn passes(dialect: &Dialect, vector: &Vector) -> Result<(), String> {
    let frame = Bytes::from(vector.frame.clone());
    let message = Message::decode(dialect, frame.clone()).map_err(|error| error.to_string())?;
    let text = |number| (number, message.text(number).unwrap_or_default().into_owned());
    let fields: BTreeMap<u8, String> = message.fields().map(text).collect();
    if message.mti().as_str() != vector.mti || fields != vector.fields {
        return Err(format!("{} {fields:?}", message.mti()));
    }
    let mut built = Message::new(message.mti());
    if let Some(header) = message.header() {
        built.set_header(*header);
    }
    for (number, text) in &fields {
        built.set_text(*number, text);
    }
    for (how, message) in [("as it stands", &message), ("built", &built)] {
        let mut again = BytesMut::new();
        message.encode(dialect, &mut again).map_err(|error| error.to_string())?;
        if again != frame {
            return Err(format!("other bytes {how}"));
        }
    }
    let json = decode_line(dialect, &vector.hex, false, true)?;
    if encode_line(dialect, &json, false)? == vector.hex {
        Ok(())
    } else {
        Err("other bytes through JSON".to_owned())
    }
}

#[test]
fn every_vector_passes_with_the_shipped_dialect_or_a_derived_one() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    let (mut ids, mut files) = (BTreeSet::new(), BTreeSet::new());
    for vector in vectors() {
        let class = CLASSES.iter().find(|row| row.0 == vector.class).expect("a class");
        let file = DERIVED.iter().find(|row| row.0 == vector.id).map(|row| row.1);
        let base = Dialect::shipped(class.1).expect("shipped");
        let outcome = match file {
            None => passes(&base, &vector),
            Some(file) => {
                assert!(passes(&base, &vector).is_err(), "{} needs no dialect file", vector.id);
                files.insert(vector.id.clone());
                passes(&Dialect::load(file, &dir).unwrap_or_else(|e| panic!("{e}")), &vector)
            }
        };
        outcome.unwrap_or_else(|why| panic!("{}: {why}", vector.id));
        let [shipped, derived] = counts.entry(vector.class).or_default();
        *if file.is_none() { shipped } else { derived } += 1;
        assert!(ids.insert(vector.id), "an id stands twice");
    }
    let expected = CLASSES.iter().map(|row| (row.0.to_owned(), row.2)).collect();
    assert_eq!(counts, expected);
    assert_eq!((ids.len(), files.len()), (162, DERIVED.len()));
}

#[test]
fn a_header_alone_makes_the_difference_for_eight() {
    let alone = |file: &str| matches!(file, "cup-bare" | "cup-caller");
    assert_eq!(DERIVED.iter().filter(|row| alone(row.1)).count(), 8);
}

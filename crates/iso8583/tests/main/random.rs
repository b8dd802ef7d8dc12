//! Random messages from an encoder of its own, and bytes that are no messages.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use iso8583::{Dialect, Message, decode_line, decode_table, encode_line};
use proptest::prelude::*;

/// A row of the field tables in `tests/data`.
struct Row {
    bit: u8,
    content: String,
    length: usize,
    prefix: usize,
}

fn rows(table: &str) -> Vec<Row> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |at: usize| cells[at].parse::<usize>().expect("a number");
        Row {
            bit: u8::try_from(number(0)).expect("a bit"),
            content: cells[2].to_owned(),
            length: number(3),
            prefix: number(4),
        }
    };
    table.lines().skip(1).map(row).collect()
}

/// How a dialect writes, as this file knows it.
#[derive(Clone, Copy, PartialEq)]
enum Wire {
    Cup,
    Ascii,
    Binary,
    Ebcdic,
    Version93,
}

impl Wire {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Cup, "cup-pos"),
        (Self::Ascii, "iso87-ascii"),
        (Self::Binary, "iso87-binary"),
        (Self::Ebcdic, "iso87-ebcdic"),
        (Self::Version93, "iso93-ascii"),
    ];

    fn packs(self) -> bool {
        matches!(self, Self::Cup | Self::Binary)
    }

    /// Which side an odd digit of a field is filled on: left or not.
    fn left(self, row: &Row) -> bool {
        match self {
            Self::Binary => row.prefix == 0,
            _ => row.bit == 23,
        }
    }

    /// Text of ASCII as bytes.
    fn text(self, text: &str) -> Vec<u8> {
        match self {
            Self::Ebcdic => text.chars().map(ebcdic).collect(),
            _ => text.as_bytes().to_vec(),
        }
    }

    /// Digits that stand before a field or a message, packed or not.
    fn digits(self, digits: &str) -> Vec<u8> {
        if self.packs() { bcd(digits, true) } else { self.text(digits) }
    }
}

/// The byte of a character in EBCDIC, of the rows as they are printed in its code page.
fn ebcdic(character: char) -> u8 {
    const ROWS: &[(u8, &str)] = &[
        (0x40, " "),
        (0x4B, ".<(+|&"),
        (0x50, "&"),
        (0x5B, "$*);"),
        (0x60, "-/"),
        (0x6B, ",%_>?"),
        (0x79, "`:#@'=\""),
        (0x81, "abcdefghi"),
        (0x91, "jklmnopqr"),
        (0xA1, "~stuvwxyz"),
        (0xC0, "{ABCDEFGHI"),
        (0xD0, "}JKLMNOPQR"),
        (0xE2, "STUVWXYZ"),
        (0xF0, "0123456789"),
    ];
    if character == '\\' {
        return 0xE0;
    }
    let place = |(first, row): &(u8, &str)| {
        let at = row.chars().position(|other| other == character)?;
        Some(first + u8::try_from(at).expect("a short row"))
    };
    ROWS.iter().rev().find_map(place).expect("a character of the rows")
}

/// Numbers that look random and come again from the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % u64::try_from(sides).expect("small")).expect("small")
    }

    fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(alphabet[self.roll(alphabet.len())])).collect()
    }
}

const DIGITS: &[u8] = b"0123456789";
const HEX: &[u8] = b"0123456789ABCDEF";
const ALNUM: &[u8] = b"0123456789ABCXYZabc";
const ANY: &[u8] = b"0123456789ABCXYZabcxyz \"\\/.,-=+'<>&";
const GBK: &[(&str, &[u8])] = &[
    ("商", b"\xC9\xCC"),
    ("户", b"\xBB\xA7"),
    ("交易成功", b"\xBD\xBB\xD2\xD7\xB3\xC9\xB9\xA6"),
    ("a", b"a"),
];

/// One message: the line that it should decode to, and its bytes.
struct Sample {
    json: String,
    bytes: Vec<u8>,
}

fn unhex(text: &str) -> Vec<u8> {
    let value =
        |at: usize| u8::from_str_radix(text.get(at..at + 2).expect("pairs"), 16).expect("hex");
    (0..text.len()).step_by(2).map(value).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// Digits packed, with the odd one's filler on the right, or on the left.
fn bcd(digits: &str, left: bool) -> Vec<u8> {
    let digits = digits.replace('=', "D");
    let odd = digits.len() % 2 == 1;
    unhex(&match (odd, left) {
        (false, _) => digits,
        (true, false) => format!("{digits}0"),
        (true, true) => format!("0{digits}"),
    })
}

/// The JSON value of a field, its bytes, and its length as a prefix counts it.
fn value(row: &Row, wire: Wire, dice: &mut Dice) -> (String, Vec<u8>, usize) {
    // mostly short, now and then as long as may be
    let longest = if dice.roll(12) == 0 { row.length } else { row.length.min(40) };
    let length = if row.prefix == 0 { row.length } else { dice.roll(longest + 1) };
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let plain = |text: String| (quoted(&text), wire.text(&text), text.len());
    match row.content.as_str() {
        "n" | "z" => {
            let mut text = dice.text(DIGITS, length);
            if row.content == "z" && length > 20 {
                text.replace_range(16..17, "=");
            }
            let bytes = if wire.packs() { bcd(&text, wire.left(row)) } else { wire.text(&text) };
            (quoted(&text), bytes, length)
        }
        "x+n" => {
            let (sign, digits) = (dice.text(b"CD", 1), dice.text(DIGITS, length - 1));
            let mut bytes = wire.text(&sign);
            bytes.extend(wire.digits(&digits));
            (quoted(&(sign + &digits)), bytes, length)
        }
        "an" => plain(dice.text(ALNUM, length)),
        "ans" => plain(dice.text(ANY, length)),
        "b" | "raw" => {
            let text = dice.text(HEX, length * 2);
            let raw = wire.packs() || row.content == "raw";
            let bytes = if raw { unhex(&text) } else { wire.text(&text) };
            (quoted(&text), bytes, length)
        }
        "gbk" => {
            let (mut text, mut bytes) = (String::new(), Vec::new());
            while bytes.len() + 8 <= length {
                let (character, written) = GBK[dice.roll(GBK.len())];
                text.push_str(character);
                bytes.extend_from_slice(written);
            }
            while row.prefix == 0 && bytes.len() < length {
                text.push(' ');
                bytes.push(b' ');
            }
            let length = bytes.len();
            (quoted(&text), bytes, length)
        }
        "tlv" => {
            let (mut object, mut bytes) = (String::new(), Vec::new());
            for tag in ["9F26", "9F27", "95", "5F2A", "DF8129", "82", "57"] {
                let digits = dice.roll(20) * 2;
                let value = dice.text(HEX, digits);
                if bytes.len() + value.len() / 2 + 4 > length {
                    break;
                }
                let _ = write!(object, ",\"{tag}\":\"{value}\"");
                bytes.extend(unhex(tag));
                bytes.push(u8::try_from(value.len() / 2).expect("short"));
                bytes.extend(unhex(&value));
            }
            let length = bytes.len();
            (format!("{{{}}}", object.trim_start_matches(',')), bytes, length)
        }
        other => unreachable!("no content {other}"),
    }
}

fn sample(wire: Wire, seed: u64) -> Sample {
    let mut dice = Dice(seed | 1);
    for _ in 0..8 {
        dice.roll(2);
    }
    let table = match wire {
        Wire::Cup => include_str!("../data/cup_pos.csv"),
        Wire::Ascii | Wire::Binary | Wire::Ebcdic => include_str!("../data/iso87.csv"),
        Wire::Version93 => include_str!("../data/iso93.csv"),
    };
    let often = dice.roll(4) + 1;
    let (mut bits, mut body, mut fields) = ([false; 129], Vec::new(), String::new());
    for mut row in rows(table) {
        if dice.roll(5) > often {
            continue;
        }
        if wire == Wire::Binary && row.bit == 55 {
            "tlv".clone_into(&mut row.content);
        }
        bits[usize::from(row.bit)] = true;
        let (json, bytes, length) = value(&row, wire, &mut dice);
        match row.prefix {
            0 => {}
            digits => body.extend(wire.digits(&format!("{length:0digits$}"))),
        }
        body.extend(bytes);
        let _ = write!(fields, ",\"{}\":{json}", row.bit);
    }
    bits[1] = bits[65..].contains(&true);
    let count = if bits[1] { 128 } else { 64 };
    let bitmap: Vec<u8> = bits[1..=count]
        .chunks(8)
        .map(|eight| eight.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)))
        .collect();
    let mti = ["0200", "0210", "0400", "0401", "0800", "0830", "1200", "1814"][dice.roll(8)];
    let bitmap = if wire.packs() { bitmap } else { wire.text(&hex(&bitmap)) };
    let bytes = [wire.digits(mti), bitmap, body].concat();
    let (_, name) = Wire::ALL.into_iter().find(|row| row.0 == wire).expect("one of all");
    let (mut header, mut before) = (String::new(), String::new());
    if wire == Wire::Cup {
        let (tpdu, head) = (format!("60{}", dice.text(DIGITS, 8)), dice.text(DIGITS, 12));
        header = format!(",\"header\":{{\"tpdu\":\"{tpdu}\",\"head\":\"{head}\"}}");
        before = tpdu + &head;
    }
    let fields = fields.trim_start_matches(',');
    Sample {
        json: format!(
            "{{\"dialect\":\"{name}\"{header},\"mti\":\"{mti}\",\"fields\":{{{fields}}}}}"
        ),
        bytes: [unhex(&before), bytes].concat(),
    }
}

fn dialects() -> [(Wire, Dialect); 5] {
    assert_eq!(iso8583::SHIPPED.len(), Wire::ALL.len());
    Wire::ALL.map(|(wire, name)| (wire, Dialect::shipped(name).expect("shipped")))
}

/// Decoding ends without a panic; a fault lies inside the bytes; what is a message encodes to its bytes.
fn survives(dialect: &Dialect, bytes: &[u8]) -> bool {
    let line = hex(bytes);
    let _ = decode_line(dialect, &line, true, false);
    let _ = decode_table(dialect, &line, false, false);
    match Message::decode(dialect, Bytes::copy_from_slice(bytes)) {
        Err(error) => {
            assert!(error.offset <= bytes.len(), "{error}");
            assert!(!error.message.is_empty());
            false
        }
        Ok(message) => {
            let mut again = BytesMut::new();
            message.encode(dialect, &mut again).expect("it was of this dialect");
            assert_eq!(again, bytes);
            let json = decode_line(dialect, &line, false, true).expect("decodes");
            let rewritten = encode_line(dialect, &json, false).expect("encodes");
            assert_eq!(decode_line(dialect, &rewritten, false, true), Ok(json));
            true
        }
    }
}

#[test]
fn random_messages_decode_right_and_encode_back() {
    let config = ProptestConfig { cases: 80, failure_persistence: None, ..Default::default() };
    let dialects = dialects();
    proptest!(config, |(seed in any::<u64>())| {
        for (wire, dialect) in &dialects {
            let Sample { json, bytes } = sample(*wire, seed);
            let decoded = decode_line(dialect, &hex(&bytes), false, true);
            prop_assert_eq!(decoded.as_deref(), Ok(json.as_str()));
            let encoded = encode_line(dialect, &json, false);
            prop_assert_eq!(encoded, Ok(hex(&bytes)));
            prop_assert!(survives(dialect, &bytes));
        }
    });
}

#[test]
fn messages_cut_off_or_too_long_are_errors() {
    for (wire, dialect) in dialects() {
        for seed in 1_u64..6 {
            let bytes = sample(wire, seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)).bytes;
            // every cut of the beginning, and some of the rest
            for length in (0..bytes.len()).filter(|at| *at < 90 || at % 41 == 0) {
                let cut = bytes.get(..length).expect("shorter");
                assert!(!survives(&dialect, cut), "cut to {length}");
            }
            assert!(!survives(&dialect, &[&bytes[..], b"0"].concat()));
        }
    }
}

#[test]
fn altered_and_random_bytes_never_panic() {
    let config = ProptestConfig { cases: 80, failure_persistence: None, ..Default::default() };
    let dialects = dialects();
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let changes = prop::collection::vec(change, 1..6);
    let noise = prop::collection::vec(any::<u8>(), 0..200);
    proptest!(config, |(seed in any::<u64>(), changes in changes, noise in noise)| {
        for (wire, dialect) in &dialects {
            let mut bytes = sample(*wire, seed).bytes;
            for (index, byte) in &changes {
                let at = index.index(bytes.len());
                bytes[at] = *byte;
            }
            survives(dialect, &bytes);
            survives(dialect, &noise);
        }
    });
}

#[test]
fn lines_that_are_no_json_of_the_form_are_errors() {
    let config = ProptestConfig { cases: 50, failure_persistence: None, ..Default::default() };
    let dialects = dialects();
    let change = (any::<prop::sample::Index>(), any::<char>());
    let changes = prop::collection::vec(change, 1..4);
    proptest!(config, |(seed in any::<u64>(), changes in changes, noise in ".*")| {
        for (wire, dialect) in &dialects {
            let mut line: Vec<char> = sample(*wire, seed).json.chars().collect();
            for (index, character) in &changes {
                let at = index.index(line.len());
                line[at] = *character;
            }
            let _ = encode_line(dialect, &line.iter().collect::<String>(), true);
            prop_assert!(encode_line(dialect, &noise, false).is_err());
            prop_assert!(decode_line(dialect, &noise, false, false).is_err());
        }
    });
}

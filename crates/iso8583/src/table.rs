//! A message as a table for people.

use std::fmt::Write as _;

use crate::code::Code;
use crate::dialect::Dialect;
use crate::digits::to_hex;
use crate::field::FieldSpec;
use crate::mask;
use crate::message::Message;

/// The message as lines of number, name and value; parts and tags indented below their field; the
/// meaning of a response code beside it. Card data is masked unless `clear`.
#[must_use]
pub fn to_table(dialect: &Dialect, message: &Message, clear: bool) -> String {
    let mut rows: Vec<[String; 3]> = Vec::new();
    let mut push = |number: &str, name: &str, value: String| {
        rows.push([number.to_owned(), name.to_owned(), value]);
    };
    push("", "dialect", dialect.name().to_owned());
    if let Some(header) = message.header() {
        let parts = [("tpdu", header.tpdu()), ("caller", header.caller()), ("head", header.head())];
        for (name, part) in parts {
            if let Some(part) = part {
                push("", name, to_hex(part));
            }
        }
    }
    push("0", "Message type", message.mti().to_string());
    for spec in message.fields().filter_map(|number| dialect.field(number)) {
        field_rows(dialect, message, spec, clear, &mut rows);
    }
    let width = rows.iter().map(|row| row[1].chars().count()).max().unwrap_or(0);
    let mut table = String::new();
    for [number, name, value] in rows {
        let _ = writeln!(table, "{number:>3}  {name:width$}  {value}");
    }
    table
}

fn field_rows(
    dialect: &Dialect,
    message: &Message,
    spec: &FieldSpec,
    clear: bool,
    rows: &mut Vec<[String; 3]>,
) {
    let text = message.text(spec.number).unwrap_or_default();
    let mut row = |number: String, name: String, value: String| rows.push([number, name, value]);
    let number = spec.number.to_string();
    if spec.tlv && spec.number == 55 {
        row(number, spec.name.clone(), String::new());
        for one in message.tlv55() {
            let (tag, value) = (to_hex(one.tag), to_hex(one.value));
            let value = if clear { value } else { mask::tag(&tag, value) };
            row(String::new(), format!("  {tag}"), value);
        }
        return;
    }
    let code = Code::new(text.trim_end()).ok().filter(|_| spec.number == 39);
    let shown = if clear { text } else { mask::field(spec, text) };
    let value = match code.and_then(|code| dialect.meaning(code)) {
        Some(meaning) => format!("{shown}  ({}, {})", meaning.en, meaning.zh),
        None => shown.trim_end().to_owned(),
    };
    row(number, spec.name.clone(), value);
    for (number, part) in (1_u8..).zip(&spec.parts) {
        let range = spec.part_range(number).unwrap_or_default();
        if let Some(digits) = shown.get(range) {
            row(String::new(), format!("  {}", part.name), digits.to_owned());
        }
    }
}

//! Turns a specification into a dialect file: its fields, and of the shipped ASCII dialect what a specification does
//! not say (kinds, response codes, identity).

use std::fmt::Write;

use iso8583::{Content, Dialect, Encoding, FieldSpec};
use toml_edit::{DocumentMut, Item, Value};

use super::{
    fault,
    spec::{Field, Form, Specification},
};
use crate::config::Fault;

/// What a specification does not say is taken from here.
const BASE: &str = include_str!("../../../../../config/dialects/iso87-ascii.toml");

/// The text of the dialect file.
///
/// # Errors
/// What of the specification a dialect cannot say.
pub(super) fn dialect(specification: &Specification, framing: &str) -> Result<String, Vec<Fault>> {
    let mut faults = Vec::new();
    let base = Dialect::parse("iso87-ascii", BASE)
        .map_err(|error| vec![fault(0, "", format!("the base of the import: {error}"))])?;
    let mut rows = String::new();
    for (&number, field) in &specification.fields {
        match row(number, field, base.field(number)) {
            Ok(row) => rows.push_str(&row),
            Err(message) => {
                faults.push(fault(field.line, format!("position {number}"), message));
            }
        }
    }
    let bitmap = match specification.bitmap {
        Form::Binary => "raw",
        Form::Ascii => "hex",
        Form::Bcd | Form::Ebcdic => {
            faults.push(fault(0, "bitmap", "not supported; expected BINARY or ASCII"));
            "raw"
        }
    };
    if !faults.is_empty() {
        return Err(faults);
    }
    let has = |number: u8| specification.fields.contains_key(&number);
    let mut document: DocumentMut = BASE
        .parse()
        .map_err(|error| vec![fault(0, "", format!("the base of the import: {error}"))])?;
    let imported = format!("{}, imported", specification.name);
    document["description"] = text(&imported);
    document["framing"] = text(framing);
    let mti = if specification.type_encoding == Form::Bcd { "bcd" } else { "ascii" };
    document["mti"] = text(mti);
    document["bitmap"]["encoding"] = text(bitmap);
    let secondary =
        if specification.fields.keys().any(|&number| number > 64) { "on-bit-1" } else { "never" };
    document["bitmap"]["secondary"] = text(secondary);
    document["reversal_original_elements"] = Item::Value(Value::from(has(90)));
    keep_numbers(&mut document["echoed"], has);
    keep_numbers(&mut document["reversal_fields"], has);
    keep_elements(&mut document["elements"], has);
    keep_kinds(&mut document["kind"], specification, has);
    let fields: DocumentMut = format!("[fields]\n{rows}")
        .parse()
        .map_err(|error| vec![fault(0, "", format!("the fields of the import: {error}"))])?;
    let place = document["fields"].as_table().and_then(toml_edit::Table::position);
    let mut fields = fields["fields"].clone();
    if let Some(table) = fields.as_table_mut() {
        table.set_position(place);
        table.decor_mut().set_prefix("\n");
    }
    document["fields"] = fields;
    let heading = format!("# Imported from the specification {:?}.\n", specification.name);
    Ok(heading + &document.to_string())
}

fn text(text: &str) -> Item {
    Item::Value(Value::from(text))
}

/// One field as a line of TOML.
fn row(number: u8, field: &Field, usual: Option<&FieldSpec>) -> Result<String, String> {
    let (content, encoding) = content(field, usual)?;
    let name = field.name.replace(['"', '\\'], "'");
    let mut row = format!(
        "{number} = {{ name = \"{name}\", content = \"{}\", encoding = \"{}\"",
        content.name(),
        encoding.name()
    );
    match field.indicator {
        None => {
            let _ = write!(row, ", length = {}", units(field, content, encoding, usual));
        }
        Some(indicator) => {
            let (digits, bcd) = match (indicator, field.length) {
                (Form::Ascii, 1..=3) => (field.length, false),
                (Form::Bcd, 1..=2) => (field.length * 2, true),
                (Form::Ascii, _) => return Err("expected at most 3 digits of length".to_owned()),
                (Form::Bcd, _) => return Err("expected at most 2 bytes of length".to_owned()),
                (Form::Binary | Form::Ebcdic, _) => {
                    return Err("its length is not supported; expected ASCII or BCD".to_owned());
                }
            };
            if encoding == Encoding::Bcd {
                return Err("its length counts bytes of BCD; expected ASCII or BINARY".to_owned());
            }
            let limit = 10_u16.saturating_pow(u32::from(digits)) - 1;
            let usual = usual.map_or(limit, |usual| usual.length.max());
            let max = usual.min(if encoding == Encoding::Hex { limit / 2 } else { limit });
            let prefix = if bcd { "bcd" } else { "ascii" };
            let _ = write!(row, ", prefix = {digits}, prefix_encoding = \"{prefix}\", max = {max}");
        }
    }
    if let Some(usual) = usual {
        let _ = write!(row, ", privacy = \"{}\"", usual.privacy.name());
    }
    row.push_str(" }\n");
    Ok(row)
}

/// Content and encoding: the data element says what it may hold, the specification how it is written.
fn content(field: &Field, usual: Option<&FieldSpec>) -> Result<(Content, Encoding), String> {
    let usual = usual.map(|usual| usual.content);
    match field.form {
        Form::Ascii => match usual {
            Some(Content::Binary) if field.indicator.is_none() => {
                Ok((Content::Binary, Encoding::Hex))
            }
            Some(Content::Binary) | None => Ok((Content::Text, Encoding::Ascii)),
            Some(other) => Ok((other, Encoding::Ascii)),
        },
        Form::Bcd => match usual {
            Some(Content::Track) => Ok((Content::Track, Encoding::Bcd)),
            _ => Ok((Content::Digits, Encoding::Bcd)),
        },
        Form::Binary => Ok((Content::Binary, Encoding::Raw)),
        Form::Ebcdic => Err("EBCDIC is not supported in this version".to_owned()),
    }
}

/// The fixed length in units of the content, where the specification counts bytes.
fn units(field: &Field, content: Content, encoding: Encoding, usual: Option<&FieldSpec>) -> u16 {
    match (content, encoding) {
        (Content::Binary, Encoding::Hex) => field.length / 2,
        (_, Encoding::Bcd) => {
            let usual = usual.map(|usual| usual.length.max());
            usual.filter(|usual| usual.div_ceil(2) == field.length).unwrap_or(field.length * 2)
        }
        _ => field.length,
    }
}

/// Keeps the numbers of fields that are there.
fn keep_numbers(item: &mut Item, has: impl Fn(u8) -> bool) {
    if let Some(list) = item.as_array_mut() {
        let there = |value: &Value| {
            value.as_integer().and_then(|number| u8::try_from(number).ok()).is_some_and(&has)
        };
        list.retain(there);
    }
}

/// Keeps the elements whose fields are there.
fn keep_elements(item: &mut Item, has: impl Fn(u8) -> bool) {
    if let Some(table) = item.as_table_mut() {
        table.retain(|_, value| {
            let place = value.as_str().and_then(|place| place.split('.').next()?.parse().ok());
            place.is_some_and(&has)
        });
    }
}

/// Keeps the kinds whose message types are there, with what they need of fields that are there.
fn keep_kinds(item: &mut Item, specification: &Specification, has: impl Fn(u8) -> bool) {
    let Some(kinds) = item.as_array_of_tables_mut() else { return };
    kinds.retain(|kind| {
        let known = |mti: &str| specification.types.contains(mti);
        kind.get("mti").and_then(Item::as_str).is_some_and(known)
    });
    for kind in kinds.iter_mut() {
        if let Some(required) = kind.get_mut("required") {
            keep_numbers(required, &has);
        }
        for (key, number) in [("condition", 25), ("network_code", 70), ("processing_code", 3)] {
            if !has(number) {
                kind.remove(key);
            }
        }
    }
}

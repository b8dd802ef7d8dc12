//! Reads a specification of `iso8583_rs`: messages chosen by their type, each with fields in a bitmap.

use std::collections::{BTreeMap, BTreeSet};

use saphyr::{LoadableYamlNode, MarkedYaml};

use super::fault;
use crate::config::Fault;

/// A specification, as far as a dialect can say it.
#[derive(Debug, Default)]
pub(super) struct Specification {
    /// Its name.
    pub(super) name: String,
    /// Message types that it knows.
    pub(super) types: BTreeSet<String>,
    /// How message types are written: `ASCII` or `BCD`.
    pub(super) type_encoding: Form,
    /// How the bitmap is written: `BINARY` or `ASCII`.
    pub(super) bitmap: Form,
    /// Fields by their position, the same in all messages.
    pub(super) fields: BTreeMap<u8, Field>,
}

/// A field of the bitmap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// Its name there.
    pub(super) name: String,
    /// How its content is written.
    pub(super) form: Form,
    /// Its length in bytes, or that of its length indicator.
    pub(super) length: u16,
    /// How the length indicator is written, where it has one.
    pub(super) indicator: Option<Form>,
    /// Where it stands.
    pub(super) line: usize,
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    /// Text, a byte a character.
    #[default]
    Ascii,
    /// Text in EBCDIC.
    Ebcdic,
    /// Two digits a byte.
    Bcd,
    /// Bytes as they are.
    Binary,
}

impl Form {
    fn of(name: &str) -> Option<Self> {
        match name {
            "ASCII" => Some(Self::Ascii),
            "EBCDIC" => Some(Self::Ebcdic),
            "BCD" => Some(Self::Bcd),
            "BINARY" => Some(Self::Binary),
            _ => None,
        }
    }
}

/// A node with the way to it.
#[derive(Clone)]
struct Node<'y> {
    yaml: &'y MarkedYaml<'y>,
    path: String,
}

impl<'y> Node<'y> {
    fn line(&self) -> usize {
        self.yaml.span.start.line()
    }

    fn get(&self, key: &str) -> Option<Self> {
        let yaml = self.yaml.data.as_mapping_get(key)?;
        let path =
            if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Some(Self { yaml, path })
    }

    fn text(&self, key: &str, faults: &mut Vec<Fault>) -> Option<String> {
        let text = self.get(key).and_then(|node| node.yaml.data.as_str().map(str::to_owned));
        if text.is_none() {
            faults.push(self.missing(key, "a text"));
        }
        text
    }

    fn number(&self, key: &str, faults: &mut Vec<Fault>) -> Option<i64> {
        let number = self.get(key).and_then(|node| node.yaml.data.as_integer());
        if number.is_none() {
            faults.push(self.missing(key, "a whole number"));
        }
        number
    }

    fn form(&self, key: &str, faults: &mut Vec<Fault>) -> Option<Form> {
        let node = self.get(key);
        let form = node.as_ref().and_then(|node| Form::of(node.yaml.data.as_str()?));
        if form.is_none() {
            faults.push(self.missing(key, "ASCII, EBCDIC, BCD or BINARY"));
        }
        form
    }

    fn list(&self, key: &str, faults: &mut Vec<Fault>) -> Vec<Self> {
        let Some(list) = self.get(key) else {
            faults.push(self.missing(key, "a list"));
            return Vec::new();
        };
        let Some(elements) = list.yaml.data.as_sequence() else {
            faults.push(self.missing(key, "a list"));
            return Vec::new();
        };
        let element = |(at, yaml)| Node { yaml, path: format!("{}[{at}]", list.path) };
        elements.iter().enumerate().map(element).collect()
    }

    fn missing(&self, key: &str, expected: &str) -> Fault {
        let at = self.get(key).map_or_else(|| self.line(), |node| node.line());
        let path =
            if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        fault(at, path, format!("missing or of another type; expected {expected}"))
    }
}

/// Reads `text`.
///
/// # Errors
/// All faults of the text.
pub(super) fn read(text: &str) -> Result<Specification, Vec<Fault>> {
    let documents = MarkedYaml::load_from_str(text).map_err(|error| {
        vec![fault(error.marker().line(), "", format!("not YAML: {}", error.info()))]
    })?;
    let Some(document) = documents.first() else {
        return Err(vec![fault(1, "", "empty; expected a specification")]);
    };
    let root = Node { yaml: document, path: String::new() };
    let mut faults = Vec::new();
    let mut specification = Specification {
        name: root.text("name", &mut faults).unwrap_or_default(),
        ..Specification::default()
    };
    let header = root.list("header_fields", &mut faults);
    if header.len() != 1 {
        let found = format!("{} fields; expected one, the message type", header.len());
        faults.push(fault(root.line(), "header_fields", found));
    }
    for message in root.list("messages", &mut faults) {
        read_message(&message, &mut specification, &mut faults);
    }
    if faults.is_empty() { Ok(specification) } else { Err(faults) }
}

/// Reads one message: its types, and the fields of its bitmap.
fn read_message(message: &Node<'_>, into: &mut Specification, faults: &mut Vec<Fault>) {
    for selector in message.list("selector", faults) {
        match selector.yaml.data.as_str() {
            Some(text) if text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                into.types.insert(text.to_owned());
            }
            _ => faults.push(fault(
                selector.line(),
                &selector.path,
                "no message type; expected four digits in quotes",
            )),
        }
    }
    let fields = message.list("fields", faults);
    let [message_type, bitmap] = fields.as_slice() else {
        let found = format!("{} fields; expected a message type and a bitmap", fields.len());
        faults.push(fault(message.line(), format!("{}.fields", message.path), found));
        return;
    };
    read_type(message_type, into, faults);
    if let Some(form) = bitmap.form("data_encoding", faults) {
        into.bitmap = form;
    }
    if bitmap.text("type", faults).is_some_and(|kind| kind != "Bitmapped") {
        faults.push(fault(bitmap.line(), format!("{}.type", bitmap.path), "expected Bitmapped"));
    }
    for child in bitmap.list("children", faults) {
        if let Some((position, field)) = read_field(&child, faults) {
            let known = into.fields.entry(position).or_insert_with(|| field.clone());
            let agree = (known.form, known.length, known.indicator)
                == (field.form, field.length, field.indicator);
            if !agree {
                let message = format!(
                    "differs from line {}; expected a position to be written alike in all messages",
                    known.line
                );
                faults.push(fault(
                    field.line,
                    format!("{}.position {position}", child.path),
                    message,
                ));
            }
        }
    }
}

/// Reads the field of the message type.
fn read_type(field: &Node<'_>, into: &mut Specification, faults: &mut Vec<Fault>) {
    let form = field.form("data_encoding", faults);
    let length = field.number("len", faults);
    match (form, length) {
        (Some(Form::Ascii), Some(4)) => into.type_encoding = Form::Ascii,
        (Some(Form::Bcd), Some(2)) => into.type_encoding = Form::Bcd,
        (None, _) | (_, None) => {}
        _ => faults.push(fault(
            field.line(),
            &field.path,
            "no message type; expected 4 bytes in ASCII or 2 in BCD",
        )),
    }
}

/// Reads a field of the bitmap, with its position.
fn read_field(node: &Node<'_>, faults: &mut Vec<Fault>) -> Option<(u8, Field)> {
    let name = node.text("name", faults)?;
    let position = node.number("position", faults)?;
    let length = node.number("len", faults)?;
    let form = node.form("data_encoding", faults)?;
    let kind = node.text("type", faults)?;
    let indicator = match kind.as_str() {
        "Fixed" => None,
        "Variable" => Some(node.form("len_encoding", faults)?),
        _ => {
            let found = format!("{} is not known; expected Fixed or Variable", kind.escape_debug());
            faults.push(fault(node.line(), format!("{}.type", node.path), found));
            return None;
        }
    };
    let position = u8::try_from(position).ok().filter(|at| (2..=128).contains(at) && *at != 65);
    let length = u16::try_from(length).ok().filter(|length| (1..=999).contains(length));
    let (Some(position), Some(length)) = (position, length) else {
        faults.push(fault(
            node.line(),
            &node.path,
            "position or len out of range; expected positions 2 to 128 but 65, lengths 1 to 999",
        ));
        return None;
    };
    Some((position, Field { name, form, length, indicator, line: node.line() }))
}

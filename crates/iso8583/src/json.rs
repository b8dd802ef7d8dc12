//! A message as one line of JSON, and back.

use std::fmt::Write as _;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use crate::dialect::Dialect;
use crate::digits::{from_hex, to_hex};
use crate::error::{DecodeError, EncodeError, ErrorKind};
use crate::header::Header;
use crate::mask;
use crate::message::Message;
use crate::mti::Mti;
use crate::tlv;

/// `text` with its quotes.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The message as one line of JSON without a line break: dialect, header where there is one, message
/// type, fields in wire order. Card data is masked unless `clear`.
#[must_use]
pub fn to_json(dialect: &Dialect, message: &Message, clear: bool) -> String {
    let mut line = format!("{{\"dialect\":{}", quoted(dialect.name()));
    if let Some(header) = message.header().filter(|header| !header.layout().is_empty()) {
        let parts = [("tpdu", header.tpdu()), ("caller", header.caller()), ("head", header.head())];
        let parts = parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?)));
        line.push_str(",\"header\":");
        push_object(parts.map(|(name, part)| (name, quoted(&to_hex(part)))), &mut line);
    }
    let _ = write!(line, ",\"mti\":{},\"fields\":", quoted(message.mti().as_str()));
    let fields =
        message.fields().map(|number| (number.to_string(), value(dialect, message, number, clear)));
    push_object(fields, &mut line);
    line.push('}');
    line
}

fn push_object(pairs: impl Iterator<Item = (String, String)>, line: &mut String) {
    line.push('{');
    for (index, (key, value)) in pairs.enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(line, "{comma}{}:{value}", quoted(&key));
    }
    line.push('}');
}

fn value(dialect: &Dialect, message: &Message, number: u8, clear: bool) -> String {
    let Some(spec) = dialect.field(number) else {
        return quoted("");
    };
    if spec.tlv && number == 55 {
        let tags = message.tlv55().map(|one| {
            let (tag, value) = (to_hex(one.tag), to_hex(one.value));
            let value = if clear { value } else { mask::tag(&tag, value) };
            (tag, quoted(&value))
        });
        let mut object = String::new();
        push_object(tags, &mut object);
        return object;
    }
    let text = message.text(number).unwrap_or_default();
    quoted(&if clear { text } else { mask::field(spec, text) })
}

/// The line of a message that does not decode.
#[must_use]
pub fn decode_error_json(error: &DecodeError) -> String {
    error_line(error.field, Some(error.offset), error.kind, &error.message)
}

/// The line of a message that does not encode; it has no offset.
#[must_use]
pub fn encode_error_json(error: &EncodeError) -> String {
    error_line(error.field, None, error.kind, &error.message)
}

fn error_line(field: Option<u8>, offset: Option<usize>, kind: ErrorKind, message: &str) -> String {
    let null = || "null".to_owned();
    format!(
        "{{\"error\":{{\"field\":{},\"offset\":{},\"kind\":{},\"message\":{}}}}}",
        field.map_or_else(null, |field| quoted(&field.to_string())),
        offset.map_or_else(null, |offset| offset.to_string()),
        quoted(kind.name()),
        quoted(message)
    )
}

/// An object's pairs in the order of the text, also where a key stands twice (as tags may).
struct Pairs<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for PairsVisitor<T> {
            type Value = Pairs<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

/// The value of a field: a text, or tags.
enum Input {
    Text(String),
    Tags(Vec<(String, String)>),
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InputVisitor;
        impl<'de> Visitor<'de> for InputVisitor {
            type Value = Input;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text, or an object of tags")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Input, E> {
                Ok(Input::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Input, A::Error> {
                let mut tags = Vec::new();
                while let Some(tag) = map.next_entry()? {
                    tags.push(tag);
                }
                Ok(Input::Tags(tags))
            }
        }
        deserializer.deserialize_any(InputVisitor)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    dialect: Option<String>,
    #[serde(default)]
    header: Option<Pairs<String>>,
    #[serde(deserialize_with = "mti")]
    mti: Mti,
    fields: Pairs<Input>,
}

fn mti<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mti, D::Error> {
    Mti::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The message that a line of [`to_json`] (with `clear`) says.
///
/// # Errors
/// The line is not JSON of that form, is of another dialect, or names a field twice or one that no
/// message has. Whether the dialect can carry the values shows when the message is encoded.
pub fn from_json(dialect: &Dialect, line: &str) -> Result<Message, EncodeError> {
    let fault = |field, kind, message: String| EncodeError { field, kind, message };
    let parsed: Line = serde_json::from_str(line)
        .map_err(|error| fault(None, ErrorKind::Json, error.to_string()))?;
    if let Some(name) = parsed.dialect.filter(|name| name != dialect.name()) {
        let message = format!("a message of dialect {name}, {} expected", dialect.name());
        return Err(fault(None, ErrorKind::Json, message));
    }
    let mut message = Message::new(parsed.mti);
    let header = parsed.header.map(|pairs| pairs.0).unwrap_or_default();
    if let Some(header) = read_header(dialect, &header)
        .map_err(|expected| fault(None, ErrorKind::Header, expected))?
    {
        message.set_header(header);
    }
    for (key, value) in parsed.fields.0 {
        let number = key.parse::<u8>().ok().filter(|number| number.to_string() == key);
        let Some(number) = number.filter(|number| (2..=128).contains(number) && *number != 65)
        else {
            let expected = "a field's number from 2 to 128 expected; 65 is a bitmap".to_owned();
            return Err(fault(number, ErrorKind::Undefined, expected));
        };
        if message.has(number) {
            return Err(fault(Some(number), ErrorKind::Json, "it stands twice".to_owned()));
        }
        match value {
            Input::Text(text) => message.set_text(number, &text),
            Input::Tags(tags) => {
                let bytes =
                    tag_bytes(&tags).map_err(|text| fault(Some(number), ErrorKind::Tlv, text))?;
                message.set_binary(number, &bytes);
            }
        }
    }
    Ok(message)
}

/// The header of a line: exactly the parts that the dialect has.
fn read_header(dialect: &Dialect, pairs: &[(String, String)]) -> Result<Option<Header>, String> {
    let layout = dialect.header();
    let wanted = [
        ("tpdu", if layout.tpdu { 5 } else { 0 }),
        ("caller", usize::from(layout.caller)),
        ("head", if layout.head { 6 } else { 0 }),
    ];
    let mut bytes = Vec::new();
    for (name, length) in wanted.into_iter().filter(|(_, length)| *length > 0) {
        let part =
            pairs.iter().find(|pair| pair.0 == name).and_then(|pair| from_hex(pair.1.as_bytes()));
        let part = part.filter(|part| part.len() == length);
        bytes.extend(part.ok_or_else(|| {
            format!("header.{name}: {length} bytes as hexadecimal text expected")
        })?);
    }
    let known = |name: &str| wanted.iter().any(|part| part.0 == name && part.1 > 0);
    if let Some((name, _)) = pairs.iter().find(|pair| !known(&pair.0)) {
        return Err(format!("header.{name}: not a part of this dialect's header"));
    }
    Ok(Header::read(layout, &bytes).filter(|_| !layout.is_empty()))
}

fn tag_bytes(tags: &[(String, String)]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for (tag, value) in tags {
        let hex = || format!("tag {tag}: hexadecimal text expected");
        let value = from_hex(value.as_bytes()).ok_or_else(hex)?;
        tlv::push(tag, &value, &mut bytes)
            .map_err(|fault| format!("tag {tag}: {}", fault.message))?;
    }
    Ok(bytes)
}

/// The bytes of a hexadecimal line (white space is skipped), without the length header if `framed`.
pub(crate) fn frame_of(dialect: &Dialect, line: &str, framed: bool) -> Result<Bytes, DecodeError> {
    let fault = |offset, kind, message: String| DecodeError {
        field: None,
        offset,
        kind,
        message,
        partial: None,
        unread: Vec::new(),
    };
    let digits: Vec<u8> = line.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = from_hex(&digits).filter(|bytes| !bytes.is_empty()).ok_or_else(|| {
        let bad = digits.iter().position(|byte| !byte.is_ascii_hexdigit());
        let message = match bad {
            Some(_) => "a character that is no hexadecimal digit",
            None if digits.is_empty() => "an empty line",
            None => "an odd number of hexadecimal digits",
        };
        fault(bad.unwrap_or(digits.len()) / 2, ErrorKind::Hex, message.to_owned())
    })?;
    let mut bytes = Bytes::from(bytes);
    if !framed {
        return Ok(bytes);
    }
    let framing = dialect.framing();
    let header = |message: String| fault(0, ErrorKind::Header, message);
    let said = framing.read(&bytes).map_err(|error| header(error.to_string()))?;
    let expected = || format!("a length header of {} bytes expected", framing.header_length());
    let said = said.ok_or_else(|| header(expected()))?;
    let body = bytes.split_off(framing.header_length());
    if said > body.len() {
        let message = format!("the length header says {said} bytes, {} follow it", body.len());
        return Err(header(message));
    }
    if said < body.len() {
        let message = format!("{} bytes after the {said} of the length header", body.len() - said);
        return Err(fault(said, ErrorKind::Trailing, message));
    }
    Ok(body)
}

//! The fields of a dialect file: a table of independent axes, with defaults by content.

use toml::Value;

use super::faults::{Faults, Section, one_of};
use crate::field::{
    Content, Counts, Encoding, FieldSpec, Length, LengthEncoding, Padding, Part, Prefix, Privacy,
    said,
};

/// How a content is written unless its field says otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
    encodings: [(Content, Encoding); 6],
    prefix: LengthEncoding,
}

impl Defaults {
    fn encoding(&self, content: Content) -> Encoding {
        let found = self.encodings.iter().find(|row| row.0 == content);
        found.map_or(Encoding::Ascii, |row| row.1)
    }
}

fn encoding(name: &str) -> Option<Encoding> {
    Encoding::ALL.iter().copied().find(|encoding| encoding.name() == name)
}

fn encodings() -> String {
    one_of(Encoding::ALL.iter().map(|encoding| encoding.name()))
}

fn length_encoding(name: &str) -> Option<LengthEncoding> {
    LengthEncoding::ALL.iter().copied().find(|encoding| encoding.name() == name)
}

fn length_encodings() -> String {
    one_of(LengthEncoding::ALL.iter().map(|encoding| encoding.name()))
}

/// The section `[encoding]`: an encoding by content, and that of length prefixes.
pub(super) fn defaults(section: Option<Section>, faults: &mut Faults) -> Defaults {
    let usual = |content| match content {
        Content::Binary => Encoding::Raw,
        Content::Digits
        | Content::Track
        | Content::Signed
        | Content::Alphanumeric
        | Content::Text => Encoding::Ascii,
    };
    let contents = [
        Content::Digits,
        Content::Track,
        Content::Signed,
        Content::Alphanumeric,
        Content::Text,
        Content::Binary,
    ];
    let mut defaults = Defaults {
        encodings: contents.map(|content| (content, usual(content))),
        prefix: LengthEncoding::Ascii,
    };
    let Some(mut section) = section else { return defaults };
    for row in &mut defaults.encodings {
        let allowed = |name: &str| encoding(name).filter(|encoding| row.0.allows(*encoding));
        let expected = format!("an encoding of {}", row.0.name());
        if let Some(found) = section.text(row.0.name(), &expected, faults, allowed) {
            row.1 = found;
        }
    }
    if let Some(prefix) = section.text("prefix", &length_encodings(), faults, length_encoding) {
        defaults.prefix = prefix;
    }
    section.end(faults);
    defaults
}

/// The section `[fields]`, by number.
pub(super) fn fields(
    section: Option<Section>,
    defaults: Defaults,
    faults: &mut Faults,
) -> Vec<Option<FieldSpec>> {
    let mut fields = vec![None; 129];
    let Some(section) = section else {
        faults.add("fields", "a table of fields by number expected, found nothing");
        return fields;
    };
    for (name, mut field) in section.sections(faults) {
        let number = name.parse::<u8>().ok().filter(|number| (2..=128).contains(number));
        let Some(number) = number.filter(|number| *number != 65 && number.to_string() == name)
        else {
            faults.add(field.path(), "a field's number from 2 to 128 (65 is a bitmap) expected");
            continue;
        };
        let spec = one(number, &mut field, defaults, faults);
        field.end(faults);
        if let Some(place) = fields.get_mut(usize::from(number)) {
            *place = spec;
        }
    }
    fields
}

fn one(
    number: u8,
    section: &mut Section,
    defaults: Defaults,
    faults: &mut Faults,
) -> Option<FieldSpec> {
    let before = faults.0.len();
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let name = section.text("name", "a name", faults, text);
    let contents = one_of(Content::ALL.iter().map(|content| content.name()));
    let by_name = |name: &str| Content::ALL.iter().copied().find(|c| c.name() == name);
    if !section.has("content") {
        section.missing("content", &contents, faults);
    }
    let content = section.text("content", &contents, faults, by_name);
    let own = section.text("encoding", &encodings(), faults, encoding);
    // a content that is not known has been said; its length is read all the same, for its own faults
    let known = content.unwrap_or(Content::Text);
    let written = own.unwrap_or_else(|| defaults.encoding(known));
    let length = length(section, (known, written), defaults, faults);
    let padding = padding(section, faults);
    let tlv = section.flag("tlv", faults).unwrap_or(false);
    let parts = parts(section, faults);
    let privacies = one_of(Privacy::ALL.iter().map(|privacy| privacy.name()));
    let by_name = |name: &str| Privacy::ALL.iter().copied().find(|p| p.name() == name);
    let privacy = section.text("privacy", &privacies, faults, by_name);
    let (content, encoding) = (content?, written);
    if !content.allows(encoding) {
        let message = format!("{} cannot be written in {}", content.name(), encoding.name());
        faults.add(section.key("encoding"), message);
    }
    if tlv && (content != Content::Binary || encoding != Encoding::Raw) {
        faults.add(section.key("tlv"), "only for content \"b\" in encoding \"raw\"");
    }
    let total: u16 = parts.iter().map(|part| u16::from(part.length)).sum();
    let longest = length.map_or(u16::MAX, Length::max);
    if total > longest {
        faults.add(section.key("parts"), format!("{total} digits in a field of {longest}"));
    }
    if faults.0.len() > before {
        return None;
    }
    Some(FieldSpec {
        number,
        name: name.unwrap_or_else(|| format!("field {number}")),
        content,
        encoding,
        length: length?,
        padding,
        tlv,
        parts,
        privacy: privacy.unwrap_or_else(|| usual_privacy(content, encoding)),
    })
}

/// Free text and private bytes may hold anything: unless the file calls them open, they are looked at
/// before they are shown.
const fn usual_privacy(content: Content, encoding: Encoding) -> Privacy {
    match (content, encoding) {
        (Content::Binary, _) => Privacy::Hidden,
        (Content::Track, _) => Privacy::Track,
        _ => Privacy::Free,
    }
}

/// Either `length` (fixed), or `max` with `prefix` (digits of the length prefix, bytes of a binary one) and
/// its form.
fn length(
    section: &mut Section,
    (content, encoding): (Content, Encoding),
    defaults: Defaults,
    faults: &mut Faults,
) -> Option<Length> {
    let fixed = section.number("length", 1..=9999, faults);
    let max = section.number("max", 1..=65_535, faults);
    let digits = section.number("prefix", 1..=6, faults);
    let own = section.text("prefix_encoding", &length_encodings(), faults, length_encoding);
    let counts = one_of(Counts::ALL.iter().map(|counts| counts.name()));
    let counts = section.text("prefix_counts", &counts, faults, |name| {
        Counts::ALL.iter().copied().find(|counts| counts.name() == name)
    });
    match (fixed, max, digits) {
        (Some(length), None, None) => Some(Length::Fixed(length)),
        (None, Some(max), Some(digits)) => {
            let prefix = Prefix {
                digits: u8::try_from(digits).unwrap_or(6),
                encoding: own.unwrap_or(defaults.prefix),
                counts: counts.unwrap_or(Counts::Units),
            };
            let binary = prefix.encoding == LengthEncoding::Binary;
            if binary && digits > 2 {
                faults.add(section.key("prefix"), "a binary prefix has 1 or 2 bytes");
            }
            let said = said(content, encoding, prefix.counts, max.into());
            if said > prefix.largest() {
                let unit = if binary { "bytes" } else { "digits" };
                let message = format!("a prefix of {digits} {unit} cannot say {said}");
                faults.add(section.key("max"), message);
            }
            Some(Length::Variable { prefix, max })
        }
        _ => {
            let message = "either \"length\", or \"prefix\" and \"max\" expected";
            faults.add(section.key("length"), message);
            None
        }
    }
}

fn padding(section: &mut Section, faults: &mut Faults) -> Padding {
    let side = section.text("pad", &one_of(["left", "right"]), faults, |side| match side {
        "left" => Some(true),
        "right" => Some(false),
        _ => None,
    });
    let nibble = section.text("pad_digit", &one_of(["0", "F"]), faults, |digit| match digit {
        "0" => Some(0),
        "F" => Some(0x0F),
        _ => None,
    });
    Padding { left: side.unwrap_or(false), nibble: nibble.unwrap_or(0) }
}

/// `parts = [["type", 2], ["batch", 6]]`
fn parts(section: &mut Section, faults: &mut Faults) -> Vec<Part> {
    let Some(list) = section.list("parts", faults) else { return Vec::new() };
    let one = |value: &Value| {
        let [name, length] = value.as_array()?.as_slice() else { return None };
        let length = u8::try_from(length.as_integer()?).ok().filter(|length| *length > 0)?;
        Some(Part { name: name.as_str()?.to_owned(), length })
    };
    let parts: Option<Vec<Part>> = list.iter().map(one).collect();
    parts.unwrap_or_else(|| {
        faults.add(section.key("parts"), "a list of [\"name\", digits] expected");
        Vec::new()
    })
}

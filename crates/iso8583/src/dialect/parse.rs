//! From the text of a dialect file to a checked dialect, or to all of its faults.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::faults::{DialectError, Faults, Section, one_of};
use super::{
    Dialect, Elements, KindRow, ReversalPolicy, Secondary, fields, identity, kinds, matching,
    meaning, network, shipped,
};
use crate::cause::Cause;
use crate::code::Code;
use crate::digits::from_hex;
use crate::field::{Encoding, FieldSpec};
use crate::framing::Framing;
use crate::header::{Header, HeaderLayout};
use crate::plan::Plan;

/// Why a dialect cannot be had by its name.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is neither a file nor a shipped dialect of that name.
    #[error("no dialect \"{name}\": neither {} nor one of {}", path.display(), shipped::SHIPPED.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// The file that was looked for.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file has faults.
    #[error("{}: {source}", path.display())]
    Faults {
        /// The file.
        path: PathBuf,
        /// All of them.
        source: DialectError,
    },
}

impl Dialect {
    /// The dialect `name` that the TOML `text` describes. With `base = "cup-pos"` it is that shipped
    /// dialect with what the text says otherwise: fields and codes are replaced one by one, `[[kind]]`
    /// as a whole.
    ///
    /// # Errors
    /// All faults of the text at once, each with its key and what was expected.
    pub fn parse(name: &str, text: &str) -> Result<Self, DialectError> {
        let mut faults = Faults::default();
        let dialect = table(text, &mut faults).map(|table| read(name, table, &mut faults));
        match dialect {
            Some(dialect) if faults.0.is_empty() => Ok(dialect),
            _ => Err(DialectError { name: name.to_owned(), faults: faults.0 }),
        }
    }

    /// The dialect of the file `dir/dialects/NAME.toml` if there is one, else the shipped one.
    ///
    /// # Errors
    /// There is neither, or the file cannot be read or has faults.
    pub fn load(name: &str, dir: &Path) -> Result<Self, LoadError> {
        let path = dir.join("dialects").join(format!("{name}.toml"));
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let unknown = || LoadError::Unknown { name: name.to_owned(), path: path.clone() };
        if !plain {
            return Err(unknown());
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(name, &text)
                .map_err(|source| LoadError::Faults { path: path.clone(), source }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Self::shipped(name).ok_or_else(unknown)
            }
            Err(source) => Err(LoadError::Read { path: path.clone(), source }),
        }
    }
}

/// The TOML table, laid over that of its base.
fn table(text: &str, faults: &mut Faults) -> Option<Table> {
    let mut table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            faults.add("", error.to_string().trim().to_owned());
            return None;
        }
    };
    let Some(base) = table.remove("base") else { return Some(table) };
    let Some(under) = base.as_str().and_then(shipped::text) else {
        faults.add("base", format!("{} expected", one_of(shipped::SHIPPED.iter().copied())));
        return None;
    };
    // a shipped dialect may have a base too, which stands before it in the list: this ends
    let mut whole = self::table(under, faults)?;
    overlay(&mut whole, table, 0);
    Some(whole)
}

/// Lays `over` on `under`: sections key by key, one level deep; what stands in them is replaced whole.
fn overlay(under: &mut Table, over: Table, depth: usize) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) if depth == 0 && key != "header" => {
                overlay(below, above, depth + 1);
            }
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

fn read(name: &str, table: Table, faults: &mut Faults) -> Dialect {
    let mut file = Section::new("", table);
    file.text("description", "a text", faults, |_| Some(()));
    let framings = one_of(Framing::ALL.iter().map(|framing| framing.name()));
    if !file.has("framing") {
        file.missing("framing", &framings, faults);
    }
    let framing = file.text("framing", &framings, faults, Framing::from_name);
    let mti = encoding_of(&mut file, "mti", MTI, faults);
    let (bitmap_encoding, secondary) = bitmap(file.section("bitmap", faults), faults);
    let (header, usual_header) = header(file.section("header", faults), faults);
    let defaults = fields::defaults(file.section("encoding", faults), faults);
    let fields = fields::fields(file.section("fields", faults), defaults, faults);
    let elements = identity::elements(file.section("elements", faults), &fields, faults);
    let echoed = file.field_numbers("echoed", faults).unwrap_or_default();
    let kinds = kinds::kinds(file.list("kind", faults), &echoed, faults);
    let (causes, done) = causes(file.section("causes", faults), faults);
    let meanings = meaning::meanings(file.section("codes", faults), faults);
    let reversal = reversal(&mut file, faults);
    let network = network::network(file.section("network", faults), &kinds, faults);
    let matching = matching::match_set(&mut file, &fields, faults);
    let host_rrn = matching::host_rrn(&mut file, matching, &fields, faults);
    file.end(faults);
    known_fields(&fields, &elements, &echoed, (&kinds, &reversal), faults);
    Dialect {
        name: name.to_owned(),
        framing: framing.unwrap_or(Framing::Len2),
        header,
        usual_header,
        mti_encoding: mti.unwrap_or(Encoding::Ascii),
        bitmap_encoding,
        secondary,
        plans: Plan::table(&fields),
        elements,
        positional: identity::positional(&fields),
        partial: identity::partial(&fields),
        fields,
        rows: kinds::places(&kinds),
        kinds,
        causes: by_number(&causes),
        done,
        meanings,
        reversal,
        network,
        matching,
        host_rrn,
    }
}

/// Every field that a list names must be one of the dialect.
fn known_fields(
    fields: &[Option<FieldSpec>],
    elements: &Elements,
    echoed: &[u8],
    (kinds, reversal): (&[KindRow], &ReversalPolicy),
    faults: &mut Faults,
) {
    let mut all = |key: String, numbers: &[u8]| {
        let known = |number: &u8| matches!(fields.get(usize::from(*number)), Some(Some(_)));
        for number in numbers.iter().filter(|number| !known(number)) {
            faults.add(&key, format!("field {number} is not in [fields]"));
        }
    };
    all("echoed".to_owned(), echoed);
    all("reversal_fields".to_owned(), &reversal.fields);
    if reversal.reason.is_some() {
        all("reversal_reason_field".to_owned(), &[reversal.reason_field]);
    }
    if reversal.original_elements {
        let at = elements.original_elements.map_or(90, |element| element.field);
        all("reversal_original_elements".to_owned(), &[at]);
    }
    for (index, row) in kinds.iter().enumerate() {
        all(format!("kind[{index}].required"), &row.required);
        if row.echoed != echoed {
            all(format!("kind[{index}].echoed"), &row.echoed);
        }
    }
}

/// How a message type may be written.
const MTI: &[Encoding] = &[Encoding::Ascii, Encoding::Bcd, Encoding::Ebcdic];
/// How bitmaps may be written.
const BITMAP: &[Encoding] = &[Encoding::Raw, Encoding::Hex, Encoding::EbcdicHex];

/// One of some encodings.
fn encoding_of(
    section: &mut Section,
    key: &str,
    some: &[Encoding],
    faults: &mut Faults,
) -> Option<Encoding> {
    let expected = one_of(some.iter().map(|encoding| encoding.name()));
    section.text(key, &expected, faults, |name| {
        some.iter().copied().find(|encoding| encoding.name() == name)
    })
}

/// `[bitmap]`: `encoding = "raw" | "hex" | "ebcdic-hex"`, `secondary = "never" | "on-bit-1" | "always"`.
fn bitmap(section: Option<Section>, faults: &mut Faults) -> (Encoding, Secondary) {
    let Some(mut section) = section else {
        faults.add("bitmap", "a table expected, found nothing");
        return (Encoding::Raw, Secondary::Never);
    };
    let encoding = encoding_of(&mut section, "encoding", BITMAP, faults);
    let expected = one_of(["never", "on-bit-1", "always"]);
    let secondary = section.text("secondary", &expected, faults, |name| match name {
        "never" => Some(Secondary::Never),
        "on-bit-1" => Some(Secondary::OnBit1),
        "always" => Some(Secondary::Always),
        _ => None,
    });
    section.end(faults);
    (encoding.unwrap_or(Encoding::Raw), secondary.unwrap_or(Secondary::OnBit1))
}

/// `[header]`: the parts that a header has, each with the bytes that we put there ourselves.
fn header(section: Option<Section>, faults: &mut Faults) -> (HeaderLayout, Option<Header>) {
    let Some(mut section) = section else { return (HeaderLayout::default(), None) };
    let mut bytes = Vec::new();
    let mut part = |name: &str, lengths: std::ops::RangeInclusive<usize>, said: &str| {
        let expected = format!("{said} bytes as hexadecimal text");
        let part = section.text(name, &expected, faults, |text| {
            from_hex(text.as_bytes()).filter(|bytes| lengths.contains(&bytes.len()))
        });
        bytes.extend(part.iter().flatten());
        part.map_or(0, |part| part.len())
    };
    let layout = HeaderLayout {
        tpdu: part("tpdu", 5..=5, "5") > 0,
        caller: u8::try_from(part("caller", 1..=48, "1 to 48")).unwrap_or(0),
        head: part("head", 6..=6, "6") > 0,
    };
    section.end(faults);
    (layout, Header::read(layout, &bytes).filter(|_| !layout.is_empty()))
}

/// `[causes]`: a response code for each cause but the issuer's own; and for a reversal and a network
/// management message that is done, where that is not the code of [`Cause::Done`].
fn causes(
    section: Option<Section>,
    faults: &mut Faults,
) -> (Vec<(Cause, Code)>, [Option<Code>; 2]) {
    let mut section = section.unwrap_or_else(|| Section::new("causes", Table::new()));
    let mut causes = Vec::new();
    let expected = "a response code of two to four letters or digits";
    for &cause in Cause::ALL.iter().filter(|cause| **cause != Cause::Issuer) {
        if !section.has(cause.name()) {
            section.missing(cause.name(), expected, faults);
        }
        let code = section.text(cause.name(), expected, faults, |text| Code::new(text).ok());
        causes.extend(code.map(|code| (cause, code)));
    }
    let done = ["reversal-done", "network-done"]
        .map(|name| section.text(name, expected, faults, |text| Code::new(text).ok()));
    section.end(faults);
    (causes, done)
}

/// The codes by the number of their cause; one that has none has that of [`Cause::SystemDown`].
fn by_number(causes: &[(Cause, Code)]) -> [Code; 32] {
    let code = |cause| causes.iter().find(|row| row.0 == cause).map(|row| row.1);
    let down = code(Cause::SystemDown).unwrap_or(Code::SYSTEM_DOWN);
    let number = |at| u8::try_from(at).ok().and_then(Cause::from_number);
    std::array::from_fn(|at| number(at).and_then(code).unwrap_or(down))
}

fn reversal(file: &mut Section, faults: &mut Faults) -> ReversalPolicy {
    let code = |text: &str| Code::new(text).ok();
    let reason = file.text("reversal_reason", "a response code", faults, code);
    let reason_field = file.number("reversal_reason_field", 2..=128, faults);
    let stans = one_of(["own", "original"]);
    let own_stan = file.text("reversal_stan", &stans, faults, |name| match name {
        "own" => Some(true),
        "original" => Some(false),
        _ => None,
    });
    let original_elements = file.flag("reversal_original_elements", faults);
    let fields = file.field_numbers("reversal_fields", faults);
    ReversalPolicy {
        reason,
        reason_field: reason_field.and_then(|field| u8::try_from(field).ok()).unwrap_or(39),
        own_stan: own_stan.unwrap_or(false),
        original_elements: original_elements.unwrap_or(false),
        fields: fields.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let error = Dialect::parse("test", text).expect_err(text);
        let found: Vec<String> = error.faults.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found} does not start with {expected}");
        }
    }

    #[test]
    fn all_faults_are_said_at_once_with_their_keys() {
        check("framing = ", &["TOML parse error at line 1"]);
        check("base = \"no-such\"", &["base: one of \"cup-pos\", \"iso87-ascii\", "]);
        check(
            r#"
            base = "cup-pos"
            framing = "len9"
            colour = "red"
            echoed = [2, 129]
            reversal_fields = [7]
            [header]
            tpdu = "60"
            [bitmap]
            secondary = "sometimes"
            [causes]
            done = "?"
            [codes]
            "00" = { class = "good", en = "", retry = "now" }
            [elements]
            batch = "60.9"
            [fields]
            1 = { content = "b", length = 8 }
            5 = { content = "n" }
            7 = { content = "n", length = 10, encoding = "gbk" }
            9 = { content = "q", prefix = 1, max = 100 }
            12 = { content = "n", length = 6, pad = "up", parts = [["a", 7]] }
            "#,
            &[
                "framing: one of \"len2\", \"ascii4\" expected, found \"len9\"",
                "bitmap.secondary: one of",
                "header.tpdu: 5 bytes as hexadecimal text expected",
                "fields.1: a field's number",
                "fields.12.pad: one of \"left\", \"right\"",
                "fields.12.parts: 7 digits in a field of 6",
                "fields.5.length: either",
                "fields.7.encoding: n cannot be written in gbk",
                "fields.9.content: one of",
                "fields.9.max: a prefix of 1 digits cannot say 100",
                "elements.batch: the dialect has no such field or part",
                "echoed: a list of field numbers from 2 to 128",
                "causes.done: a response code",
                "codes.00.zh: a text expected, found nothing",
                "codes.00.class: one of",
                "codes.00.en: a text",
                "colour: not a key that is known here",
                "reversal_fields: field 7 is not in [fields]",
            ],
        );
    }
}

//! Which message type, processing code, condition and type make which kind of transaction.

use super::Dialect;
use super::faults::{Faults, Section, one_of};
use super::identity::Element;
use super::original::{self, OriginalRule, Side};
use crate::kind::{Kind, OnSilence};
use crate::message::Message;
use crate::mti::Mti;

/// Room for an element's field as text; a longer one is allocated.
const ROOM: usize = 40;

/// One row of `[[kind]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindRow {
    /// The kind.
    pub kind: Kind,
    /// Its message type, as a request and as a first copy.
    pub mti: Mti,
    /// Its processing code (3); the first two digits tell it apart, all six are sent.
    pub processing_code: Option<String>,
    /// Its point-of-service condition (25).
    pub condition: Option<String>,
    /// Its transaction type (60.1).
    pub type_code: Option<String>,
    /// Its network management codes (60.3 or 70); the first is the one that is sent.
    pub network_codes: Vec<String>,
    /// What silence of the issuer asks for.
    pub on_silence: OnSilence,
    /// What it asks of the transaction that it is about (M11); none where it is about no other.
    pub original: Option<OriginalRule>,
    /// On which side of a settlement's totals it counts.
    pub total: Option<Side>,
    /// Whether it needs a card number: in 2, in track 2 (35) or in track 3 (36).
    pub card: bool,
    /// Fields without which it is answered with the code of a format error.
    pub required: Vec<u8>,
    /// Fields of the request that the answer has too.
    pub echoed: Vec<u8>,
}

/// A field that is missing in a request, or not of the form that its kind asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("field {field} is {}", if *missing { "missing" } else { "malformed" })]
pub struct FormatFault {
    /// The data element.
    pub field: u8,
    /// Whether it is missing rather than malformed.
    pub missing: bool,
}

/// Whether an element of the message, if it is there, agrees with the row.
fn agrees(
    dialect: &Dialect,
    message: &Message,
    element: Option<Element>,
    wanted: Option<&str>,
    digits: usize,
) -> bool {
    let (Some(element), Some(wanted)) = (element, wanted) else { return true };
    let wanted = wanted.get(..digits).unwrap_or(wanted);
    let mut room = [0; ROOM];
    let found = dialect.element_bytes(message, element, &mut room);
    found.is_none_or(|found| found.get(..digits).unwrap_or(&found) == wanted.as_bytes())
}

/// What of a message must agree with a row beside its message type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// All that tells kinds apart.
    Whole,
    /// What a reversal repeats of its original: it has a network code (24 in 1993) of its own.
    Original,
}

fn details_agree(
    dialect: &Dialect,
    message: &Message,
    row: &KindRow,
    look: Look,
    condition: bool,
) -> bool {
    let at = dialect.elements();
    let network = || {
        row.network_codes.is_empty()
            || (row.network_codes.iter())
                .any(|code| agrees(dialect, message, at.network_code, Some(code), 9))
    };
    agrees(dialect, message, Some(at.processing_code), row.processing_code.as_deref(), 2)
        && (!condition || agrees(dialect, message, at.condition, row.condition.as_deref(), 9))
        && agrees(dialect, message, at.type_code, row.type_code.as_deref(), 9)
        && (look == Look::Original || network())
}

/// The first of these rows that nothing in the message speaks against. Where no type (60.1) tells kinds apart, a
/// condition (25) that none of them names tells nothing: it is one of the many ways to sell.
fn first<'d>(
    dialect: &'d Dialect,
    message: &Message,
    look: Look,
    of: impl Fn(&KindRow) -> bool,
) -> Option<&'d KindRow> {
    let rows = || dialect.kinds().iter().filter(|row| of(row));
    let found = rows().find(|row| details_agree(dialect, message, row, look, true));
    if found.is_some() || dialect.elements().type_code.is_some() {
        return found;
    }
    let named = |row: &KindRow| {
        let at = dialect.elements().condition;
        row.condition.is_some() && agrees(dialect, message, at, row.condition.as_deref(), 9)
    };
    if rows().any(named) {
        return None;
    }
    rows().find(|row| details_agree(dialect, message, row, look, false))
}

pub(super) fn find<'d>(dialect: &'d Dialect, message: &Message) -> Option<&'d KindRow> {
    let mti = message.mti().first_copy();
    first(dialect, message, Look::Whole, |row| row.mti == mti)
}

pub(super) fn find_original<'d>(dialect: &'d Dialect, reversal: &Message) -> Option<&'d KindRow> {
    let mti = dialect.original_of(reversal).and_then(|original| original.mti);
    let mti = mti.map(Mti::first_copy);
    first(dialect, reversal, Look::Original, |row| {
        row.kind.is_transaction()
            && row.processing_code.is_some()
            && mti.is_none_or(|mti| row.mti == mti)
    })
}

pub(super) fn check(
    dialect: &Dialect,
    row: &KindRow,
    message: &Message,
) -> Result<(), FormatFault> {
    for &field in &row.required {
        if !message.has(field) {
            return Err(FormatFault { field, missing: true });
        }
    }
    if row.card && message.pan().is_none() {
        let given = [2, 35, 36].into_iter().find(|field| message.has(*field));
        return Err(FormatFault { field: given.unwrap_or(2), missing: given.is_none() });
    }
    // positional fields must end where a part ends, and hold the batch where they are asked for
    for spec in dialect.positional.iter().filter_map(|number| dialect.field(*number)) {
        let Some(length) = message.text_len(spec.number) else { continue };
        if !spec.ends_on_part(length) {
            return Err(FormatFault { field: spec.number, missing: false });
        }
    }
    let elements = dialect.elements();
    let mut room = [0; ROOM];
    let batch = elements.batch.filter(|batch| row.required.contains(&batch.field));
    if let Some(batch) = batch
        && dialect.element_bytes(message, batch, &mut room).is_none()
    {
        return Err(FormatFault { field: batch.field, missing: false });
    }
    for element in [elements.terminal, elements.merchant] {
        let blank = |text: &[u8]| match text.first() {
            Some(b'!'..=b'~') => false,
            _ => dialect.element(message, element).is_some_and(|text| text.trim().is_empty()),
        };
        if dialect.element_bytes(message, element, &mut room).is_some_and(|text| blank(&text)) {
            return Err(FormatFault { field: element.field, missing: false });
        }
    }
    Ok(())
}

/// The places of rows by the number of their kind.
pub(super) fn places(rows: &[KindRow]) -> [Option<u8>; 64] {
    let mut places = [None; 64];
    for (place, row) in (0_u8..).zip(rows) {
        if let Some(of_kind) = places.get_mut(usize::from(row.kind.number())) {
            *of_kind = of_kind.or(Some(place));
        }
    }
    places
}

fn digits(text: &str, length: usize) -> Option<String> {
    let good = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| text.to_owned())
}

/// The list `[[kind]]`.
pub(super) fn kinds(
    list: Option<Vec<toml::Value>>,
    usual_echo: &[u8],
    faults: &mut Faults,
) -> Vec<KindRow> {
    let mut rows: Vec<KindRow> = Vec::new();
    for (index, value) in list.unwrap_or_default().into_iter().enumerate() {
        let path = format!("kind[{index}]");
        let toml::Value::Table(table) = value else {
            faults.add(path, "a table expected");
            continue;
        };
        let mut section = Section::new(path, table);
        let row = one(&mut section, usual_echo, faults);
        if let Some(row) = row.as_ref().filter(|row| rows.iter().any(|old| old.kind == row.kind)) {
            faults.add(section.key("kind"), format!("\"{}\" stands twice", row.kind.name()));
        }
        section.end(faults);
        rows.extend(row);
    }
    rows
}

fn one(section: &mut Section, usual_echo: &[u8], faults: &mut Faults) -> Option<KindRow> {
    let names = one_of(Kind::ALL.iter().map(|kind| kind.name()));
    for (key, expected) in [("kind", names.as_str()), ("mti", "a message type of four digits")] {
        if !section.has(key) {
            section.missing(key, expected, faults);
        }
    }
    let kind = section.text("kind", &names, faults, Kind::from_name);
    let mti = section.text("mti", "a request's message type, first copy,", faults, |text| {
        Mti::parse(text).ok().filter(|mti| mti.is_request() && !mti.is_repeat())
    });
    let processing_code =
        section.text("processing_code", "six digits", faults, |text| digits(text, 6));
    let condition = section.text("condition", "two digits", faults, |text| digits(text, 2));
    let type_code = section.text("type_code", "two digits", faults, |text| digits(text, 2));
    let network_codes =
        section.texts("network_code", "three digits, or a list of such", faults, |text| {
            digits(text, 3)
        });
    let due = kind.map_or(OnSilence::Nothing, Kind::on_silence);
    section.text("on_silence", &format!("\"{}\"", due.name()), faults, |name| {
        (name == due.name()).then_some(())
    });
    let original = original::original(section, faults);
    let total = section.text("total", "\"debit\" or \"credit\"", faults, Side::from_name);
    let card = section.flag("card", faults).unwrap_or(false);
    let required = section.field_numbers("required", faults).unwrap_or_default();
    let echoed = section.field_numbers("echoed", faults);
    Some(KindRow {
        kind: kind?,
        mti: mti?,
        processing_code,
        condition,
        type_code,
        network_codes: network_codes.unwrap_or_default(),
        on_silence: due,
        original,
        total,
        card,
        required,
        echoed: echoed.unwrap_or_else(|| usual_echo.to_vec()),
    })
}

//! Where in a message the elements stand that make its identity, and that tell kinds apart.

use std::borrow::Cow;

use super::Dialect;
use super::faults::{Faults, Section};
use crate::field::FieldSpec;
use crate::message::Message;
use crate::mti::Mti;
use crate::value::Stan;
use crate::word;

/// A data element, or a positional part of one: `"41"`, `"60.2"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// The data element's number.
    pub field: u8,
    /// The part's number, counted from 1, if it is a part.
    pub part: Option<u8>,
}

/// The section `[elements]` of a dialect file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elements {
    /// The merchant, 42.
    pub merchant: Element,
    /// The terminal, 41.
    pub terminal: Element,
    /// The trace number, 11.
    pub stan: Element,
    /// The batch number, where there is one: 60.2.
    pub batch: Option<Element>,
    /// The batch of the original, in a reversal: 61.1.
    pub original_batch: Option<Element>,
    /// The trace number of the original: 61.2.
    pub original_stan: Option<Element>,
    /// The date of the original, MMDD: 61.3.
    pub original_date: Option<Element>,
    /// The original's data elements: 90.
    pub original_elements: Option<Element>,
    /// The processing code, 3, of which the first two digits tell the kind.
    pub processing_code: Element,
    /// The point-of-service condition, 25.
    pub condition: Option<Element>,
    /// The transaction type, 60.1.
    pub type_code: Option<Element>,
    /// The network management code, 60.3 or 70.
    pub network_code: Option<Element>,
}

/// What a reversal says about its original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// Its trace number.
    pub stan: Stan,
    /// Its batch number, where the dialect has one.
    pub batch: Option<String>,
    /// Its message type, where 90 tells it.
    pub mti: Option<Mti>,
}

impl FieldSpec {
    /// Where the part `number` (from 1) of a field with positional parts begins and ends.
    #[must_use]
    pub fn part_range(&self, number: u8) -> Option<std::ops::Range<usize>> {
        let index = usize::from(number).checked_sub(1)?;
        let part = self.parts.get(index)?;
        let start = self.parts.iter().take(index).map(|part| usize::from(part.length)).sum();
        Some(start..start + usize::from(part.length))
    }

    /// Whether a value of `length` digits ends where a part ends. A field without parts always does.
    #[must_use]
    pub fn ends_on_part(&self, length: usize) -> bool {
        let mut end = 0;
        self.parts.is_empty()
            || self.parts.iter().any(|part| {
                end += usize::from(part.length);
                end == length
            })
    }
}

impl Dialect {
    /// What the message has at `element`; nothing if the field is absent or ends before the part does.
    #[must_use]
    pub fn element<'m>(&self, message: &'m Message, element: Element) -> Option<Cow<'m, str>> {
        let text = message.text(element.field)?;
        let Some(part) = element.part else { return Some(text) };
        let range = self.field(element.field)?.part_range(part)?;
        match text {
            Cow::Borrowed(text) => text.get(range).map(Cow::Borrowed),
            Cow::Owned(text) => text.get(range).map(|part| Cow::Owned(part.to_owned())),
        }
    }

    /// What [`element`](Self::element) gives, written into `room` where the wire has it otherwise; as with
    /// [`Message::text_in`], nothing is allocated if the field fits there.
    #[must_use]
    pub fn element_in<'b>(
        &self,
        message: &'b Message,
        element: Element,
        room: &'b mut [u8],
    ) -> Option<Cow<'b, str>> {
        match self.element_bytes(message, element, room)? {
            Cow::Borrowed(text) => {
                Some(Cow::Borrowed(std::str::from_utf8(text).unwrap_or_default()))
            }
            Cow::Owned(_) => self.element(message, element),
        }
    }

    /// The bytes of what [`element_in`](Self::element_in) gives, which is quicker where they are all that
    /// is asked for.
    #[must_use]
    #[inline]
    pub fn element_bytes<'b>(
        &self,
        message: &'b Message,
        element: Element,
        room: &'b mut [u8],
    ) -> Option<Cow<'b, [u8]>> {
        let text = message.text_bytes(element.field, room)?;
        let Some(part) = element.part else { return Some(text) };
        match text {
            Cow::Borrowed(text) if text.is_ascii() => {
                let range = self.field(element.field)?.part_range(part)?;
                text.get(range).map(Cow::Borrowed)
            }
            Cow::Borrowed(_) | Cow::Owned(_) => {
                Some(Cow::Owned(self.element(message, element)?.into_owned().into_bytes()))
            }
        }
    }

    /// The number that the message has at `element`; nothing if it is absent, not digits, or more than
    /// eighteen of them. Allocates nothing.
    #[must_use]
    pub fn element_number(&self, message: &Message, element: Element) -> Option<u64> {
        if element.part.is_none() {
            return message.number(element.field);
        }
        let mut room = [0; 64];
        let text = self.element_bytes(message, element, &mut room)?;
        word::number(&text).filter(|_| !text.is_empty())
    }

    /// Whether the terminal says that it takes partial approvals (10): in the part of a field that the
    /// dialect calls "partial approval".
    #[must_use]
    pub fn takes_partial(&self, message: &Message) -> bool {
        let mut room = [0; 64];
        self.partial.iter().any(|element| {
            self.element_bytes(message, *element, &mut room).as_deref() == Some(b"1")
        })
    }

    /// The batch number that a message names, where the dialect has one.
    #[must_use]
    pub fn batch(&self, message: &Message) -> Option<String> {
        self.element(message, self.elements().batch?).map(Cow::into_owned)
    }

    /// The original that a reversal from a terminal names: trace number by 90, else by 11; batch by
    /// 61.1 if 61.2 is the same trace number, else by 60.2. Nothing if there is no trace number.
    #[must_use]
    pub fn original_of(&self, reversal: &Message) -> Option<Original> {
        let elements = self.elements();
        let named = elements.original_elements.and_then(|at| self.element(reversal, at));
        let named = named.as_deref().unwrap_or("");
        let mti = named.get(..4).and_then(|digits| Mti::parse(digits).ok());
        let mti = mti.filter(|mti| mti.class() != 0);
        let in_90 = mti.and_then(|_| Stan::parse(named.get(4..10)?).ok());
        let own = || Stan::parse(&self.element(reversal, elements.stan)?).ok();
        let stan = in_90.or_else(own)?;
        let in_61 = elements.original_stan.and_then(|at| self.element(reversal, at));
        let same = in_61.is_some_and(|digits| Stan::parse(&digits) == Ok(stan));
        let at_61 = elements.original_batch.filter(|_| same);
        let batch = at_61.and_then(|at| self.element(reversal, at)).map(Cow::into_owned);
        Some(Original { stan, batch: batch.or_else(|| self.batch(reversal)), mti })
    }
}

/// The fields that have positional parts.
pub(super) fn positional(fields: &[Option<FieldSpec>]) -> Vec<u8> {
    let fields = fields.iter().flatten().filter(|spec| !spec.parts.is_empty());
    fields.map(|spec| spec.number).collect()
}

/// The parts that say whether a terminal takes partial approvals, the first of each field.
pub(super) fn partial(fields: &[Option<FieldSpec>]) -> Vec<Element> {
    let part = |spec: &FieldSpec| {
        let index = spec.parts.iter().position(|part| part.name == "partial approval")?;
        let part = u8::try_from(index + 1).ok()?;
        Some(Element { field: spec.number, part: Some(part) })
    };
    fields.iter().flatten().filter_map(part).collect()
}

pub(super) fn parse(text: &str) -> Option<Element> {
    let (field, part) = match text.split_once('.') {
        None => (text, None),
        Some((field, part)) => (field, Some(part.parse().ok()?)),
    };
    let field = field.parse().ok().filter(|field| (2..=128).contains(field))?;
    Some(Element { field, part })
}

/// The section `[elements]`; each must be a field, or a part of one, that the dialect has.
pub(super) fn elements(
    section: Option<Section>,
    fields: &[Option<FieldSpec>],
    faults: &mut Faults,
) -> Elements {
    let mut section = section.unwrap_or_else(|| Section::new("elements", toml::Table::new()));
    let mut at = |name: &str, faults: &mut Faults| {
        let expected = "a field or a part of one, like \"41\" or \"60.2\",";
        let element = section.text(name, expected, faults, parse)?;
        let spec = fields.get(usize::from(element.field)).and_then(Option::as_ref);
        let known = spec
            .is_some_and(|spec| element.part.is_none_or(|part| spec.part_range(part).is_some()));
        if !known {
            faults.add(section.key(name), "the dialect has no such field or part");
        }
        Some(element)
    };
    let usual = |field| Element { field, part: None };
    let elements = Elements {
        merchant: at("merchant", faults).unwrap_or_else(|| usual(42)),
        terminal: at("terminal", faults).unwrap_or_else(|| usual(41)),
        stan: at("stan", faults).unwrap_or_else(|| usual(11)),
        batch: at("batch", faults),
        original_batch: at("original_batch", faults),
        original_stan: at("original_stan", faults),
        original_date: at("original_date", faults),
        original_elements: at("original_elements", faults),
        processing_code: at("processing_code", faults).unwrap_or_else(|| usual(3)),
        condition: at("condition", faults),
        type_code: at("type_code", faults),
        network_code: at("network_code", faults),
    };
    section.end(faults);
    elements
}

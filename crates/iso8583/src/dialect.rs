//! A dialect: how one kind of host or terminal writes messages, and what it means by them.

mod faults;
mod fields;
mod identity;
mod kinds;
mod meaning;
mod parse;
mod shipped;

use crate::cause::Cause;
use crate::code::Code;
use crate::field::{Encoding, FieldSpec};
use crate::framing::Framing;
use crate::header::{Header, HeaderLayout};
use crate::kind::Kind;
use crate::message::Message;
use crate::plan::Plan;

pub use faults::{DialectError, Fault as DialectFault};
pub use identity::{Element, Elements, Original};
pub use kinds::{FormatFault, KindRow, OnSilence};
pub use meaning::{Class, Meaning, Retry};
pub use parse::LoadError;
pub use shipped::SHIPPED;

/// Whether and when a second bitmap (fields 65 to 128) follows the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secondary {
    /// Never; bit 1 set is a fault.
    Never,
    /// When bit 1 is set.
    OnBit1,
    /// Always, whatever bit 1 says; it is not set.
    Always,
}

/// How a reversal that the switch itself makes looks in this dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReversalPolicy {
    /// The reason in data element 39, if there is one.
    pub reason: Option<Code>,
    /// Whether it has a trace number (11) of its own rather than the original's.
    pub own_stan: bool,
    /// Whether it carries the original's data elements in 90.
    pub original_elements: bool,
    /// The fields that it carries as the original was forwarded, where the original had them.
    pub fields: Vec<u8>,
}

/// A dialect, read from its file and checked. It never changes: share it in an `Arc`.
#[derive(Debug, Clone)]
pub struct Dialect {
    name: String,
    framing: Framing,
    header: HeaderLayout,
    usual_header: Option<Header>,
    mti_encoding: Encoding,
    bitmap_encoding: Encoding,
    secondary: Secondary,
    /// By number; always 129.
    fields: Vec<Option<FieldSpec>>,
    /// By number - 1, made from `fields`.
    plans: Box<[Plan; 128]>,
    elements: Elements,
    /// The fields with positional parts.
    positional: Vec<u8>,
    /// Where a terminal says that it takes partial approvals.
    partial: Vec<Element>,
    kinds: Vec<KindRow>,
    /// By kind number: the place of its row among `kinds`, if it has one.
    rows: [Option<u8>; 64],
    /// By cause number.
    causes: [Code; 32],
    /// Sorted by code.
    meanings: Vec<(Code, Meaning)>,
    reversal: ReversalPolicy,
}

impl Dialect {
    /// Its name: that of its file without `.toml`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How messages are framed on a connection, unless a listener or an issuer says otherwise.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// The parts of a message's header; empty where messages have none.
    #[must_use]
    pub const fn header(&self) -> HeaderLayout {
        self.header
    }

    /// The header that a message gets which was not given one.
    #[must_use]
    pub const fn usual_header(&self) -> Option<&Header> {
        self.usual_header.as_ref()
    }

    /// How the message type is written: four digits of ASCII or EBCDIC, or packed into two bytes.
    #[must_use]
    pub const fn mti_encoding(&self) -> Encoding {
        self.mti_encoding
    }

    /// How bitmaps are written: as bytes, or as upper-case hexadecimal text in ASCII or EBCDIC.
    #[must_use]
    pub const fn bitmap_encoding(&self) -> Encoding {
        self.bitmap_encoding
    }

    /// Whether and when there is a second bitmap.
    #[must_use]
    pub const fn secondary(&self) -> Secondary {
        self.secondary
    }

    /// The field `number`, if the dialect defines it.
    #[must_use]
    pub fn field(&self, number: u8) -> Option<&FieldSpec> {
        self.fields.get(usize::from(number))?.as_ref()
    }

    /// The short road to the field `number`, if the dialect defines it and it has one.
    #[inline]
    pub(crate) fn plan(&self, number: u8) -> Option<Plan> {
        self.plans.get(usize::from(number.wrapping_sub(1))).copied()
    }

    /// All its fields, by number.
    pub fn fields(&self) -> impl Iterator<Item = &FieldSpec> {
        self.fields.iter().flatten()
    }

    /// Where the elements of an identity, and those that tell kinds apart, stand.
    #[must_use]
    pub const fn elements(&self) -> &Elements {
        &self.elements
    }

    /// All its kinds of message, in the order of the file.
    #[must_use]
    pub fn kinds(&self) -> &[KindRow] {
        &self.kinds
    }

    /// The row of `kind`, by which a request of that kind is made; nothing where the dialect has none.
    #[must_use]
    pub fn row(&self, kind: Kind) -> Option<&KindRow> {
        let place = self.rows.get(usize::from(kind.number()))?;
        self.kinds.get(usize::from((*place)?))
    }

    /// The kind of a request: by message type (a repeat counts as its first copy), processing code,
    /// condition (25), type (60.1) and network code (60.3, or 70). Elements that the message does not
    /// have tell nothing; the first row that nothing speaks against is it.
    #[must_use]
    pub fn kind_of(&self, message: &Message) -> Option<&KindRow> {
        kinds::find(self, message)
    }

    /// The kind of the transaction that a reversal undoes: as [`kind_of`](Self::kind_of), but by the
    /// original's message type where 90 tells it, and by none otherwise.
    #[must_use]
    pub fn original_kind_of(&self, reversal: &Message) -> Option<&KindRow> {
        kinds::find_original(self, reversal)
    }

    /// Whether a request has all that its kind asks for, in the right form.
    ///
    /// # Errors
    /// The first field that is missing or malformed: the request is answered with the code of
    /// [`Cause::Format`].
    pub fn check_request(&self, row: &KindRow, message: &Message) -> Result<(), FormatFault> {
        kinds::check(self, row, message)
    }

    /// The response code (39) by cause. [`Cause::Issuer`] has none of its own and gives that of
    /// [`Cause::SystemDown`].
    #[must_use]
    pub fn code_for(&self, cause: Cause) -> Code {
        self.causes.get(usize::from(cause.number())).copied().unwrap_or(Code::SYSTEM_DOWN)
    }

    /// What a response code means; nothing for one that the dialect does not list.
    #[must_use]
    pub fn meaning(&self, code: Code) -> Option<&Meaning> {
        let at = self.meanings.binary_search_by_key(&code, |row| row.0).ok()?;
        self.meanings.get(at).map(|row| &row.1)
    }

    /// How reversals that the switch makes look.
    #[must_use]
    pub const fn reversal(&self) -> &ReversalPolicy {
        &self.reversal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mti::Mti;

    #[test]
    fn kinds_and_causes_are_found_by_their_numbers() {
        let dialect = Dialect::shipped("cup-pos").expect("shipped");
        for row in dialect.kinds() {
            assert_eq!(dialect.row(row.kind), Some(row));
        }
        let kinds = Kind::ALL.iter().filter(|kind| dialect.row(**kind).is_some());
        assert_eq!(kinds.count(), dialect.kinds().len());
        assert!(Kind::ALL.iter().all(|kind| usize::from(kind.number()) < dialect.rows.len()));
        assert!(Cause::ALL.iter().all(|cause| usize::from(cause.number()) < dialect.causes.len()));
        for (cause, code) in [
            (Cause::Issuer, "96"),
            (Cause::NoAnswer, "98"),
            (Cause::Format, "30"),
            (Cause::WrongMac, "A0"),
            (Cause::Done, "00"),
        ] {
            assert_eq!(dialect.code_for(cause).as_str(), code);
        }
    }

    #[test]
    fn a_terminal_says_whether_it_takes_a_part() {
        let dialect = Dialect::shipped("cup-pos").expect("shipped");
        let mut message = Message::new(Mti::parse("0200").expect("digits"));
        assert!(!dialect.takes_partial(&message));
        for (text, takes) in
            [("2200000700050", false), ("22000007000501", true), ("22000007000500", false)]
        {
            message.set_text(60, text);
            assert_eq!(dialect.takes_partial(&message), takes, "{text}");
        }
    }
}

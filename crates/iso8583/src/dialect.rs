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
use crate::field::FieldSpec;
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
    mti_is_bcd: bool,
    bitmap_is_hex: bool,
    secondary: Secondary,
    /// By number; always 129.
    fields: Vec<Option<FieldSpec>>,
    /// By number - 1, made from `fields`.
    plans: Box<[Plan; 128]>,
    elements: Elements,
    kinds: Vec<KindRow>,
    /// By cause number; nothing for the issuer's own.
    causes: Vec<(Cause, Code)>,
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

    /// Whether the message type is packed into two bytes rather than four ASCII digits.
    #[must_use]
    pub const fn mti_is_bcd(&self) -> bool {
        self.mti_is_bcd
    }

    /// Whether bitmaps are upper-case hexadecimal text rather than bytes.
    #[must_use]
    pub const fn bitmap_is_hex(&self) -> bool {
        self.bitmap_is_hex
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
        self.kinds.iter().find(|row| row.kind == kind)
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
        let code = |cause| self.causes.iter().find(|row| row.0 == cause).map(|row| row.1);
        code(cause).or_else(|| code(Cause::SystemDown)).unwrap_or(Code::SYSTEM_DOWN)
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

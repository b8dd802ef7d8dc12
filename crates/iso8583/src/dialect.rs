//! A dialect: how one kind of host or terminal writes messages, and what it means by them.

mod faults;
mod fields;
mod identity;
mod kinds;
mod matching;
mod meaning;
mod network;
mod original;
mod parse;
mod shipped;

use crate::cause::Cause;
use crate::code::Code;
use crate::field::{Encoding, FieldSpec};
use crate::framing::Framing;
use crate::header::{Header, HeaderLayout};
use crate::kind::Kind;
use crate::message::Message;
use crate::mti::Mti;
use crate::plan::Plan;

pub use faults::{DialectError, Fault as DialectFault};
pub use identity::{Element, Elements, Original};
pub use kinds::{FormatFault, KindRow};
pub use matching::MatchSet;
pub use meaning::{Class, Meaning, Retry};
pub use network::NetworkRequest;
pub use original::{NamedBy, OriginalRule, Side, Takes};
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
    /// The reason, if there is one.
    pub reason: Option<Code>,
    /// Where the reason stands: 39, or 25 in the 1993 version.
    pub reason_field: u8,
    /// Whether it has a trace number (11) of its own rather than the original's.
    pub own_stan: bool,
    /// Whether it carries the original's data elements: in 90, or 56 in the 1993 version.
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
    /// Of a reversal and of network management that is done, where that is not the cause's own.
    done: [Option<Code>; 2],
    /// Sorted by code.
    meanings: Vec<(Code, Meaning)>,
    reversal: ReversalPolicy,
    network: network::NetworkCodes,
    matching: MatchSet,
    host_rrn: Vec<Element>,
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

    /// The response code of a request `mti` that is done: that of [`Cause::Done`], unless reversals or network
    /// management have one of their own.
    #[must_use]
    pub fn done_code(&self, mti: Mti) -> Code {
        let [reversal, network] = self.done;
        let own = match mti.class() {
            4 => reversal,
            8 => network,
            _ => None,
        };
        own.unwrap_or_else(|| self.code_for(Cause::Done))
    }

    /// The version of the standard that its messages are of, as their first digit says: 0 for 1987, 1 for
    /// 1993.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.kinds.first().map_or(0, |row| row.mti.version())
    }

    /// The response code of the 1987 version that says what `code` says in this dialect; one that the dialect does not
    /// list stays as it is. The switch keeps codes in that form.
    #[must_use]
    pub fn to_iso87(&self, code: Code) -> Code {
        self.meaning(code).and_then(|meaning| meaning.iso87.first().copied()).unwrap_or(code)
    }

    /// The response code by which this dialect says `code`, which is one of the 1987 version: that which
    /// stands for it, else the first that stands for [`Code::NOT_HONOURED`].
    #[must_use]
    pub fn from_iso87(&self, code: Code) -> Code {
        if self.version() == 0 {
            return code;
        }
        let own = |code| self.meanings.iter().find(|row| row.1.iso87.contains(&code));
        own(code).or_else(|| own(Code::NOT_HONOURED)).map_or(code, |row| row.0)
    }

    /// What a response code means; nothing for one that the dialect does not list.
    #[must_use]
    pub fn meaning(&self, code: Code) -> Option<&Meaning> {
        let at = self.meanings.binary_search_by_key(&code, |row| row.0).ok()?;
        self.meanings.get(at).map(|row| &row.1)
    }

    /// Class of a response code. A code that the dialect does not list is [`Class::Unknown`].
    #[must_use]
    pub fn class(&self, code: Code) -> Class {
        self.meaning(code).map_or(Class::Unknown, |meaning| meaning.class)
    }

    /// The codes of the 1987 version that are surely refusals when a host of this dialect gives them: none of the codes
    /// that become one of these is of another class.
    #[must_use]
    pub fn refusals(&self) -> Vec<Code> {
        let plain = |row: &(Code, Meaning)| row.1.iso87.first().copied().unwrap_or(row.0);
        let of = |is_final: bool| {
            let rows = self.meanings.iter();
            rows.filter(move |row| (row.1.class == Class::Final) == is_final).map(plain)
        };
        let mut refusals: Vec<Code> =
            of(true).filter(|code| of(false).all(|other| other != *code)).collect();
        refusals.sort_unstable();
        refusals.dedup();
        refusals
    }

    /// The code that a terminal of this dialect is given for `code`, which is one of the 1987 version.
    #[must_use]
    pub fn told(&self, code: Code) -> Code {
        let own = self.from_iso87(code);
        self.meaning(own).and_then(|meaning| meaning.told).unwrap_or(own)
    }

    /// The elements by which a host's answer is matched with its request.
    #[must_use]
    pub const fn matching(&self) -> MatchSet {
        self.matching
    }

    /// Where a host of this dialect wants the reference number (37) that it answered the original with: in reversals, and in
    /// requests that are about an original. Empty where it has none of its own.
    #[must_use]
    pub fn host_rrn(&self) -> &[Element] {
        &self.host_rrn
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
    fn codes_go_from_version_to_version_and_back() {
        let [iso87, iso93] =
            ["iso87-ascii", "iso93-ascii"].map(|name| Dialect::shipped(name).expect("shipped"));
        for (code, _) in &iso87.meanings {
            assert_eq!((iso87.to_iso87(*code), iso87.from_iso87(*code)), (*code, *code));
            let own = iso93.from_iso87(*code);
            let (there, here) = (iso93.meaning(own).expect("listed"), iso87.meaning(*code));
            assert!(there.iso87.contains(code), "{code}");
            let approves = |meaning: &Meaning| match meaning.class {
                Class::Approved => 2,
                Class::Partial => 1,
                Class::Final | Class::Open | Class::Unknown | Class::Own => 0,
            };
            assert_eq!(approves(there), approves(here.expect("listed")), "{code}");
        }
        for (code, meaning) in &iso93.meanings {
            let plain = iso87.meaning(iso93.to_iso87(*code)).expect("listed");
            let approved = matches!(plain.class, Class::Approved | Class::Partial);
            assert_eq!(
                approved,
                matches!(meaning.class, Class::Approved | Class::Partial),
                "{code}"
            );
        }
        let code = |text| Code::new(text).expect("a code");
        for (own, plain) in [("000", "00"), ("116", "51"), ("911", "98"), ("199", "199")] {
            assert_eq!(iso93.to_iso87(code(own)), code(plain));
        }
        for (plain, own) in [("00", "000"), ("98", "911"), ("10", "002"), ("B7", "100")] {
            assert_eq!(iso93.from_iso87(code(plain)), code(own));
        }
        for (mti, done) in [("1420", "400"), ("1804", "800"), ("1220", "000")] {
            assert_eq!(iso93.done_code(Mti::parse(mti).expect("digits")), code(done));
        }
        let reversal = Mti::parse("0400").expect("digits");
        assert_eq!(iso87.done_code(reversal), Code::APPROVED);
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

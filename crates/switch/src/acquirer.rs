//! A terminal's message becomes an event for the engine, or a refusal that needs no engine.

use std::borrow::Cow;

use bytes::Bytes;
use iso8583::{Cause, Dialect, Kind, KindRow, Message, OnSilence};
use store::Opening;
use switch_core::{Asked, Digest, Event, Key, Request, ReversalRequest, TxnId, Wall};

use crate::{
    batches::Verdict,
    blob::{Packer, together},
    config::IssuerSettings,
    counter::{Errand, errand},
    desk::{Desk, seal},
};

/// What a terminal's message asks for.
#[derive(Debug)]
pub(crate) enum Inquiry {
    /// For the engine, with the identity that it is about (an echo has none).
    Event(Event, Option<Key>),
    /// For the engine, once the store was asked again about its batch.
    Look(Event, Key),
    /// For the counter: the switch itself answers.
    Errand(Box<Errand>),
    /// Refused here: it has no identity that the engine could know.
    Refuse(Cause),
    /// A response, or nothing that could be answered: counted and dropped.
    Ignore(&'static str),
}

/// What the switch does with a kind of message.
enum Part {
    Transaction,
    Reversal,
    Echo,
    Counter,
    Unsupported,
}

const fn part(kind: Kind) -> Part {
    match kind {
        Kind::Purchase | Kind::BalanceEnquiry => Part::Transaction,
        Kind::Reversal => Part::Reversal,
        Kind::Echo => Part::Echo,
        Kind::Void
        | Kind::Refund
        | Kind::PreAuthorisation
        | Kind::PreAuthorisationVoid
        | Kind::Completion
        | Kind::CompletionVoid
        | Kind::CompletionAdvice
        | Kind::Instalment
        | Kind::InstalmentVoid
        | Kind::Points
        | Kind::PointsVoid
        | Kind::OfflineSale
        | Kind::Adjustment
        | Kind::Tip
        | Kind::OfflineUpload
        | Kind::OfflineRefund
        | Kind::ScriptResult => Part::Unsupported,
        Kind::SignOn
        | Kind::SignOff
        | Kind::Settlement
        | Kind::BatchUpload
        | Kind::BatchDetail
        | Kind::BatchChip
        | Kind::BatchEnd
        | Kind::Parameters
        | Kind::StatusReport => Part::Counter,
    }
}

/// Why a message cannot even be refused, if so: there is nobody to address an answer to.
pub(crate) fn unanswerable(dialect: &Dialect, message: &Message) -> Option<&'static str> {
    let elements = dialect.elements();
    if !message.mti().is_request() {
        return Some("response");
    }
    let mut room = ROOM;
    let terminal = dialect.element_bytes(message, elements.terminal, &mut room);
    if terminal.is_none_or(|id| id.trim_ascii().is_empty()) {
        return Some("terminal");
    }
    // Network management (08xx) may come without a trace number.
    if message.mti().class() != 8 && message.stan().is_none() {
        return Some("stan");
    }
    None
}

/// What `message`, read at `wall`, asks for.
pub(crate) fn inquire(desk: &Desk, message: &Message, asked: Asked, wall: Wall) -> Inquiry {
    let dialect = &*desk.listener.dialect;
    if let Some(why) = unanswerable(dialect, message) {
        return Inquiry::Ignore(why);
    }
    let Some(row) = dialect.kind_of(message) else {
        return Inquiry::Refuse(Cause::NotSupported);
    };
    if let Err(fault) = dialect.check_request(row, message) {
        tracing::debug!(%fault, kind = row.kind.name(), "malformed request");
        return Inquiry::Refuse(Cause::Format);
    }
    let asker = Asker { desk, dialect, message, wall };
    match part(row.kind) {
        Part::Transaction => asker.transaction(row, asked),
        Part::Reversal => asker.reversal(asked),
        Part::Echo => Inquiry::Event(Event::Echo(asked.ask), None),
        Part::Counter => match errand(desk, message, row) {
            Ok(errand) => Inquiry::Errand(Box::new(errand)),
            Err(cause) => Inquiry::Refuse(cause),
        },
        Part::Unsupported => Inquiry::Refuse(Cause::NotSupported),
    }
}

/// For the text of a field whose wire form is another; all but long ones fit.
const ROOM: [u8; 64] = [0; 64];

/// Merchant (42) and terminal (41) without padding.
struct Whose<'a> {
    merchant: Cow<'a, [u8]>,
    terminal: Cow<'a, [u8]>,
}

struct Asker<'a> {
    desk: &'a Desk,
    dialect: &'a Dialect,
    message: &'a Message,
    wall: Wall,
}

impl Asker<'_> {
    fn transaction(&self, row: &KindRow, asked: Asked) -> Inquiry {
        let amount = match self.amount() {
            Ok(amount) => amount.unwrap_or(0),
            Err(cause) => return Inquiry::Refuse(cause),
        };
        let mut rooms = [ROOM; 2];
        let (Some(whose), Some(stan), Some(batch), Some(currency), Some(pan)) = (
            self.whose(&mut rooms),
            self.stan(),
            self.batch(),
            self.currency(),
            self.message.pan(),
        ) else {
            return Inquiry::Refuse(Cause::Format);
        };
        let terminal_key = self.desk.terminal_key(&whose.merchant, &whose.terminal);
        let key = Key::new(terminal_key, batch, stan, row.kind);
        let mut room = ROOM;
        let expiry = self.message.text_in(14, &mut room);
        let Some(mut card) = seal(&self.desk.keys, &pan, expiry.as_deref(), key) else {
            return Inquiry::Refuse(Cause::SystemDown);
        };
        let directory = &self.desk.directory;
        let issuer = directory.routes.issuer(pan.expose());
        let issuer = issuer.and_then(|name| directory.issuers.get(name)).filter(|issuer| {
            // A host whose dialect has no such kind owns no such transaction.
            issuer.dialect.row(row.kind).is_some()
        });
        let refusal = directory
            .merchants
            .refusal(&whose.merchant, &whose.terminal)
            .or_else(|| issuer.is_none().then_some(Cause::NoRoute));
        let belongs = match refusal {
            None => self.belongs(key, &whose),
            Some(_) => Verdict::Same,
        };
        let refusal =
            refusal.or_else(|| (belongs == Verdict::Differs).then_some(Cause::BatchDiffers));
        let carried = self.carried(row.kind, issuer.map(|issuer| &**issuer));
        // The row outlives the message.
        let [merchant, terminal, sealed, carried] =
            together([&whose.merchant, &whose.terminal, &card.sealed, &carried]);
        card.sealed = sealed;
        let request = Request {
            asked,
            key,
            kind: row.kind,
            digest: self.digest(pan.expose()),
            refusal,
            issuer: issuer.map(|issuer| issuer.name.clone()),
            reversed_on_silence: row.on_silence == OnSilence::Reverse,
            takes_partial: self.dialect.takes_partial(self.message),
            merchant,
            terminal,
            stan,
            amount,
            currency,
            card,
            carried,
        };
        let event = Event::Request(Box::new(request));
        match belongs {
            Verdict::Look => Inquiry::Look(event, key),
            Verdict::Same | Verdict::Differs => Inquiry::Event(event, Some(key)),
        }
    }

    /// Whether a request belongs to its terminal's batch; everything does in a dialect without batches.
    fn belongs(&self, key: Key, whose: &Whose<'_>) -> Verdict {
        if self.dialect.elements().batch.is_none() {
            return Verdict::Same;
        }
        let bytes = |text: &[u8]| Bytes::copy_from_slice(text);
        let opening = || Opening {
            place: self.desk.place(key.terminal(), bytes(&whose.merchant), bytes(&whose.terminal)),
            number: key.batch(),
            at: self.wall,
        };
        self.desk.batches.check(key.terminal(), key.batch(), opening)
    }

    fn reversal(&self, asked: Asked) -> Inquiry {
        let mut rooms = [ROOM; 2];
        let (Some(whose), Some(original)) =
            (self.whose(&mut rooms), self.dialect.original_of(self.message))
        else {
            return Inquiry::Refuse(Cause::Format);
        };
        let Some(row) = self.dialect.original_kind_of(self.message) else {
            return Inquiry::Refuse(Cause::Format);
        };
        let Part::Transaction = part(row.kind) else {
            return Inquiry::Refuse(Cause::OriginalNotFound);
        };
        let amount = match self.amount() {
            Ok(amount) => amount,
            Err(cause) => return Inquiry::Refuse(cause),
        };
        let batch = match (&original.batch, self.dialect.elements().batch) {
            (Some(digits), _) => digits.parse().ok(),
            (None, None) => Some(0),
            (None, Some(_)) => None,
        };
        let Some(batch) = batch else { return Inquiry::Refuse(Cause::Format) };
        let stan = original.stan.number();
        let terminal_key = self.desk.terminal_key(&whose.merchant, &whose.terminal);
        let key = Key::new(terminal_key, batch, stan, row.kind);
        let sealed = self
            .message
            .pan()
            .and_then(|pan| seal(&self.desk.keys, &pan, self.message.text(14).as_deref(), key));
        let rrn = self.message.text(37).and_then(|rrn| rrn.trim().parse().ok());
        let request = ReversalRequest {
            asked,
            key,
            kind: row.kind,
            rrn: rrn.filter(|rrn| (1..TxnId::LIMIT).contains(rrn)).map(TxnId),
            merchant: whose.merchant.into_owned().into(),
            terminal: whose.terminal.into_owned().into(),
            stan,
            amount,
            currency: self.currency().unwrap_or(*b"000"),
            card: sealed.unwrap_or_default(),
            carried: self.carried(row.kind, None),
        };
        Inquiry::Event(Event::Reversal(Box::new(request)), Some(key))
    }

    fn whose<'b>(&'b self, rooms: &'b mut [[u8; 64]; 2]) -> Option<Whose<'b>> {
        let elements = self.dialect.elements();
        let bare = |element, room| {
            let text = match self.dialect.element_bytes(self.message, element, room)? {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii_end()),
                Cow::Owned(text) => Cow::Owned(text.trim_ascii_end().to_vec()),
            };
            (!text.is_empty()).then_some(text)
        };
        let [first, second] = rooms;
        Some(Whose {
            merchant: bare(elements.merchant, first)?,
            terminal: bare(elements.terminal, second)?,
        })
    }

    fn stan(&self) -> Option<u32> {
        let stan = self.dialect.element_number(self.message, self.dialect.elements().stan)?;
        u32::try_from(stan).ok().filter(|stan| *stan <= 999_999)
    }

    /// Zero in a dialect without batches.
    fn batch(&self) -> Option<u32> {
        match self.dialect.elements().batch {
            None => Some(0),
            Some(element) => self.dialect.element_number(self.message, element)?.try_into().ok(),
        }
    }

    /// Amount (4) in minor units, if it is there.
    fn amount(&self) -> Result<Option<i64>, Cause> {
        if !self.message.has(4) {
            return Ok(None);
        }
        let amount = self.message.number(4).and_then(|amount| i64::try_from(amount).ok());
        amount.map(Some).ok_or(Cause::Format)
    }

    /// Currency (49); zeros where the kind has none.
    fn currency(&self) -> Option<[u8; 3]> {
        let mut room = ROOM;
        let Some(text) = self.message.text_bytes(49, &mut room) else { return Some(*b"000") };
        (*text).try_into().ok()
    }

    /// Elements 3, 4, 25, 49, the card's number, and of field 55 what changes with each use of the chip.
    fn digest(&self, card: &str) -> Digest {
        let tag = |wanted: &[u8]| {
            let mut tags = self.message.tlv55();
            tags.find(|tlv| tlv.tag == wanted).map_or(&[][..], |tlv| tlv.value)
        };
        let mut rooms = [ROOM; 4];
        let [a, b, c, d] = &mut rooms;
        let [code, amount, condition, currency] = [(3, a), (4, b), (25, c), (49, d)]
            .map(|(number, room)| self.message.text_bytes(number, room).unwrap_or_default());
        Digest(self.desk.keys.digest(&[
            &code,
            &amount,
            &condition,
            &currency,
            card.as_bytes(),
            tag(&[0x9F, 0x26]),
            tag(&[0x9F, 0x36]),
        ]))
    }

    /// What forwarding fixes and a reversal repeats, of the fields that name no card: 12 and 13 also for every answer to
    /// the terminal.
    fn carried(&self, kind: Kind, issuer: Option<&IssuerSettings>) -> Bytes {
        let at = self.desk.directory.clock.at(self.wall);
        let mut packer = Packer::new();
        packer.put(12, at.time().as_bytes());
        packer.put(13, at.date().as_bytes());
        let Some(issuer) = issuer else { return packer.finish() };
        let has = |number| issuer.dialect.field(number).is_some();
        if let Some(code) = self.processing_code(kind, issuer) {
            packer.put(3, &code);
        }
        if has(7) {
            packer.put(7, at.transmission().as_bytes());
        }
        let acquirer = &self.desk.directory.acquirer;
        if has(32) {
            packer.put(32, acquirer.institution.as_bytes());
        }
        if has(33) {
            packer.put(33, acquirer.forwarding.as_bytes());
        }
        // A host of the same kind as the terminals gets the positional field too.
        let positional = issuer.dialect.elements().type_code.map(|element| element.field);
        for number in [Some(22), Some(23), Some(25), positional].into_iter().flatten() {
            let mut room = ROOM;
            let text = self.message.text_bytes(number, &mut room);
            if let Some(text) = text.filter(|_| has(number)) {
                packer.put(number, &text);
            }
        }
        packer.finish()
    }

    /// The host's own code (first two digits), with the account types that the terminal named.
    fn processing_code(&self, kind: Kind, issuer: &IssuerSettings) -> Option<[u8; 6]> {
        let ours = issuer.dialect.row(kind)?.processing_code.as_deref()?;
        let mut code: [u8; 6] = ours.as_bytes().try_into().ok()?;
        let mut room = ROOM;
        let theirs = self.message.text_bytes(3, &mut room).unwrap_or_default();
        for (to, from) in code.iter_mut().zip(&*theirs).skip(2).take(4) {
            *to = *from;
        }
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use iso8583::Mti;

    use super::*;
    use crate::fixtures::Fixtures;

    type Change = fn(&mut Message);

    /// What a changed sale asks for, in words.
    fn judged(dialect: &str, change: Change) -> String {
        let fixtures = Fixtures::new();
        let desk = fixtures.desk(dialect, &Fixtures::issuer("iso87-ascii"));
        let mut message = Fixtures::sale();
        change(&mut message);
        match Fixtures::ask(&desk, &message) {
            Inquiry::Event(Event::Request(request), Some(_)) => match request.refusal {
                None => format!("{} of {}", request.kind.name(), request.amount),
                Some(cause) => format!("event, {}", cause.name()),
            },
            Inquiry::Event(Event::Reversal(request), Some(_)) => {
                format!("reversal of {} {:?}", request.kind.name(), request.amount)
            }
            Inquiry::Event(Event::Echo(_), None) => "echo".to_owned(),
            Inquiry::Event(event, _) => panic!("{event:?}"),
            Inquiry::Look(..) => "look".to_owned(),
            Inquiry::Errand(_) => "errand".to_owned(),
            Inquiry::Refuse(cause) => cause.name().to_owned(),
            Inquiry::Ignore(why) => format!("ignored, {why}"),
        }
    }

    #[test]
    fn messages_are_checked_in_the_order_of_the_contract() {
        let cases: [(&str, Change); 18] = [
            ("purchase of 12345", |_| {}),
            ("purchase of 12345", |m| m.set_mti(m.mti().repeat())),
            ("balance-enquiry of 0", |m| {
                m.set_text(3, "310000");
                m.set_text(60, "01000007000");
                m.remove(4);
            }),
            ("format", |m| m.remove(4)),
            ("format", |m| m.remove(2)),
            ("format", |m| m.set_text(60, "22000")),
            ("format", |m| m.remove(42)),
            ("not-supported", |m| m.set_text(60, "77000007000")),
            ("not-supported", |m| m.set_mti(Mti::parse("0300").expect("digits"))),
            ("event, unknown-merchant", |m| {
                m.set_text(42, "999999999999999");
                m.set_text(2, "4111111111111111");
            }),
            ("event, unknown-terminal", |m| m.set_text(41, "87654321")),
            ("event, no-route", |m| m.set_text(2, "4111111111111111")),
            ("ignored, response", |m| m.set_mti(m.mti().response())),
            ("ignored, terminal", |m| m.remove(41)),
            ("ignored, stan", |m| m.remove(11)),
            ("reversal of purchase Some(12345)", |m| {
                m.set_mti(Mti::parse("0400").expect("digits"));
                m.set_text(61, "000007000042");
            }),
            ("format", |m| {
                m.set_mti(Mti::parse("0400").expect("digits"));
                m.set_text(60, "77000007000");
            }),
            ("echo", |m| {
                m.set_mti(Mti::parse("0820").expect("digits"));
                m.remove(11);
                m.set_text(60, "00000007301");
            }),
        ];
        for (at, (expected, change)) in cases.into_iter().enumerate() {
            assert_eq!(judged("cup-pos", change), expected, "case {at}");
        }
        let without_60: Change = |m| m.remove(60);
        assert_eq!(judged("iso87-ascii", without_60), "purchase of 12345");
    }

    #[test]
    fn identity_and_content_are_what_the_rules_say() {
        let fixtures = Fixtures::new();
        let desk = fixtures.desk("cup-pos", &Fixtures::issuer("iso87-ascii"));
        let of = |change: Change| {
            let mut message = Fixtures::sale();
            change(&mut message);
            match Fixtures::ask(&desk, &message) {
                Inquiry::Event(Event::Request(request), _)
                | Inquiry::Look(Event::Request(request), _) => (request.key, request.digest),
                other => panic!("{other:?}"),
            }
        };
        let (key, digest) = of(|_| {});
        let others: [(&str, Change, bool, bool); 9] = [
            ("trace number", |m| m.set_text(11, "000043"), false, true),
            ("batch", |m| m.set_text(60, "22000008000"), false, true),
            ("terminal", |m| m.set_text(41, "12345679"), false, true),
            ("amount", |m| m.set_text(4, "000000012346"), true, false),
            ("card", |m| m.set_text(2, "6200000000000005"), true, false),
            ("currency", |m| m.set_text(49, "840"), true, false),
            ("cryptogram", |m| m.set_binary(55, &[0x9F, 0x26, 1, 7]), true, false),
            (
                "PIN and entry mode",
                |m| {
                    m.set_binary(52, &[1; 8]);
                    m.set_text(22, "021");
                },
                true,
                true,
            ),
            (
                "card from the track",
                |m| {
                    m.remove(2);
                    m.set_text(35, "6212345678901232=29121010000000000");
                },
                true,
                true,
            ),
        ];
        for (what, change, same_key, same_digest) in others {
            let (other_key, other_digest) = of(change);
            assert_eq!(
                (other_key == key, other_digest == digest),
                (same_key, same_digest),
                "{what}"
            );
        }
    }

    #[test]
    fn a_reversal_names_its_originals_identity() {
        let fixtures = Fixtures::new();
        let desk = fixtures.desk("cup-pos", &Fixtures::issuer("iso87-ascii"));
        let sale = Fixtures::sale();
        let Inquiry::Event(_, original) = Fixtures::ask(&desk, &sale) else { panic!("an event") };
        let mut reversal = sale;
        reversal.set_mti(Mti::parse("0400").expect("digits"));
        reversal.set_text(60, "22000009000");
        for (field_61, same) in [("000007000042", true), ("000007000041", false)] {
            reversal.set_text(61, field_61);
            let Inquiry::Event(_, named) = Fixtures::ask(&desk, &reversal) else {
                panic!("an event")
            };
            assert_eq!(named == original, same, "{field_61}");
        }
    }
}

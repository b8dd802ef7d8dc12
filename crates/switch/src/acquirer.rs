//! A terminal's message becomes an event for the engine, or a refusal that needs no engine.

mod about;
mod carried;

use std::borrow::Cow;

use bytes::Bytes;
use iso8583::{Cause, Dialect, Kind, KindRow, Message, TlvIter};
use store::Opening;
use switch_core::{Asked, Digest, Event, Key, Request, ReversalRequest, TxnId, Wall};

use crate::{
    batches::Verdict,
    blob::together,
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
    match row.kind {
        kind if kind.is_transaction() => asker.transaction(row, asked),
        Kind::Reversal => asker.reversal(asked),
        Kind::Echo => Inquiry::Event(Event::Echo(asked.ask), None),
        _ => match errand(desk, message, row) {
            Ok(errand) => Inquiry::Errand(Box::new(errand)),
            Err(cause) => Inquiry::Refuse(cause),
        },
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
        let Ok(chip) = self.chip() else { return Inquiry::Refuse(Cause::Format) };
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
        let original = match self.original(row, card.hash, &whose.merchant) {
            Ok(original) => original,
            Err(cause) => return Inquiry::Refuse(cause),
        };
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
        let Ok(carried) = self.carried(row.kind, issuer.map(|issuer| &**issuer), &chip) else {
            return Inquiry::Refuse(Cause::Format);
        };
        // The row outlives the message.
        let [merchant, terminal, sealed, carried] =
            together([&whose.merchant, &whose.terminal, &card.sealed, &carried]);
        card.sealed = sealed;
        let request = Request {
            asked,
            key,
            kind: row.kind,
            digest: self.digest(pan.expose(), &chip),
            refusal,
            issuer: issuer.map(|issuer| issuer.name.clone()),
            original,
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
        if !row.kind.is_transaction() {
            return Inquiry::Refuse(Cause::OriginalNotFound);
        }
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
            settled: self.desk.batches.is_closed(key.terminal(), batch),
            carried: self.times().finish(),
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
        let code: [u8; 3] = (*text).try_into().ok()?;
        code.iter().all(u8::is_ascii_digit).then_some(code)
    }

    /// Chip data (55) as bytes, whatever form the terminal has it in; empty where there is none.
    ///
    /// # Errors
    /// It is text and not hexadecimal: [`Cause::Format`].
    fn chip(&self) -> Result<Cow<'_, [u8]>, Cause> {
        if !self.message.has(55) {
            return Ok(Cow::Borrowed(&[]));
        }
        self.message.chip().ok_or(Cause::Format)
    }

    /// Elements 3, 4, 25, 49, the card's number, and of field 55 what changes with each use of the chip.
    fn digest(&self, card: &str, chip: &[u8]) -> Digest {
        let tag = |wanted: &[u8]| {
            let mut tags = TlvIter::new(chip);
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
}

#[cfg(test)]
mod tests;

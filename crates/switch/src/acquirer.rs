//! A terminal's message becomes an event for the engine, or a refusal that needs no engine.

mod about;
mod carried;

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use iso8583::{Cause, Dialect, Kind, KindRow, Message, Pan, TlvIter};
use store::Opening;
use switch_core::{Asked, Card, Digest, Event, Key, Request, ReversalRequest, TxnId, Wall};

use crate::{
    batches::Verdict,
    blob::{Packer, together},
    config::IssuerSettings,
    counter::{Errand, errand},
    desk::{Desk, seal},
    issuer, version,
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

/// What `message`, read at `wall`, asks for. `unread`, where its frame did not decode: the elements that are missing for that.
pub(crate) fn inquire(
    desk: &Desk,
    message: &Message,
    asked: Asked,
    wall: Wall,
    unread: Option<&[u8]>,
) -> Inquiry {
    let dialect = &*desk.listener.dialect;
    if let Some(why) = unanswerable(dialect, message) {
        return Inquiry::Ignore(why);
    }
    let asker = Asker { desk, dialect, message, wall, unread: unread.unwrap_or_default() };
    if !asker.identity_is_read() {
        return Inquiry::Refuse(Cause::Format);
    }
    let Some(row) = dialect.kind_of(message) else {
        let decoded = unread.is_none();
        return Inquiry::Refuse(if decoded { Cause::NotSupported } else { Cause::Format });
    };
    let fault = dialect.check_request(row, message).err();
    if let Some(fault) = fault {
        tracing::debug!(%fault, kind = row.kind.name(), "malformed request");
    }
    let sound = fault.is_none() && unread.is_none();
    match row.kind {
        kind if kind.is_transaction() => asker.transaction(row, asked, sound),
        // M8: it says nothing of its original, and changes nothing
        _ if !sound => Inquiry::Refuse(Cause::Format),
        Kind::Reversal => asker.reversal(asked),
        Kind::Echo => Inquiry::Event(Event::Echo(asked.ask), None),
        _ => match errand(desk, message, row) {
            Ok(errand) => Inquiry::Errand(Box::new(errand)),
            Err(cause) => Inquiry::Refuse(cause),
        },
    }
}

/// What is carried to `issuer`, the one of its original, of a request that was read at `wall`, with what names the original
/// there: to be appended to what the request carries itself.
///
/// # Errors
/// That host cannot have what the terminal sends: [`Cause::Format`].
pub(crate) fn translate(
    desk: &Desk,
    message: &Message,
    wall: Wall,
    kind: Kind,
    issuer: &IssuerSettings,
    named: &[u8],
) -> Result<Bytes, Cause> {
    let asker = Asker { desk, dialect: &desk.listener.dialect, message, wall, unread: &[] };
    issuer.dialect.row(kind).ok_or(Cause::Format)?;
    let carried = asker.carry(kind, issuer, &asker.chip()?, Packer::more())?.finish_more();
    let more = Bytes::from([&carried[..], named].concat());
    // tried here, since what cannot be written is never sent once it is durable (M5)
    let whole = [&asker.times().finish()[..], &more[..]].concat();
    let probe = issuer::request(issuer, &desk.directory, kind, TxnId(1), message, &whole);
    let written = probe.map(|probe| probe.encode(&issuer.dialect, &mut BytesMut::new()));
    if matches!(written, Some(Ok(_))) { Ok(more) } else { Err(Cause::Format) }
}

/// The number (37) that `message` gives beside what names its original, where that may be a number of its own.
pub(crate) fn number_beside(desk: &Desk, message: &Message, wall: Wall) -> Option<TxnId> {
    let dialect = &*desk.listener.dialect;
    Asker { desk, dialect, message, wall, unread: &[] }.number_beside()
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
    /// Elements that could not be read.
    unread: &'a [u8],
}

/// Elements that a digest is made of, beside the card.
const CONTENT: [u8; 5] = [3, 4, 25, 49, 55];

/// Content of a request, as far as it can be read.
struct Content<'a> {
    amount: i64,
    currency: [u8; 3],
    pan: Option<Pan>,
    chip: Cow<'a, [u8]>,
    card: Card,
    digest: Digest,
    /// Whether all of it could be read.
    whole: bool,
}

impl Asker<'_> {
    /// Whether nothing that makes the identity, or tells kinds apart, is among what could not be read.
    fn identity_is_read(&self) -> bool {
        let elements = self.dialect.elements();
        [
            Some(elements.merchant),
            Some(elements.terminal),
            Some(elements.stan),
            elements.batch,
            Some(elements.processing_code),
            elements.condition,
            elements.type_code,
            elements.network_code,
        ]
        .into_iter()
        .flatten()
        .all(|element| !self.unread.contains(&element.field))
    }

    /// A transaction. One that is not `sound` is refused, unless something stands under its identity (M2).
    fn transaction(&self, row: &KindRow, asked: Asked, sound: bool) -> Inquiry {
        let mut rooms = [ROOM; 2];
        let (Some(whose), Some(stan), Some(batch)) =
            (self.whose(&mut rooms), self.stan(), self.batch())
        else {
            return Inquiry::Refuse(Cause::Format);
        };
        let terminal_key = self.desk.terminal_key(&whose.merchant, &whose.terminal);
        let key = Key::new(terminal_key, batch, stan, row.kind);
        let Some(mut content) = self.content(key) else {
            return Inquiry::Refuse(Cause::SystemDown);
        };
        let issuer = content.pan.as_ref().and_then(|pan| self.owner(pan, row.kind));
        let original = self.original(row, content.card.hash, &whose.merchant);
        // what is about an original goes to the issuer of that, and is translated once it was read
        let translated = match (&row.original, issuer) {
            (None, Some(issuer)) => self.carried(row.kind, issuer, &content.chip),
            (Some(_), _) | (None, None) => Ok(self.times().finish()),
        };
        let sound = sound && content.whole && original.is_ok() && translated.is_ok();
        let no_route = row.original.is_none() && issuer.is_none();
        let refusal = (!sound)
            .then_some(Cause::Format)
            .or_else(|| self.desk.directory.merchants.refusal(&whose.merchant, &whose.terminal))
            .or_else(|| no_route.then_some(Cause::NoRoute));
        let belongs = match refusal {
            None => self.belongs(key, &whose),
            Some(_) => Verdict::Same,
        };
        let refusal =
            refusal.or_else(|| (belongs == Verdict::Differs).then_some(Cause::BatchDiffers));
        // The row outlives the message.
        let carried = translated.unwrap_or_else(|_| self.times().finish());
        let [merchant, terminal, sealed, carried] =
            together([&whose.merchant, &whose.terminal, &content.card.sealed, &carried]);
        content.card.sealed = sealed;
        let request = Request {
            asked,
            key,
            kind: row.kind,
            digest: content.digest,
            refusal,
            issuer: issuer.map(|issuer| issuer.name.clone()),
            original: original.unwrap_or_default(),
            takes_partial: self.dialect.takes_partial(self.message),
            merchant,
            terminal,
            stan,
            amount: content.amount,
            currency: content.currency,
            card: content.card,
            carried,
        };
        let event = Event::Request(Box::new(request));
        match belongs {
            Verdict::Look => Inquiry::Look(event, key),
            Verdict::Same | Verdict::Differs => Inquiry::Event(event, Some(key)),
        }
    }

    /// The issuer that owns a card. A host whose dialect has no such kind owns no such transaction.
    fn owner(&self, pan: &Pan, kind: Kind) -> Option<&IssuerSettings> {
        let directory = &self.desk.directory;
        let name = directory.routes.issuer(pan.expose())?;
        let issuer = directory.issuers.get(name).map(|issuer| &**issuer);
        issuer.filter(|issuer| issuer.dialect.row(kind).is_some())
    }

    /// Nothing where the card cannot be sealed.
    fn content(&self, key: Key) -> Option<Content<'_>> {
        let (amount, currency, pan, chip) =
            (self.amount(), self.currency(), self.message.pan(), self.chip());
        let whole = amount.is_ok()
            && currency.is_some()
            && pan.is_some()
            && chip.is_ok()
            && !self.unread.iter().any(|number| CONTENT.contains(number));
        let chip = chip.unwrap_or_default();
        let mut room = ROOM;
        let expiry = self.message.text_in(14, &mut room);
        let card = match &pan {
            Some(pan) => seal(&self.desk.keys, pan, expiry.as_deref(), key)?,
            None => Card::default(),
        };
        Some(Content {
            amount: amount.ok().flatten().unwrap_or(0),
            currency: currency.unwrap_or(*b"000"),
            digest: self.digest(pan.as_ref().map_or("", |pan| pan.expose()), &chip, whole),
            pan,
            chip,
            card,
            whole,
        })
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
        if self.is_partial_reversal() {
            return Inquiry::Refuse(Cause::AmountDiffers);
        }
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

    /// Whether replacement amounts (95) leave a part of the original: its first twelve digits in the 1987 version.
    fn is_partial_reversal(&self) -> bool {
        let mut room = [0; 64];
        !version::is_1993(self.dialect)
            && self
                .message
                .text_bytes(95, &mut room)
                .is_some_and(|text| text.iter().take(12).any(|byte| matches!(byte, b'1'..=b'9')))
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

    /// Elements 3, 4, 25, 49, the card's number, and of field 55 what changes with each use of the chip. That of content which
    /// could not be read as a `whole` is never that of one which could.
    fn digest(&self, card: &str, chip: &[u8], whole: bool) -> Digest {
        let tag = |wanted: &[u8]| {
            let mut tags = TlvIter::new(chip);
            tags.find(|tlv| tlv.tag == wanted).map_or(&[][..], |tlv| tlv.value)
        };
        let mut rooms = [ROOM; 4];
        let [a, b, c, d] = &mut rooms;
        let [code, amount, condition, currency] = [(3, a), (4, b), (25, c), (49, d)]
            .map(|(number, room)| self.message.text_bytes(number, room).unwrap_or_default());
        let parts = [
            &*code,
            &amount,
            &condition,
            &currency,
            card.as_bytes(),
            tag(&[0x9F, 0x26]),
            tag(&[0x9F, 0x36]),
        ];
        let keys = &self.desk.keys;
        Digest(if whole {
            keys.digest(&parts)
        } else {
            let [a, b, c, d, e, f, g] = parts;
            keys.digest(&[a, b, c, d, e, f, g, b"not whole"])
        })
    }
}

#[cfg(test)]
mod tests;

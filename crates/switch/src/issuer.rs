//! Requests and reversals become an issuer's messages, and its answers become events.

use bytes::{Bytes, BytesMut};
use iso8583::{
    Class, Code, Content, Dialect, Element, FieldSpec, Kind, KindRow, Message, Mti, NetworkRequest,
    Pan, TlvIter, from_gbk,
};
use keystore::CardKeys;
use switch_core::{IssuerAnswer, Matched, NetworkMessage, Row, TxnId, Wall};

use crate::{
    blob::{self, Packer},
    clock,
    config::IssuerSettings,
    desk::{Directory, unseal},
    version,
};

/// What of the terminal's message goes on unchanged, where both dialects have it: PIN data among it, never stored.
const PASSED: [u8; 10] = [4, 14, 26, 35, 36, 41, 42, 49, 52, 53];
/// What was carried: what forwarding fixed, the plan of an instalment (62), what names an original (38, 61, 90, or 56), and of
/// what is repeated the merchant (18, 26, 43).
const CARRIED: [u8; 17] = [3, 7, 12, 13, 18, 22, 23, 25, 26, 32, 33, 38, 43, 56, 61, 62, 90];
/// What of the issuer's answer is kept for the terminal.
const KEPT: [u8; 7] = [15, 32, 38, 44, 54, 55, 63];
/// The host's own reference (37) of an original, among what is carried in a request about it. No field has this number.
const HOST_RRN: u8 = 1;

/// The request that a terminal's message becomes.
pub(crate) fn request(
    issuer: &IssuerSettings,
    directory: &Directory,
    kind: Kind,
    id: TxnId,
    terminal: &Message,
    carried: &[u8],
) -> Option<Message> {
    let dialect = &*issuer.dialect;
    let row = dialect.row(kind)?;
    let mut message = Message::new(row.mti);
    let has = |number| dialect.field(number).is_some();
    let same = row.mti.version() == terminal.mti().version();
    for number in PASSED {
        if has(number) && terminal.has(number) && (same || !version::OWN.contains(&number)) {
            message.copy(number, terminal);
        }
    }
    if terminal.has(2) {
        message.copy(2, terminal);
    } else if let Some(pan) = terminal.pan() {
        message.set_text(2, pan.expose());
    }
    put_carried(dialect, &mut message, carried);
    put_numbers(&mut message, id);
    put_original_rrn(dialect, &mut message, carried);
    for (number, text) in of_merchant(dialect, directory, terminal) {
        message.set_text(number, text);
    }
    if let Some(chip) = terminal.chip() {
        put_chip(dialect, &mut message, &chip);
    }
    if version::is_1993(dialect) {
        version::to_1993(&mut message, carried);
        put_function(dialect, &mut message, row)?;
    }
    Some(message)
}

/// Category (18) and name (43) of the merchant that a message is from, where the host has fields for them.
pub(crate) fn of_merchant<'d>(
    dialect: &Dialect,
    directory: &'d Directory,
    terminal: &Message,
) -> impl Iterator<Item = (u8, &'d str)> {
    let wanted = [18, 43].map(|number| dialect.field(number).is_some());
    let id = if wanted.contains(&true) { terminal.text(42) } else { None };
    let merchant = id.and_then(|id| directory.merchants.get(id.trim_end().as_bytes()));
    let [mcc, name] = [
        merchant.and_then(|known| known.mcc.as_deref()),
        merchant.and_then(|known| known.name.as_deref()),
    ];
    [(18, mcc), (43, name)]
        .into_iter()
        .zip(wanted)
        .filter_map(|((number, text), wanted)| Some((number, text.filter(|_| wanted)?)))
}

/// Chip data (55), which is written as hexadecimal text where the host has it so.
fn put_chip(dialect: &Dialect, message: &mut Message, bytes: &[u8]) {
    if dialect.field(55).is_some() {
        message.set_binary(55, bytes);
    }
}

/// Whether this host can have such chip data; one that has no field for it gets none.
pub(crate) fn takes_chip(issuer: &IssuerSettings, bytes: &[u8]) -> bool {
    let Some(spec) = issuer.dialect.field(55) else { return true };
    if spec.content == Content::Binary {
        spec.length.holds(bytes.len()) && (!spec.tlv || TlvIter::is_sound(bytes))
    } else {
        spec.length.holds(bytes.len() * 2)
    }
}

fn put_carried(dialect: &Dialect, message: &mut Message, carried: &[u8]) {
    let positional = dialect.elements().type_code.map(|element| element.field);
    for (number, value) in blob::fields(carried) {
        let known = CARRIED.contains(&number) || Some(number) == positional;
        if number == 62 {
            put_plan(dialect, message, value);
        } else if let (true, true, Ok(text)) =
            (known, dialect.field(number).is_some(), std::str::from_utf8(value))
        {
            put_text(dialect, message, number, text);
        }
    }
}

/// A plan (62), as bytes or in the host's own characters. Whether those have it was asked before it was kept.
fn put_plan(dialect: &Dialect, message: &mut Message, plan: &[u8]) {
    let Some(spec) = dialect.field(62) else { return };
    if spec.content == Content::Binary {
        message.set_binary(62, plan);
    } else if let Some(text) = from_gbk(plan) {
        message.set_text(62, &text);
    }
}

/// Whether this host can have such a plan.
pub(crate) fn takes_plan(issuer: &IssuerSettings, plan: &[u8]) -> bool {
    let mut probe = Message::new(Mti::ZERO);
    put_plan(&issuer.dialect, &mut probe, plan);
    probe.has(62) && probe.encode(&issuer.dialect, &mut BytesMut::new()).is_ok()
}

/// As bytes, where the host has the field so.
fn put_text(dialect: &Dialect, message: &mut Message, number: u8, text: &str) {
    let binary = dialect.field(number).is_some_and(|spec| spec.content == Content::Binary);
    if binary {
        message.set_binary(number, text.as_bytes());
    } else {
        message.set_text(number, text);
    }
}

fn put_numbers(message: &mut Message, id: TxnId) {
    message.set_number(11, id.stan().into(), 6);
    message.set_number(37, id.0, 12);
}

/// What names a transaction to its issuer in a request that is about it (38, 61, 90), packed to be appended to what is
/// carried.
pub(crate) fn original_named(issuer: &IssuerSettings, row: &Row) -> Bytes {
    let dialect = &*issuer.dialect;
    let mut packer = Packer::more();
    if let Some(code) = blob::field(&row.answer, 38) {
        packer.put(38, code);
    }
    let elements = dialect.elements();
    let batch = elements.batch.and_then(|at| {
        let digits = blob::text(&row.carried, at.field)?;
        digits.get(dialect.field(at.field)?.part_range(at.part?)?)
    });
    if let (Some(at), Some(batch)) = (elements.original_batch, batch) {
        let date = blob::text(&row.carried, 13).unwrap_or("0000");
        packer.put(at.field, format!("{batch}{:06}{date}", row.id.stan()).as_bytes());
    }
    if let (Some(at), Some(kind)) = (elements.original_elements, dialect.row(row.kind)) {
        packer.put(at.field, original_elements(kind.mti, row).as_bytes());
    }
    if !dialect.host_rrn().is_empty()
        && let Some(own) = blob::field(&row.answer, 37)
    {
        packer.put(HOST_RRN, own);
    }
    packer.finish()
}

/// An advice or refund again, from what its row keeps (M12). Nothing where the card does not open or the issuer's dialect
/// has no such kind.
pub(crate) fn advice(
    issuer: &IssuerSettings,
    keys: &CardKeys,
    row: &Row,
    repeat: bool,
) -> Option<Message> {
    let dialect = &*issuer.dialect;
    let kind = dialect.row(row.kind)?;
    let mut message = Message::new(if repeat { kind.mti.repeat() } else { kind.mti });
    put_carried(dialect, &mut message, &row.carried);
    put_row(keys, &mut message, row, kind.required.contains(&4))?;
    put_original_rrn(dialect, &mut message, &row.carried);
    if let Some(chip) = blob::field(&row.carried, 55) {
        put_chip(dialect, &mut message, chip);
    }
    if version::is_1993(dialect) {
        version::to_1993(&mut message, &row.carried);
        put_function(dialect, &mut message, kind)?;
    }
    for number in message.fields() {
        if dialect.field(number).is_none() {
            message.remove(number);
        }
    }
    Some(message)
}

/// Numbers, card, amount, terminal and merchant of a row. Nothing where its card does not open.
fn put_row(keys: &CardKeys, message: &mut Message, row: &Row, with_amount: bool) -> Option<()> {
    put_numbers(message, row.id);
    // M4: without its card the message would name nothing, and what it is answered would mean nothing
    let (pan, expiry) = unseal(keys, &row.card, row.key)?;
    message.set_text(2, pan.expose());
    if let Some(expiry) = expiry {
        message.set_text(14, &expiry);
    }
    if row.amount > 0 || with_amount {
        message.set_text(4, &format!("{:012}", row.amount));
    }
    let ascii = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    message.set_text(41, &ascii(&row.terminal));
    message.set_text(42, &ascii(&row.merchant));
    message.set_text(49, &ascii(&row.currency));
    Some(())
}

/// The reversal of a transaction, from what its row keeps. Nothing where the card cannot be unsealed or the issuer's
/// dialect has no such kind.
pub(crate) fn reversal(
    issuer: &IssuerSettings,
    keys: &CardKeys,
    row: &Row,
    repeat: bool,
) -> Option<Message> {
    let dialect = &*issuer.dialect;
    let policy = dialect.reversal();
    let original = dialect.row(row.kind)?;
    let mti = dialect.row(Kind::Reversal).map_or_else(|| Mti::parse("0400").ok(), |r| Some(r.mti));
    let mti = mti.map(|mti| if repeat { mti.repeat() } else { mti })?;
    let mut message = Message::new(mti);
    put_carried(dialect, &mut message, &row.carried);
    put_row(keys, &mut message, row, original.required.contains(&4))?;
    put_original_batch(dialect, &mut message, row);
    if version::is_1993(dialect) {
        version::to_1993(&mut message, &row.carried);
    }
    for number in message.fields() {
        if !policy.fields.contains(&number) || dialect.field(number).is_none() {
            message.remove(number);
        }
    }
    if let Some(reason) = policy.reason {
        message.set_text(policy.reason_field, reason.as_str());
    }
    if policy.original_elements {
        let at = dialect.elements().original_elements.map_or(90, |element| element.field);
        message.set_text(at, &original_elements(original.mti, row));
    }
    if version::is_1993(dialect)
        && let Some(row) = dialect.row(Kind::Reversal)
    {
        put_function(dialect, &mut message, row)?;
    }
    if policy.own_stan {
        message.set_text(11, &format!("{:06}", own_stan(row.id.stan())));
    }
    put_host_rrn(dialect, &mut message, blob::text(&row.answer, 37));
    Some(message)
}

/// The host's own reference (37) of a transaction, where its answers are matched without ours.
#[must_use]
pub fn host_rrn(row: &Row) -> Option<&str> {
    blob::text(&row.answer, 37)
}

/// The host's own reference as rows keep it, to be looked for.
#[must_use]
pub fn kept_host_rrn(reference: &str) -> Vec<u8> {
    let mut packer = Packer::more();
    packer.put(37, reference.as_bytes());
    packer.finish_more().to_vec()
}

/// In a request about an original, the host's own reference of that, where the host wants to see it.
fn put_original_rrn(dialect: &Dialect, message: &mut Message, carried: &[u8]) {
    if let Some(own) = blob::text(carried, HOST_RRN) {
        put_host_rrn(dialect, message, Some(own));
    }
}

/// The host's own reference where its dialect has it (`host_rrn`). Where it is not known, an element of its own is left out:
/// ours would name nothing there.
fn put_host_rrn(dialect: &Dialect, message: &mut Message, reference: Option<&str>) {
    for element in dialect.host_rrn() {
        let Some(spec) = dialect.field(element.field) else { continue };
        // what the element cannot hold must not keep the message from being sent
        let reference = reference.filter(|own| holds(spec, own));
        match (reference, element.part.and_then(|part| spec.part_range(part))) {
            (Some(own), None) => put_text(dialect, message, element.field, own),
            (Some(own), Some(range)) => {
                let now = message.text(element.field).unwrap_or_default();
                let mut text = format!("{now:0<end$}", end = range.end);
                let width = range.len();
                let digits = format!("{own:0>width$}");
                if digits.len() == width && text.is_char_boundary(range.end) {
                    text.replace_range(range, &digits);
                    message.set_text(element.field, &text);
                }
            }
            (None, None) => message.remove(element.field),
            (None, Some(_)) => {}
        }
    }
}

/// Whether a field can hold this text, or have it in one of its parts.
fn holds(spec: &FieldSpec, text: &str) -> bool {
    let fits = !spec.parts.is_empty() || text.len() <= usize::from(spec.length.max());
    fits && (spec.content != Content::Digits || text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The trace number of a reversal in a dialect that wants its own: the same at each repeat. Of it, it is the
/// original's.
fn own_stan(stan: u32) -> u32 {
    (stan + 500_000) % 1_000_000
}

/// Batch and trace number of the original (61.1, 61.2), where the host's messages are positional.
fn put_original_batch(dialect: &Dialect, message: &mut Message, row: &Row) {
    let elements = dialect.elements();
    if let (Some(at), Some(batch)) = (elements.original_batch, dialect.batch(message)) {
        message.set_text(at.field, &format!("{batch}{:06}", row.id.stan()));
    }
}

/// Original data elements (90): message type 4, trace number 6, date and time 10, institutions 11 each. Those of the
/// 1993 version (56): message type 4, trace number 6, local date and time 12, the acquirer with its length.
fn original_elements(mti: Mti, row: &Row) -> String {
    let carried = |number| blob::text(&row.carried, number).unwrap_or("0");
    if mti.version() == 1 {
        let (time, acquirer) = (version::carried_time(&row.carried), carried(32));
        return format!("{mti}{:06}{time}{:02}{acquirer}", row.id.stan(), acquirer.len());
    }
    format!("{mti}{:06}{:0>10}{:0>11}{:0>11}", row.id.stan(), carried(7), carried(32), carried(33))
}

/// A network management message (0800) with the trace number `stan`.
pub(crate) fn network(
    issuer: &IssuerSettings,
    directory: &Directory,
    what: NetworkMessage,
    stan: u32,
    wall: Wall,
) -> Option<Message> {
    let dialect = &*issuer.dialect;
    let row = dialect.row(match what {
        NetworkMessage::SignOn => Kind::SignOn,
        NetworkMessage::Echo => Kind::Echo,
    })?;
    let mut message = Message::new(row.mti);
    if dialect.field(7).is_some() {
        message.set_text(7, directory.clock.at(wall).transmission());
    }
    message.set_text(11, &format!("{stan:06}"));
    if row.required.contains(&32) {
        message.set_text(32, &directory.acquirer.institution);
    }
    if version::is_1993(dialect) {
        message.set_text(12, &version::local_time(&directory.clock.at(wall)));
    }
    put_function(dialect, &mut message, row)?;
    Some(message)
}

/// The network management code (60.3 or 70), or the function code of the 1993 version (24), of a kind that has one.
fn put_function(dialect: &Dialect, message: &mut Message, row: &KindRow) -> Option<()> {
    match (dialect.elements().network_code, row.network_codes.first()) {
        (Some(element), Some(code)) => put_element(dialect, message, element, code),
        (Some(_) | None, _) => Some(()),
    }
}

/// Sets an element; the parts before a positional one are zeros.
fn put_element(
    dialect: &Dialect,
    message: &mut Message,
    element: Element,
    value: &str,
) -> Option<()> {
    let before = match element.part {
        None => 0,
        Some(part) => dialect.field(element.field)?.part_range(part)?.start,
    };
    message.set_text(element.field, &format!("{:0<before$}{value}", ""));
    Some(())
}

/// What a message of an issuer is.
#[derive(Debug)]
pub(crate) enum FromIssuer {
    /// An answer that names a transaction of ours.
    Answer(Box<IssuerAnswer>),
    /// An answer to a network management message: its trace number, and whether it approves.
    Network(u32, bool),
    /// A network management request of its own.
    Asked(NetworkRequest),
    /// An administrative message (0620) that rejects a request of ours: nobody knows what became of it.
    Rejected(Box<IssuerAnswer>),
    /// Neither; counted and dropped.
    Stray(&'static str),
}

/// Reads a message of an issuer.
pub(crate) fn read(issuer: &IssuerSettings, keys: &CardKeys, message: &Message) -> FromIssuer {
    let mti = message.mti();
    let code = message.code();
    let class = code.map_or(Class::Unknown, |code| issuer.dialect.class(code));
    if mti.is_request() {
        return match mti.class() {
            8 => FromIssuer::Asked(issuer.dialect.network_request(message)),
            6 => match named(issuer, message, false) {
                Ok(matched) => {
                    let code = code.unwrap_or(Code::FORMAT);
                    let answer = answer(issuer, keys, message, (matched, code, Class::Unknown));
                    FromIssuer::Rejected(Box::new(answer))
                }
                Err(why) => FromIssuer::Stray(why),
            },
            _ => FromIssuer::Stray("request"),
        };
    }
    if mti.class() == 8 {
        let Some(stan) = message.stan() else { return FromIssuer::Stray("stan") };
        return FromIssuer::Network(stan.number(), class.approves());
    }
    let matched = match named(issuer, message, mti.class() == 4) {
        Ok(matched) => matched,
        Err(why) => return FromIssuer::Stray(why),
    };
    let Some(code) = code else { return FromIssuer::Stray("code") };
    FromIssuer::Answer(Box::new(answer(issuer, keys, message, (matched, code, class))))
}

/// Which transaction a message of an issuer names, by the match set of its dialect.
///
/// # Errors
/// The element that is missing, or that names nothing of ours.
fn named(
    issuer: &IssuerSettings,
    message: &Message,
    to_reversal: bool,
) -> Result<Matched, &'static str> {
    let set = issuer.dialect.matching();
    let own = to_reversal && issuer.dialect.reversal().own_stan;
    if set.terminal && !message.has(41) {
        return Err("terminal");
    }
    if set.rrn {
        let mut room = [0; 64];
        let rrn = message.text_in(37, &mut room).and_then(|rrn| rrn.trim().parse().ok());
        let id = rrn.filter(|rrn| (1..TxnId::LIMIT).contains(rrn)).map(TxnId).ok_or("rrn")?;
        let stan = if own { own_stan(id.stan()) } else { id.stan() };
        let same = !set.stan || message.stan().is_some_and(|given| given.number() == stan);
        return if same { Ok(Matched::Number(id)) } else { Err("stan") };
    }
    let stan = message.stan().ok_or("stan")?.number();
    let stan = if own { own_stan(stan) } else { stan };
    let mut room = [0; 64];
    let sent = message.text_in(7, &mut room);
    let sent = sent.and_then(|text| clock::transmitted(&text, clock::now().wall));
    if set.sent && sent.is_none() {
        return Err("transmission time");
    }
    Ok(Matched::Trace { stan, sent: sent.filter(|_| set.sent) })
}

/// What an answer says beside what it names.
fn answer(
    issuer: &IssuerSettings,
    keys: &CardKeys,
    message: &Message,
    (matched, code, class): (Matched, Code, Class),
) -> IssuerAnswer {
    let bare = |number| {
        let mut room = [0; 64];
        let text = message.text_bytes(number, &mut room)?;
        Some(Bytes::copy_from_slice(text.trim_ascii_end()))
    };
    IssuerAnswer {
        issuer: issuer.name.clone(),
        matched,
        to_reversal: message.mti().class() == 4,
        code: issuer.dialect.to_iso87(code),
        class,
        amount: message.number(4).and_then(|amount| i64::try_from(amount).ok()),
        currency: message.text_bytes(49, &mut [0; 64]).and_then(|text| (*text).try_into().ok()),
        card_hash: message.text_in(2, &mut [0; 64]).map(|digits| {
            // A number that is none is another one: it contradicts.
            Pan::new(&digits).map_or([0; 16], |pan| keys.hash(&pan))
        }),
        terminal: bare(41),
        matches_terminal: issuer.dialect.matching().terminal,
        merchant: bare(42),
        answer: keep(&issuer.dialect, message),
    }
}

/// What of an answer goes to the terminal. Chip data is kept as bytes, whatever form the host has it in.
fn keep(dialect: &Dialect, message: &Message) -> Bytes {
    let mut packer = Packer::new();
    for number in KEPT {
        if number == 55 {
            if let Some(chip) = message.chip().filter(|chip| !chip.is_empty()) {
                packer.put(55, &chip);
            }
            continue;
        }
        let mut room = [0; 64];
        let text = message.text_bytes(number, &mut room);
        if let Some(text) = text.filter(|text| !text.trim_ascii().is_empty()) {
            // The settlement date has no year in the 1987 version.
            let year = if number == 15 && version::is_1993(dialect) { 2 } else { 0 };
            packer.put(number, text.get(year..).unwrap_or_default());
        }
    }
    // A host whose answers are matched without our 37 has one of its own.
    let mut room = [0; 64];
    if !dialect.matching().rrn
        && let Some(own) = message.text_bytes(37, &mut room)
        && !own.trim_ascii().is_empty()
    {
        packer.put(37, own.trim_ascii());
    }
    packer.finish()
}

#[cfg(test)]
mod tests;

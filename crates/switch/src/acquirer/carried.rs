//! What is kept of a request beside its card: what forwarding fixes, and what reversals and repeats need.

use std::borrow::Cow;

use bytes::Bytes;
use iso8583::{Cause, Content, Dialect, Kind, OnSilence, TlvIter, to_gbk};

use super::{Asker, ROOM};
use crate::{blob::Packer, config::IssuerSettings, issuer, version};

/// Chip data that would tell the card, and is never stored: number, track equivalents, expiry, name.
const CARD_TAGS: [&[u8]; 8] = [
    &[0x57],
    &[0x5A],
    &[0x5F, 0x20],
    &[0x5F, 0x24],
    &[0x9F, 0x1F],
    &[0x9F, 0x20],
    &[0x9F, 0x6B],
    &[0x56],
];

impl Asker<'_> {
    /// Time and date (12, 13) of every answer to the terminal.
    pub(super) fn times(&self) -> Packer {
        let at = self.desk.directory.clock.at(self.wall);
        let mut packer = Packer::new();
        packer.put(12, at.time().as_bytes());
        packer.put(13, at.date().as_bytes());
        packer
    }

    /// What forwarding fixes and a reversal repeats, of the fields that name no card, beside the [`times`](Self::times).
    ///
    /// # Errors
    /// The host cannot have what the terminal sends: [`Cause::Format`].
    pub(super) fn carried(
        &self,
        kind: Kind,
        issuer: &IssuerSettings,
        chip: &[u8],
    ) -> Result<Bytes, Cause> {
        self.carry(kind, issuer, chip, self.times()).map(Packer::finish)
    }

    /// The same, packed behind what a packer has.
    pub(super) fn carry(
        &self,
        kind: Kind,
        issuer: &IssuerSettings,
        chip: &[u8],
        mut packer: Packer,
    ) -> Result<Packer, Cause> {
        let plan = self.plan(kind, issuer)?;
        if !issuer::takes_chip(issuer, chip) {
            return Err(Cause::Format);
        }
        let at = self.desk.directory.clock.at(self.wall);
        let has = |number| issuer.dialect.field(number).is_some();
        if version::is_1993(&issuer.dialect) {
            packer.put(version::YEAR, at.year().as_bytes());
        }
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
        if let Some(plan) = plan {
            packer.put(62, &plan);
        }
        if kind.on_silence() == OnSilence::Deliver {
            self.carry_repeated(issuer, chip, &mut packer);
        }
        // A host of the same kind as the terminals gets their positional field too, another one its own.
        let type_code = |dialect: &Dialect| dialect.elements().type_code;
        let positional = type_code(&issuer.dialect).filter(|_| type_code(self.dialect).is_some());
        if positional.is_none()
            && let Some((number, digits)) = own_positional(&issuer.dialect, kind)
        {
            packer.put(number, digits.as_bytes());
        }
        let positional = positional.map(|element| element.field);
        for number in [Some(22), Some(23), Some(25), positional].into_iter().flatten() {
            let mut room = ROOM;
            let text = self.message.text_bytes(number, &mut room);
            match text.filter(|_| has(number)) {
                Some(text) if number == 22 => {
                    packer.put(22, &self.entry_mode(issuer, &text));
                }
                Some(text) if number == 25 && !version::is_1993(self.dialect) => {
                    packer.put(25, self.condition(kind, issuer, &text));
                }
                Some(text) if number != 25 => packer.put(number, &text),
                Some(_) | None => {}
            }
        }
        if version::is_1993(self.dialect) {
            let own = issuer.dialect.row(kind).and_then(|row| row.condition.as_deref());
            packer.put(25, own.unwrap_or_else(|| version::condition(kind)).as_bytes());
        }
        Ok(packer)
    }

    /// Entry mode (22) in the host's version of the standard, which a reversal repeats: what is kept has no PIN (52) to tell
    /// it by.
    fn entry_mode<'t>(&self, issuer: &IssuerSettings, theirs: &'t [u8]) -> Cow<'t, [u8]> {
        match (version::is_1993(self.dialect), version::is_1993(&issuer.dialect)) {
            (true, false) => Cow::Borrowed(version::entry_mode(theirs).as_bytes()),
            (false, true) => {
                let with_pin = self.message.has(52) && issuer.dialect.field(52).is_some();
                let mode = std::str::from_utf8(theirs).unwrap_or_default();
                Cow::Owned(version::data_code(mode, with_pin).into_bytes())
            }
            (true, true) | (false, false) => Cow::Borrowed(theirs),
        }
    }

    /// The host's own condition (25), where the terminal's is the usual one of the kind; another is passed on.
    fn condition<'t>(&self, kind: Kind, issuer: &'t IssuerSettings, theirs: &'t [u8]) -> &'t [u8] {
        let usual = |dialect: &'t Dialect| dialect.row(kind)?.condition.as_deref();
        let is_usual = self.dialect.row(kind).and_then(|row| row.condition.as_deref());
        match (is_usual.map(str::as_bytes), usual(&issuer.dialect)) {
            (Some(of_kind), Some(ours)) if of_kind == theirs => ours.as_bytes(),
            (Some(_) | None, Some(_) | None) => theirs,
        }
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

    /// The plan of an instalment or the kind of points (62), in GBK where it is text.
    ///
    /// # Errors
    /// The host's field cannot hold it, or it has none: [`Cause::Format`].
    fn plan(&self, kind: Kind, issuer: &IssuerSettings) -> Result<Option<Cow<'_, [u8]>>, Cause> {
        let planned = matches!(
            kind,
            Kind::Instalment | Kind::InstalmentVoid | Kind::Points | Kind::PointsVoid
        );
        if !planned || !self.message.has(62) {
            return Ok(None);
        }
        let as_bytes = self.dialect.field(62).is_some_and(|spec| spec.content == Content::Binary);
        let plan = if as_bytes {
            self.message.binary(62)
        } else {
            let text = self.message.text(62);
            text.and_then(|text| to_gbk(&text).map(|plan| Cow::Owned(plan.into_owned())))
        };
        let plan = plan.filter(|plan| issuer::takes_plan(issuer, plan));
        plan.map(Some).ok_or(Cause::Format)
    }

    /// Of what must be delivered again (M12), what else its first copy has: the merchant's category and name (18, 43), its
    /// business code where both sides are of 1993 (26), and chip data without what tells the card (55).
    fn carry_repeated(&self, issuer: &IssuerSettings, chip: &[u8], packer: &mut Packer) {
        let (host, directory) = (&issuer.dialect, &self.desk.directory);
        for (number, text) in issuer::of_merchant(host, directory, self.message) {
            packer.put(number, text.as_bytes());
        }
        if version::is_1993(self.dialect)
            && version::is_1993(host)
            && let Some(code) = self.message.text(26)
        {
            packer.put(26, code.as_bytes());
        }
        if !chip.is_empty() && TlvIter::is_sound(chip) {
            packer.put(55, &without_card(chip));
        }
    }
}

/// The field in which a host tells kinds apart by their type (60), as its row of this kind has it: type, no batch, network
/// code.
fn own_positional(dialect: &Dialect, kind: Kind) -> Option<(u8, String)> {
    let elements = dialect.elements();
    let field = elements.type_code?.field;
    let (spec, row) = (dialect.field(field)?, dialect.row(kind)?);
    let mut digits = String::new();
    for (element, value) in [
        (elements.type_code, row.type_code.as_ref()),
        (elements.batch, None),
        (elements.network_code, row.network_codes.first()),
    ] {
        let part = element.filter(|element| element.field == field).and_then(|at| at.part);
        let Some(range) = part.and_then(|part| spec.part_range(part)) else { continue };
        while digits.len() < range.end {
            digits.push('0');
        }
        if let Some(value) = value.filter(|value| value.len() == range.len()) {
            digits.replace_range(range, value);
        }
    }
    Some((field, digits))
}

/// Chip data without what tells the card.
fn without_card(chip: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(chip.len());
    for tlv in TlvIter::new(chip).filter(|tlv| !CARD_TAGS.contains(&tlv.tag)) {
        kept.extend_from_slice(tlv.tag);
        match u16::try_from(tlv.value.len()).unwrap_or(u16::MAX).to_be_bytes() {
            [0, short @ 0..=0x7F] => kept.push(short),
            [0, long] => kept.extend_from_slice(&[0x81, long]),
            [high, low] => kept.extend_from_slice(&[0x82, high, low]),
        }
        kept.extend_from_slice(tlv.value);
    }
    kept
}

#[cfg(test)]
mod tests {
    use iso8583::{Cause, Message, Mti, SHIPPED};

    use super::*;

    use crate::{fixtures::Fixtures, issuer};

    const CHIP: [u8; 13] = [0x9F, 0x26, 3, 1, 2, 3, 0x9F, 0x36, 2, 0, 9, 0x95, 0];

    fn sale(dialect: &str) -> Message {
        Fixtures::sale_of(dialect, |message| message.set_binary(55, &CHIP))
    }

    /// The sale, told rather than asked.
    fn offline(dialect: &str) -> Message {
        let mut message = sale(dialect);
        let is_1993 = message.mti().version() == 1;
        message.set_mti(Mti::parse(if is_1993 { "1220" } else { "0220" }).expect("digits"));
        if dialect == "cup-pos" {
            message.set_text(60, "30000007000");
        }
        message
    }

    #[test]
    fn chip_data_reaches_every_host_from_every_terminal_and_is_repeated() {
        let fixtures = Fixtures::new();
        for from in SHIPPED {
            for to in SHIPPED {
                let issuer = Fixtures::issuer(to);
                let (sent, _) = fixtures.passed(from, &sale(from), &issuer).expect("sound");
                assert_eq!(sent.chip().as_deref(), Some(&CHIP[..]), "{from} {to}");
                let (_, row) = fixtures.passed(from, &offline(from), &issuer).expect("sound");
                let again = issuer::advice(&issuer, &fixtures.keys, &row, true).expect("a kind");
                let again = Fixtures::read_by(&issuer, &again);
                assert_eq!(again.chip().as_deref(), Some(&CHIP[..]), "{from} {to}");
            }
        }
    }

    #[test]
    fn a_repeat_of_an_advice_has_what_its_first_copy_had() {
        let fixtures = Fixtures::new();
        for from in SHIPPED {
            for to in SHIPPED {
                let issuer = Fixtures::issuer(to);
                let mut offline = offline(from);
                if from.starts_with("iso93") {
                    offline.set_text(26, "5999");
                }
                let (sent, row) = fixtures.passed(from, &offline, &issuer).expect("sound");
                let again = issuer::advice(&issuer, &fixtures.keys, &row, true).expect("a kind");
                let again = Fixtures::read_by(&issuer, &again);
                let said = |message: &Message| -> Vec<_> {
                    let text = |number| (number, message.text(number).map(String::from));
                    message.fields().map(text).collect()
                };
                assert_eq!(said(&again), said(&sent), "{from} {to}");
                let has = |number| issuer.dialect.field(number).is_none() || sent.has(number);
                assert!(has(18) && has(43), "{from} {to}");
            }
        }
    }

    #[test]
    fn another_cryptogram_or_counter_is_another_content_in_every_dialect() {
        let fixtures = Fixtures::new();
        let issuer = Fixtures::issuer("iso87-ascii");
        for from in SHIPPED {
            let digest = |change: fn(&mut [u8])| {
                let message = Fixtures::sale_of(from, |message| {
                    let mut chip = CHIP;
                    change(&mut chip);
                    message.set_binary(55, &chip);
                });
                fixtures.passed(from, &message, &issuer).expect("sound").1.digest
            };
            let first = digest(|_| {});
            assert_eq!(digest(|_| {}), first, "{from}");
            assert_ne!(digest(|chip| chip[3] = 7), first, "{from}, cryptogram");
            assert_ne!(digest(|chip| chip[10] = 7), first, "{from}, counter");
        }
    }

    #[test]
    fn chip_data_that_no_host_could_read_is_a_format_error() {
        let fixtures = Fixtures::new();
        let long = "9F2681FA".to_owned() + &"00".repeat(250) + "9500" + &"9500".repeat(10);
        for (text, to, expected) in [
            ("9F26", "iso87-ascii", None),
            ("9F26", "iso87-binary", Some(Cause::Format)),
            ("9F26", "cup-pos", Some(Cause::Format)),
            ("9F2601", "iso87-binary", Some(Cause::Format)),
            ("9F260", "iso87-ascii", Some(Cause::Format)),
            ("no hex", "iso87-ascii", Some(Cause::Format)),
            (&long, "iso87-binary", None),
            (&long, "cup-pos", Some(Cause::Format)),
        ] {
            let message = Fixtures::sale_of("iso87-ascii", |message| message.set_text(55, text));
            let found = fixtures.passed("iso87-ascii", &message, &Fixtures::issuer(to)).err();
            assert_eq!(found, expected, "{text} {to}");
        }
    }

    #[test]
    fn a_plan_reaches_the_host_as_it_is_and_in_its_reversal_or_is_a_format_error() {
        let fixtures = Fixtures::new();
        // In GBK: 03, and the first character of "instalment" with a 3.
        let (plain, gbk, neither) = (&b"03"[..], &[0xB7, 0xD6, 0x33][..], &[0x80, 0xFF][..]);
        let long = [b'7'; 600];
        for (from, plan, to, goes) in [
            ("cup-pos", plain, "cup-pos", true),
            ("cup-pos", gbk, "cup-pos", true),
            ("cup-pos", neither, "cup-pos", true),
            ("cup-pos", plain, "iso87-ascii", true),
            ("cup-pos", plain, "iso93-ascii", true),
            ("cup-pos", gbk, "iso87-ascii", false),
            ("cup-pos", gbk, "iso87-ebcdic", false),
            ("cup-pos", neither, "iso87-ascii", false),
            ("iso87-ascii", plain, "cup-pos", true),
            ("iso87-ebcdic", plain, "iso93-ascii", true),
            ("iso87-ascii", &long, "iso87-binary", true),
            ("iso87-ascii", &long, "cup-pos", false),
        ] {
            let issuer = Fixtures::issuer(to);
            let mut message = Fixtures::of_kind(from, Kind::Instalment);
            message.set_binary(62, plan);
            if from != "cup-pos" {
                message.set_text(62, std::str::from_utf8(plan).expect("ASCII"));
            }
            let (sent, row) = match fixtures.passed(from, &message, &issuer) {
                Err(cause) => {
                    assert_eq!((goes, cause), (false, Cause::Format), "{from} {plan:?} {to}");
                    continue;
                }
                Ok(passed) => passed,
            };
            assert!(goes, "{from} {plan:?} {to}");
            let back = issuer::reversal(&issuer, &fixtures.keys, &row, true).expect("a kind");
            for message in [sent, Fixtures::read_by(&issuer, &back)] {
                assert_eq!(message.binary(62).as_deref(), Some(plan), "{from} {to}");
            }
        }
    }

    #[test]
    fn a_host_with_types_is_told_the_kind_by_every_terminal() {
        let fixtures = Fixtures::new();
        let issuer = Fixtures::issuer("cup-pos");
        for from in SHIPPED.iter().filter(|from| **from != "cup-pos") {
            let dialect = Dialect::shipped(from).expect("shipped");
            for row in dialect.kinds().iter().filter(|row| row.kind.is_transaction()) {
                let message = Fixtures::of_kind(from, row.kind);
                let (sent, kept) = fixtures.passed(from, &message, &issuer).expect("sound");
                let name = row.kind.name();
                let host_row = issuer.dialect.kind_of(&sent).map(|row| row.kind);
                assert_eq!(host_row, Some(row.kind), "{from} {name}");
                let back = match row.kind.on_silence() {
                    OnSilence::Deliver => issuer::advice(&issuer, &fixtures.keys, &kept, true),
                    OnSilence::Reverse | OnSilence::Nothing => {
                        issuer::reversal(&issuer, &fixtures.keys, &kept, true)
                    }
                };
                let back = Fixtures::read_by(&issuer, &back.expect("a kind"));
                assert_eq!(back.text(60), sent.text(60), "{from} {name}");
            }
        }
        let types = [(Kind::Tip, "34000000000"), (Kind::ScriptResult, "00000000951")];
        for (kind, digits) in types {
            assert_eq!(own_positional(&issuer.dialect, kind), Some((60, digits.to_owned())));
        }
        let plain = Dialect::shipped("iso87-ascii").expect("shipped");
        assert_eq!(own_positional(&plain, Kind::Tip), None);
    }

    #[test]
    fn what_tells_the_card_is_not_kept_of_chip_data() {
        let value = [7; 300];
        let chip = [
            &[0x5A, 2, 0x62, 0x12, 0x9F, 0x10, 0x82, 1, 44][..],
            &value,
            &[0x57, 1, 9, 0x91, 0x81, 200],
            &value[..200],
        ];
        let kept = [&[0x9F, 0x10, 0x82, 1, 44][..], &value, &[0x91, 0x81, 200], &value[..200]];
        assert_eq!(without_card(&chip.concat()), kept.concat());
    }
}

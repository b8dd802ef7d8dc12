//! What is kept of a request beside its card: what forwarding fixes, and what reversals and repeats need.

use std::borrow::Cow;

use bytes::Bytes;
use iso8583::{Dialect, Kind, OnSilence};

use super::{Asker, ROOM};
use crate::{blob::Packer, config::IssuerSettings, version};

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

/// Longest plan (62) that is kept.
const MOST_PLAN: usize = 512;

impl Asker<'_> {
    /// What forwarding fixes and a reversal repeats, of the fields that name no card: 12 and 13 also for every answer to
    /// the terminal.
    pub(super) fn carried(&self, kind: Kind, issuer: Option<&IssuerSettings>) -> Bytes {
        let at = self.desk.directory.clock.at(self.wall);
        let mut packer = Packer::new();
        packer.put(12, at.time().as_bytes());
        packer.put(13, at.date().as_bytes());
        let Some(issuer) = issuer else { return packer.finish() };
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
        self.carry_more(kind, issuer, &mut packer);
        // A host of the same kind as the terminals gets the positional field too.
        let positional = issuer.dialect.elements().type_code.map(|element| element.field);
        for number in [Some(22), Some(23), Some(25), positional].into_iter().flatten() {
            let mut room = ROOM;
            let text = self.message.text_bytes(number, &mut room);
            match text.filter(|_| has(number)) {
                Some(text) if number == 22 && version::is_1993(self.dialect) => {
                    packer.put(22, version::entry_mode(&text).as_bytes());
                }
                Some(text) if number == 25 && !version::is_1993(self.dialect) => {
                    packer.put(25, self.condition(kind, issuer, &text));
                }
                Some(text) if number != 25 => packer.put(number, &text),
                Some(_) | None => {}
            }
        }
        if version::is_1993(self.dialect) {
            packer.put(25, version::condition(kind).as_bytes());
        }
        packer.finish()
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

    /// What is kept of a request beside what every kind keeps: the plan of an instalment or the kind of points (62), which a
    /// reversal repeats; and of what must be delivered again (M12), chip data without what tells the card.
    fn carry_more(&self, kind: Kind, issuer: &IssuerSettings, packer: &mut Packer) {
        let planned = matches!(
            kind,
            Kind::Instalment | Kind::InstalmentVoid | Kind::Points | Kind::PointsVoid
        );
        if planned && issuer.dialect.field(62).is_some() {
            let plan = self.message.binary(62).or_else(|| {
                self.message.text(62).map(|text| Cow::Owned(text.into_owned().into_bytes()))
            });
            if let Some(plan) = plan.filter(|plan| plan.len() <= MOST_PLAN) {
                packer.put(62, &plan);
            }
        }
        if kind.on_silence() == OnSilence::Deliver && self.message.has(55) {
            let mut chip = Vec::new();
            for tlv in self.message.tlv55().filter(|tlv| !CARD_TAGS.contains(&tlv.tag)) {
                chip.extend_from_slice(tlv.tag);
                if tlv.value.len() > 127 {
                    chip.push(0x81);
                }
                chip.push(u8::try_from(tlv.value.len()).unwrap_or(u8::MAX));
                chip.extend_from_slice(tlv.value);
            }
            packer.put(55, &chip);
        }
    }
}

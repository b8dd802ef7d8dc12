//! The messages that terminals send: templates of requests, filled in for each sale, and reversals.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use bytes::{BufMut, BytesMut};
use iso8583::{Dialect, EncodeError, Framing, Kind, KindRow, Message, Mti, OnSilence};
use jiff::{Timestamp, tz::TimeZone};

use super::cards::{Card, EXPIRY};
use super::mix::Mix;
use super::patch::Places;

/// What differs from one request to the next, as numbers of so many digits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Blanks {
    pub(super) amount: u64,
    pub(super) stan: u64,
    pub(super) terminal: u64,
    pub(super) batch: u64,
    /// Application cryptogram (9F26 of 55), sixteen decimal digits.
    pub(super) cryptogram: u64,
    /// `MMDD` (13, and 7).
    pub(super) date: u64,
    /// `hhmmss` (12, and 7).
    pub(super) time: u64,
}

impl Blanks {
    fn each(self) -> [u64; 7] {
        let Self { amount, stan, terminal, batch, cryptogram, date, time } = self;
        [amount, stan, terminal, batch, cryptogram, date, time]
    }
}

/// Digits of the numbers in [`Blanks`].
const WIDTHS: [u32; 7] = [12, 6, 8, 6, 16, 4, 6];

/// One kind of request with one card, encoded and framed but for the blanks.
#[derive(Debug)]
struct Template {
    frame: Vec<u8>,
    places: [Places; 7],
}

/// Makes requests. Each combination of kind and card is encoded once, when it is first used.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) dialect: std::sync::Arc<Dialect>,
    framing: Framing,
    merchant: String,
    pub(super) currency: String,
    partial: bool,
    /// Two digits: that of the run's start, so that an original is named as it was sent.
    year: i16,
    templates: HashMap<(Kind, usize), Template>,
}

impl Requests {
    pub(super) fn new(dialect: std::sync::Arc<Dialect>, framing: Framing, mix: &Mix) -> Self {
        Self {
            dialect,
            framing,
            merchant: mix.merchant.clone(),
            currency: mix.currency.clone(),
            partial: mix.partial,
            year: Timestamp::now().to_zoned(TimeZone::UTC).year() % 100,
            templates: HashMap::new(),
        }
    }

    /// Writes the framed request of a kind with a card over `frame`.
    pub(super) fn write(
        &mut self,
        (kind, index): (Kind, usize),
        card: &Card,
        blanks: Blanks,
        frame: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if !self.templates.contains_key(&(kind, index)) {
            let template = self.template(kind, card)?;
            self.templates.insert((kind, index), template);
        }
        frame.clear();
        if let Slot::Occupied(slot) = self.templates.entry((kind, index)) {
            let template = slot.get();
            frame.extend_from_slice(&template.frame);
            for (places, number) in template.places.iter().zip(blanks.each()) {
                places.write(number, frame);
            }
        }
        Ok(())
    }

    fn template(&self, kind: Kind, card: &Card) -> Result<Template, EncodeError> {
        let zeros = self.encode(&self.request(kind, card, Blanks::default()))?;
        let mut places: [Places; 7] = std::array::from_fn(|_| Places::default());
        for (blank, (places, width)) in places.iter_mut().zip(WIDTHS).enumerate() {
            let ones = (0..width).fold(0, |number, _| number * 10 + 1);
            let mut blanks = Blanks::default();
            let all = [
                &mut blanks.amount,
                &mut blanks.stan,
                &mut blanks.terminal,
                &mut blanks.batch,
                &mut blanks.cryptogram,
                &mut blanks.date,
                &mut blanks.time,
            ];
            if let Some(number) = all.into_iter().nth(blank) {
                *number = ones;
            }
            *places = Places::find(&zeros, &self.encode(&self.request(kind, card, blanks))?);
        }
        Ok(Template { frame: zeros, places })
    }

    pub(super) fn encode(&self, message: &Message) -> Result<Vec<u8>, EncodeError> {
        let mut body = BytesMut::with_capacity(512);
        message.encode(&self.dialect, &mut body)?;
        let mut frame = BytesMut::with_capacity(body.len() + 4);
        // No request comes near the longest that a length header can say.
        let _short = self.framing.write(body.len(), &mut frame);
        frame.put_slice(&body);
        Ok(frame.to_vec())
    }

    pub(super) fn request(&self, kind: Kind, card: &Card, blanks: Blanks) -> Message {
        let row = self.dialect.row(kind);
        let mut message = Message::new(row.map_or_else(|| mti("0200"), |row| row.mti));
        let processing_code = row.and_then(|row| row.processing_code.as_deref());
        let entry = card.entry;
        let mut set = |number: u8, text: &str| {
            if self.dialect.field(number).is_some() {
                message.set_text(number, text);
            }
        };
        set(2, card.pan.expose());
        if kind != Kind::ScriptResult {
            set(3, processing_code.unwrap_or("000000"));
        }
        if kind.moves_money() {
            set(4, &format!("{:012}", blanks.amount));
        }
        set(14, EXPIRY);
        if self.is_1993() {
            set(22, entry.data_code());
            set(24, row.and_then(|row| row.network_codes.first()).map_or("200", String::as_str));
            set(26, "5411");
        } else {
            set(22, entry.mode());
            set(25, row.and_then(|row| row.condition.as_deref()).unwrap_or("00"));
        }
        if entry.has_track() {
            set(35, &card.track2());
        }
        if entry.has_chip() || kind == Kind::ScriptResult {
            set(23, "001");
            set(55, &self.chip_data(blanks));
        }
        if matches!(kind, Kind::Instalment | Kind::Points) {
            // How many instalments, or which points: hexadecimal where the field is binary.
            set(62, "3036");
        }
        // A notice tells what was done: nobody is there to type a PIN.
        let has_pin = entry.has_pin() && kind.on_silence() != OnSilence::Deliver;
        if has_pin && !self.is_1993() {
            set(26, "06");
            set(53, "2600000000000000");
        }
        self.set_common(&mut message, blanks, row);
        if has_pin && self.dialect.field(52).is_some() {
            message.set_binary(52, &card.pin_block);
        }
        message
    }

    /// Whether messages are of the 1993 version of the standard.
    fn is_1993(&self) -> bool {
        self.dialect.version() == 1
    }

    /// Fields that requests and reversals share.
    pub(super) fn set_common(&self, message: &mut Message, blanks: Blanks, row: Option<&KindRow>) {
        message.set_text(11, &format!("{:06}", blanks.stan));
        message.set_text(41, &format!("{:08}", blanks.terminal));
        message.set_text(42, &format!("{:<15}", self.merchant));
        message.set_text(49, &self.currency);
        if self.dialect.elements().batch.is_some() {
            let type_code = row.and_then(|row| row.type_code.as_deref()).unwrap_or("00");
            let network = row.and_then(|row| row.network_codes.first());
            let network = network.map_or("000", String::as_str);
            let partial = if self.partial { "1" } else { "" };
            message.set_text(60, &format!("{type_code}{:06}{network}60{partial}", blanks.batch));
        } else {
            let Blanks { date, time, .. } = blanks;
            message.set_text(7, &format!("{date:04}{time:06}"));
            if self.is_1993() {
                message.set_text(12, &self.local_time(blanks));
            } else {
                message.set_text(12, &format!("{time:06}"));
                message.set_text(13, &format!("{date:04}"));
            }
        }
    }

    /// Chip data (55), as hexadecimal text.
    fn chip_data(&self, blanks: Blanks) -> String {
        let Blanks { amount, stan, cryptogram, .. } = blanks;
        let currency = &self.currency;
        format!(
            "9F2608{cryptogram:016}9F2701809F101307010103A0A802010A010000000000ABCDEF019F37041A2B3C4D\
             9F3602001A950500800460009A032611239C01009F0206{amount:012}5F2A020{currency}82027C00\
             9F1A0201569F03060000000000009F3303E0F1C89F34034203009F3501229F1E083132333435363738\
             8408A0000003330101019F090200209F410400{stan:06}"
        )
    }

    /// The framed reversal of a request, for a reason (39).
    pub(super) fn reversal(
        &self,
        kind: Kind,
        card: &Card,
        blanks: Blanks,
        reason: &str,
    ) -> Result<Vec<u8>, EncodeError> {
        let row = self.dialect.row(kind);
        let later = self.is_1993();
        let mut message = Message::new(mti(if later { "1420" } else { "0400" }));
        message.set_text(2, card.pan.expose());
        let processing_code = row.and_then(|row| row.processing_code.as_deref());
        message.set_text(3, processing_code.unwrap_or("000000"));
        message.set_text(4, &format!("{:012}", blanks.amount));
        message.set_text(14, EXPIRY);
        if card.entry.has_chip() {
            message.set_text(23, "001");
        }
        if later {
            message.set_text(22, card.entry.data_code());
            message.set_text(24, "400");
            // Time-out waiting for the answer; the terminal's failure to finish.
            message.set_text(25, if reason == "98" { "4021" } else { "4007" });
        } else {
            message.set_text(22, card.entry.mode());
            message.set_text(25, row.and_then(|row| row.condition.as_deref()).unwrap_or("00"));
            message.set_text(39, reason);
        }
        self.set_common(&mut message, blanks, row);
        if self.dialect.elements().original_stan.is_some() {
            message.set_text(61, &format!("{:06}{:06}", blanks.batch, blanks.stan));
        }
        self.set_original_elements(&mut message, kind, blanks);
        self.encode(&message)
    }

    /// Names an original by its data elements, where the dialect has them: message type, trace number, date and time
    /// (90, or 56 in the 1993 version). A terminal knows no institutions.
    pub(super) fn set_original_elements(&self, message: &mut Message, kind: Kind, blanks: Blanks) {
        let Some(at) = self.dialect.elements().original_elements else { return };
        let original = self.dialect.row(kind).map_or_else(|| mti("0200"), |row| row.mti);
        let Blanks { stan, date, time, .. } = blanks;
        let text = if self.is_1993() {
            format!("{original}{stan:06}{}00", self.local_time(blanks))
        } else {
            format!("{original}{stan:06}{date:04}{time:06}{:022}", 0)
        };
        message.set_text(at.field, &text);
    }

    /// Date and time of the transaction (12) as the 1993 version has them, `YYMMDDhhmmss`.
    fn local_time(&self, Blanks { date, time, .. }: Blanks) -> String {
        format!("{:02}{date:04}{time:06}", self.year)
    }
}

/// A message type that is written in this crate.
pub(super) fn mti(digits: &str) -> Mti {
    Mti::parse(digits).expect("four digits")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use std::sync::Arc;

    use super::*;

    fn check(dialect: &str) {
        let dialect = Arc::new(Dialect::shipped(dialect).expect("shipped"));
        let mix = Mix { partial: true, ..Mix::default() };
        let framing = dialect.framing();
        let mut requests = Requests::new(Arc::clone(&dialect), framing, &mix);
        let blanks = Blanks {
            amount: 12_345,
            stan: 678,
            terminal: 10_000_007,
            batch: 42,
            cryptogram: 9_876_543_210_123_456,
            date: 1123,
            time: 91_500,
        };
        let mut frame = Vec::new();
        for index in 0..40 {
            let card = Card::new(&mix, index, 3).expect("a card");
            for kind in [
                Kind::Purchase,
                Kind::BalanceEnquiry,
                Kind::PreAuthorisation,
                Kind::Instalment,
                Kind::Points,
                Kind::OfflineSale,
                Kind::OfflineUpload,
                Kind::OfflineRefund,
            ] {
                requests.write((kind, index), &card, blanks, &mut frame).expect("encoded");
                let whole = requests.encode(&requests.request(kind, &card, blanks));
                assert_eq!(frame, whole.expect("encoded"), "{kind:?} {:?}", card.entry);
                let body = Bytes::copy_from_slice(&frame[framing.header_length()..]);
                let message = Message::decode(&dialect, body).expect("sound");
                assert_eq!(dialect.kind_of(&message).expect("known").kind, kind);
                assert_eq!(message.number(11), Some(678));
                assert_eq!(message.pan().expect("a card").expose(), card.pan.expose());
            }
            let reversal = requests.reversal(Kind::Purchase, &card, blanks, "98").expect("encoded");
            let body = Bytes::copy_from_slice(&reversal[framing.header_length()..]);
            let message = Message::decode(&dialect, body).expect("sound");
            let original = dialect.original_kind_of(&message).map(|row| row.kind);
            assert_eq!(original, Some(Kind::Purchase));
            assert_eq!(dialect.original_of(&message).expect("an original").stan.number(), 678);
        }
    }

    #[test]
    fn a_filled_template_is_what_encoding_gives() {
        iso8583::SHIPPED.iter().for_each(|dialect| check(dialect));
    }
}

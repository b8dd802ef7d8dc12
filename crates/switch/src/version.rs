//! The 1993 version of the standard in terms of the 1987 version, in which the switch keeps what it carries, and back.

use iso8583::{Dialect, Kind, Message};

use crate::{blob, clock::WireTime};

/// Stands in what is carried for the two digits of the year of 12 and 13, which no element of the 1987 version has.
pub(crate) const YEAR: u8 = 0;
/// What means something else in each version (a PIN's length, or the merchant's business; digits, or bytes): it is
/// not passed from one to the other.
pub(crate) const OWN: [u8; 2] = [26, 53];

/// Whether the dialect's messages are of the 1993 version.
pub(crate) fn is_1993(dialect: &Dialect) -> bool {
    dialect.version() == 1
}

/// Date and time of the transaction as 12 has them: `YYMMDDhhmmss`.
pub(crate) fn local_time(at: &WireTime) -> String {
    format!("{}{}{}", at.year(), at.date(), at.time())
}

/// The same, of a transaction of which this was carried.
pub(crate) fn carried_time(carried: &[u8]) -> String {
    let text = |number| blob::text(carried, number).unwrap_or_default();
    format!("{}{}{}", text_or(text(YEAR), "00"), text(13), text(12))
}

fn text_or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

/// Turns a request or a reversal with elements of the 1987 version into one of the 1993 version.
pub(crate) fn to_1993(message: &mut Message, carried: &[u8]) {
    message.set_text(12, &carried_time(carried));
    // What was kept before it was kept in the host's version.
    if let Some(mode) = blob::text(carried, 22).filter(|mode| mode.len() == 3) {
        message.set_text(22, &data_code(mode, message.has(52)));
    }
    let mcc = message.text(18).map(std::borrow::Cow::into_owned);
    if let Some(mcc) = mcc.filter(|_| !message.has(26)) {
        message.set_text(26, &mcc);
    }
    for number in [13, 25] {
        message.remove(number);
    }
}

/// Entry mode and PIN capability (n3) as the point of service data code (an12).
pub(crate) fn data_code(mode: &str, with_pin: bool) -> String {
    let (entry, pin) = mode.split_at_checked(2).unwrap_or(("00", ""));
    let input = match entry {
        "01" => '6',
        "02" | "90" | "91" => '2',
        "03" => '3',
        "04" => '4',
        "05" | "07" | "95" => '5',
        _ => '0',
    };
    let (can, digits) = if pin == "1" { ('1', '1') } else { ('0', '0') };
    let (method, entity) = if with_pin { ('1', '3') } else { ('0', '0') };
    format!("{input}{can}0101{input}{method}{entity}00{digits}")
}

/// The point of service data code (an12) as entry mode and PIN capability (n3).
pub(crate) fn entry_mode(code: &[u8]) -> &'static str {
    let pin = code.get(1) == Some(&b'1');
    match (code.get(6), pin) {
        (Some(b'1' | b'6'), true) => "011",
        (Some(b'1' | b'6'), false) => "012",
        (Some(b'2'), true) => "021",
        (Some(b'2'), false) => "022",
        (Some(b'3'), true) => "031",
        (Some(b'3'), false) => "032",
        (Some(b'4'), true) => "041",
        (Some(b'4'), false) => "042",
        (Some(b'5'), true) => "051",
        (Some(b'5'), false) => "052",
        (_, true) => "001",
        (_, false) => "000",
    }
}

/// The point-of-service condition (25) of a kind, which has none in the 1993 version.
pub(crate) const fn condition(kind: Kind) -> &'static str {
    match kind {
        Kind::PreAuthorisation
        | Kind::PreAuthorisationVoid
        | Kind::Completion
        | Kind::CompletionVoid
        | Kind::CompletionAdvice => "06",
        Kind::Instalment | Kind::InstalmentVoid => "64",
        Kind::Points | Kind::PointsVoid => "65",
        Kind::OfflineUpload | Kind::OfflineRefund => "61",
        Kind::Purchase
        | Kind::BalanceEnquiry
        | Kind::Void
        | Kind::Refund
        | Kind::OfflineSale
        | Kind::Adjustment
        | Kind::Tip
        | Kind::ScriptResult
        | Kind::Echo
        | Kind::SignOn
        | Kind::SignOff
        | Kind::Settlement
        | Kind::BatchUpload
        | Kind::BatchDetail
        | Kind::BatchChip
        | Kind::BatchEnd
        | Kind::Parameters
        | Kind::StatusReport
        | Kind::Reversal => "00",
    }
}

#[cfg(test)]
mod tests {
    use iso8583::Mti;
    use switch_core::{Event, NetworkMessage, TxnId};

    use super::*;
    use crate::{
        acquirer::Inquiry,
        blob::Packer,
        fixtures::Fixtures,
        issuer::{self, FromIssuer},
        reply::{self, Answer},
    };

    #[test]
    fn entry_modes_go_there_and_back() {
        for (mode, with_pin, code, again) in [
            ("051", true, "510101513001", "051"),
            ("052", false, "500101500000", "052"),
            ("021", false, "210101200001", "021"),
            ("902", false, "200101200000", "022"),
            ("071", true, "510101513001", "051"),
            ("012", false, "600101600000", "012"),
            ("000", false, "000101000000", "000"),
            ("", false, "000101000000", "000"),
        ] {
            assert_eq!(data_code(mode, with_pin), code, "{mode}");
            assert_eq!(entry_mode(code.as_bytes()), again, "{mode}");
        }
        assert_eq!(entry_mode(b""), "000");
    }

    #[test]
    fn what_the_versions_have_otherwise_is_turned() {
        let mut packer = Packer::new();
        for (number, text) in [(YEAR, "26"), (12, "224516"), (13, "1125")] {
            packer.put(number, text.as_bytes());
        }
        let mut message = Message::new(Mti::parse("1200").expect("digits"));
        for (number, text) in
            [(12, "224516"), (13, "1125"), (18, "5411"), (22, "510101500001"), (25, "00")]
        {
            message.set_text(number, text);
        }
        to_1993(&mut message, &packer.finish());
        let expected = [(12, "261125224516"), (18, "5411"), (22, "510101500001"), (26, "5411")];
        assert_eq!(said(&message), expected.map(|(number, text)| (number, text.to_owned())));
    }

    fn said(message: &Message) -> Vec<(u8, String)> {
        let text = |number| message.text(number).unwrap_or_default().trim_end().to_owned();
        message.fields().map(|number| (number, text(number))).collect()
    }

    #[test]
    fn a_sale_goes_to_a_host_of_1993_and_is_reversed_there() {
        let fixtures = Fixtures::new();
        let issuer = Fixtures::issuer("iso93-ascii");
        let forwarded = fixtures.forwarded(&issuer);
        assert_eq!(forwarded.mti().as_str(), "1200");
        let sale = said(&forwarded);
        let reversal =
            issuer::reversal(&issuer, &fixtures.keys, &fixtures.row(&issuer), true).expect("made");
        assert_eq!(reversal.mti().as_str(), "1421");
        for (message, number, text) in [
            (&forwarded, 12, "260101005319"),
            (&forwarded, 22, "510101500001"),
            (&forwarded, 24, "200"),
            (&reversal, 22, "510101500001"),
            (&reversal, 24, "400"),
            (&reversal, 25, "4021"),
            (&reversal, 56, "12002345672601010053190812345678"),
        ] {
            assert_eq!(message.text(number).as_deref(), Some(text), "{number}");
        }
        let own = [24, 25, 56];
        for pair in said(&reversal).iter().filter(|pair| !own.contains(&pair.0)) {
            assert!(sale.contains(pair), "{pair:?}");
        }
        for message in [&forwarded, &reversal] {
            message.to_frame(&issuer.dialect, issuer.framing).expect("encodes");
        }
        let with_pin = Fixtures::sale_of("cup-pos", |sale| sale.set_binary(52, &[7; 8]));
        let (sent, row) = fixtures.passed("cup-pos", &with_pin, &issuer).expect("sound");
        let back = issuer::reversal(&issuer, &fixtures.keys, &row, false).expect("made");
        assert_eq!(sent.text(22).as_deref(), Some("510101513001"));
        assert_eq!(back.text(22), sent.text(22));
        let original = issuer.dialect.original_kind_of(&reversal).map(|row| row.kind);
        assert_eq!(original, Some(Kind::Purchase));
    }

    #[test]
    fn answers_of_1993_have_codes_of_1987() {
        let fixtures = Fixtures::new();
        let issuer = Fixtures::issuer("iso93-ascii");
        for (code, expected, approves, partial) in [
            ("000", "00", true, false),
            ("002", "10", true, true),
            ("116", "51", false, false),
            ("911", "98", false, false),
            ("999", "999", false, false),
        ] {
            let mut answer = fixtures.forwarded(&issuer);
            answer.set_mti(answer.mti().response());
            answer.set_text(39, code);
            answer.set_text(15, "260102");
            let FromIssuer::Answer(answer) = issuer::read(&issuer, &fixtures.keys, &answer) else {
                panic!("an answer")
            };
            assert_eq!((answer.code.as_str(), answer.approves()), (expected, approves), "{code}");
            assert_eq!(answer.is_partial(), partial, "{code}");
            assert_eq!(blob::text(&answer.answer, 15), Some("0102"));
        }
        let (wall, directory) = (switch_core::Wall(0), Fixtures::directory());
        for (what, code) in [(NetworkMessage::SignOn, "801"), (NetworkMessage::Echo, "831")] {
            let message = issuer::network(&issuer, &directory, what, 7, wall).expect("a kind");
            assert_eq!((message.mti().as_str(), &*message.text(24).expect("24")), ("1804", code));
            assert_eq!(message.text(12).as_deref(), Some("700101080000"));
            message.to_frame(&issuer.dialect, issuer.framing).expect("encodes");
            let mut answer = Message::new(message.mti().response());
            answer.set_text(11, "000007");
            answer.set_text(39, "800");
            let read = issuer::read(&issuer, &fixtures.keys, &answer);
            assert!(matches!(read, FromIssuer::Network(7, true)), "{read:?}");
        }
    }

    /// The sale of a terminal of the 1993 version.
    fn sale() -> Message {
        let mut sale = Fixtures::sale();
        sale.set_mti(Mti::parse("1200").expect("digits"));
        for (number, text) in
            [(12, "260101005319"), (22, "510101513001"), (24, "200"), (25, "1510"), (26, "5411")]
        {
            sale.set_text(number, text);
        }
        sale.remove(60);
        sale
    }

    #[test]
    fn terminals_of_1993_are_served_by_hosts_of_either_version() {
        let fixtures = Fixtures::new();
        for (dialect, expected) in [
            ("iso87-ascii", [(12, "005319"), (13, "0101"), (22, "051"), (25, "00")]),
            (
                "iso93-ascii",
                [(12, "260101005319"), (22, "510101513001"), (24, "200"), (26, "5411")],
            ),
        ] {
            let issuer = Fixtures::issuer(dialect);
            let desk = fixtures.desk("iso93-ascii", &issuer);
            let Inquiry::Event(Event::Request(request), _) = Fixtures::ask(&desk, &sale()) else {
                panic!("a request")
            };
            let carried = &request.carried;
            let message =
                issuer::request(&issuer, &desk.directory, request.kind, TxnId(7), &sale(), carried)
                    .expect("a kind");
            for (number, text) in expected {
                assert_eq!(message.text(number).as_deref(), Some(text), "{dialect} {number}");
            }
            message.to_frame(&issuer.dialect, issuer.framing).expect("encodes");
        }
        let iso93 = Dialect::shipped("iso93-ascii").expect("shipped");
        let wall = switch_core::Wall(0);
        let zone = jiff::tz::TimeZone::UTC;
        for (mti, answer, code) in [
            ("1200", Answer::Cause(iso8583::Cause::NoRoute), "908"),
            ("1420", Answer::Done(None), "400"),
            ("1804", Answer::Done(None), "800"),
        ] {
            let mut request = sale();
            request.set_mti(Mti::parse(mti).expect("digits"));
            if mti == "1804" {
                request.set_text(24, "831");
            }
            let response = reply::response(&iso93, &zone, &request, wall, &answer);
            assert_eq!(response.text(39).as_deref(), Some(code));
            assert_eq!(response.text(12).as_deref(), Some("260101005319"));
            reply::encode(&iso93, iso93.framing(), response).expect("encodes");
        }
    }
}

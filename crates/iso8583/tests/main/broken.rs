//! What is wrong with a message is said with its field, its place and its kind.

use iso8583::{Cause, Dialect, Kind, Message, Mti, OnSilence, decode_line, encode_line};
use serde_json::Value;

fn dialect(name: &str) -> Dialect {
    Dialect::shipped(name).expect("shipped")
}

/// The error line of a message: field, offset, kind.
fn fault(line: &str) -> (Option<String>, Option<u64>, String) {
    let error = &serde_json::from_str::<Value>(line).expect("an error is JSON too")["error"];
    assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{line}");
    let kind = error["kind"].as_str().expect("a kind").to_owned();
    (error["field"].as_str().map(str::to_owned), error["offset"].as_u64(), kind)
}

fn check_cup(body: &str, field: Option<&str>, offset: u64, kind: &str) {
    let line = format!("6000030000603100310730{body}");
    let error = decode_line(&dialect("cup-pos"), &line, false, true).expect_err(body);
    assert_eq!(fault(&error), (field.map(str::to_owned), Some(offset), kind.to_owned()), "{error}");
}

#[test]
fn broken_packed_messages() {
    check_cup("", None, 11, "mti");
    check_cup("02", None, 11, "mti");
    check_cup("0A000000000000000000", None, 11, "mti");
    check_cup("0200000000", None, 13, "bitmap");
    check_cup("02008000000000000000", None, 13, "bitmap");
    check_cup("020000000000000000000011", None, 21, "trailing");
    check_cup("02000800000000000000", Some("5"), 21, "undefined");
    check_cup("02002000000000000000", Some("3"), 21, "truncated");
    check_cup("0200200000000000000000000A", Some("3"), 23, "digits");
    check_cup("020040000000000000002062123456789012324444", Some("2"), 21, "length");
    check_cup("02004000000000000000A0", Some("2"), 21, "length");
    check_cup("0200400000000000000016621234", Some("2"), 22, "truncated");
    check_cup("020040000000000000001362123456A890F0", Some("2"), 26, "digits");
    check_cup("020000000200000000001001", Some("23"), 21, "digits");
    check_cup("020000000000000002000005820239009F", Some("55"), 27, "tlv");
    check_cup("02000000000000000200000382023900", Some("55"), 23, "tlv");
    check_cup("020000000000000001000002FFFF", Some("56"), 23, "text");
    check_cup("02000000000008000000FF00000000000000", Some("37"), 21, "truncated");
    check_cup("02000000000008000000FF0000000000000000000000", Some("37"), 21, "text");
}

#[test]
fn broken_text_messages() {
    let iso = dialect("iso87-ascii");
    for (text, field, offset, kind) in [
        ("", None, 0, "hex"),
        ("020", None, 0, "mti"),
        ("02x0", None, 0, "mti"),
        ("0200000000000000000", None, 4, "bitmap"),
        ("0200000000000000000g", None, 19, "bitmap"),
        ("0200000000000000000a", None, 19, "bitmap"),
        ("02008000000000000000000000000000000", None, 20, "bitmap"),
        ("020080000000000000008000000000000000", None, 20, "bitmap"),
        ("020020000000000000000000", Some("3"), 20, "truncated"),
        ("0200200000000000000000000x", Some("3"), 25, "digits"),
        ("020040000000000000002062123456789012320000", Some("2"), 20, "length"),
        ("02004000000000000000x16212345678901232", Some("2"), 20, "length"),
        ("02000000001000000000C0000", Some("28"), 20, "truncated"),
        ("02000000001000000000X00000000", Some("28"), 20, "text"),
        ("02000000000000001000001122334455667x", Some("52"), 35, "hex"),
        ("02000000000000001000001122334455667a", Some("52"), 35, "hex"),
        ("02000000000000000000junk", None, 20, "trailing"),
    ] {
        let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        let error = decode_line(&iso, &hex, false, true).expect_err(text);
        let expected = (field.map(str::to_owned), Some(offset), kind.to_owned());
        assert_eq!(fault(&error), expected, "{text}: {error}");
    }
}

/// `<text>` stands for the bytes of a text in the dialect, the rest is hexadecimal.
fn check_in(name: &str, message: &str, field: Option<&str>, offset: u64, kind: &str) {
    let error = decode_line(&dialect(name), message, false, true).expect_err(message);
    let expected = (field.map(str::to_owned), Some(offset), kind.to_owned());
    assert_eq!(fault(&error), expected, "{name} {message}: {error}");
}

#[test]
fn broken_messages_of_the_other_dialects() {
    // message type and bitmap, then the fault
    for (message, field, offset, kind) in [
        ("02", None, 0, "mti"),
        ("02002000000000000000", Some("3"), 10, "truncated"),
        ("0200200000000000000000000A", Some("3"), 12, "digits"),
        // a digit in the place of the filler
        ("020000000200000000001001", Some("23"), 10, "digits"),
        ("02000000001000000000E700000012", Some("28"), 10, "text"),
        ("02000000001000000000430000001A", Some("28"), 14, "digits"),
        ("02000000000000000200000382023900", Some("55"), 12, "tlv"),
        ("0200C0000000000000008000000000000000", None, 10, "bitmap"),
    ] {
        check_in("iso87-binary", message, field, offset, kind);
    }
    let zeros = |count| "F0".repeat(count);
    for (message, field, offset, kind) in [
        ("F0F2F0".to_owned(), None, 0, "mti"),
        ("F0F2C1F0".to_owned(), None, 0, "mti"),
        ("30323030".to_owned(), None, 0, "mti"),
        (format!("F0F2F0F0{}30", zeros(15)), None, 19, "bitmap"),
        (format!("F0F2F0F0{}81", zeros(15)), None, 19, "bitmap"),
        (format!("F0F2F0F0F2{}F0F0F0F0F0C1", zeros(15)), Some("3"), 25, "digits"),
        (format!("F0F2F0F0F4{}F0C1", zeros(15)), Some("2"), 20, "length"),
        (format!("F0F2F0F0F4{}F2F0{}", zeros(15), zeros(20)), Some("2"), 20, "length"),
        (format!("F0F2F0F0{}F0", zeros(16)), None, 20, "trailing"),
        (format!("F0F2F0F0{}F1{}E7{}", zeros(6), zeros(9), zeros(8)), Some("28"), 20, "text"),
        (format!("F0F2F0F0{}F1{}{}C7", zeros(12), zeros(3), zeros(15)), Some("52"), 35, "hex"),
        (format!("F0F2F0F0{}F8{}{}00", zeros(9), zeros(6), zeros(11)), Some("37"), 31, "text"),
    ] {
        check_in("iso87-ebcdic", &message, field, offset, kind);
    }
}

#[test]
fn messages_of_1993_are_told_apart() {
    let iso = dialect("iso93-ascii");
    for (mti, code, function, kind) in [
        ("1200", "000000", "200", Some(Kind::Purchase)),
        ("1201", "000000", "200", Some(Kind::Purchase)),
        ("1200", "310000", "200", Some(Kind::BalanceEnquiry)),
        ("1200", "020000", "200", Some(Kind::Void)),
        ("1100", "000000", "100", Some(Kind::PreAuthorisation)),
        ("1100", "020000", "100", Some(Kind::PreAuthorisationVoid)),
        ("1200", "190000", "201", Some(Kind::Completion)),
        ("1200", "290000", "201", Some(Kind::CompletionVoid)),
        ("1220", "000000", "201", Some(Kind::CompletionAdvice)),
        ("1220", "200000", "200", Some(Kind::Refund)),
        ("1200", "000000", "203", None),
        ("0200", "000000", "200", None),
    ] {
        let message = cup_message(mti, &[(3, code), (24, function)]);
        assert_eq!(iso.kind_of(&message).map(|row| row.kind), kind, "{mti} {code} {function}");
        let original = format!("{mti}00077726112722451600");
        let fields = [(3, code), (11, "000888"), (24, "400"), (56, &*original)];
        let reversal = cup_message("1421", &fields);
        assert_eq!(iso.kind_of(&reversal).map(|row| row.kind), Some(Kind::Reversal));
        assert_eq!(iso.original_of(&reversal).expect("56").stan.number(), 777);
        if kind.is_some() {
            assert_eq!(iso.original_kind_of(&reversal).map(|row| row.kind), kind);
        }
    }
    for (code, kind) in [("831", Kind::Echo), ("801", Kind::SignOn), ("802", Kind::SignOff)] {
        for mti in ["1804", "1805"] {
            let message = cup_message(mti, &[(24, code)]);
            assert_eq!(iso.kind_of(&message).map(|row| row.kind), Some(kind));
        }
    }
}

#[test]
fn broken_lengths_and_lines() {
    let cup = dialect("cup-pos");
    let message = "60000300006031003107300820000000000000000000";
    for (line, kind, offset) in [
        ("00", "header", 0),
        (&*format!("0017{message}"), "header", 0),
        (&*format!("0014{message}"), "trailing", 20),
        ("xx", "hex", 0),
        ("60000", "hex", 2),
    ] {
        let error = decode_line(&cup, line, true, true).expect_err(line);
        assert_eq!(fault(&error), (None, Some(offset), kind.to_owned()), "{error}");
    }
    let good = "6000030000603100310730082000000000000000 00";
    assert!(decode_line(&cup, &format!("0015{good}"), true, true).is_ok());
    let missing = decode_line(&cup, "08200000", false, true).expect_err("no header");
    assert_eq!(fault(&missing), (None, Some(0), "header".to_owned()));
}

#[test]
fn lines_that_do_not_encode() {
    let iso = dialect("iso87-ascii");
    for (line, field, kind) in [
        (r#"{"mti":"0200","fields":{"4":"12345"}}"#, Some("4"), "length"),
        (r#"{"mti":"0200","fields":{"4":"00000001234x"}}"#, Some("4"), "digits"),
        (r#"{"mti":"0200","fields":{"1":"0"}}"#, Some("1"), "undefined"),
        (r#"{"mti":"0200","fields":{"65":"0"}}"#, Some("65"), "undefined"),
        (r#"{"mti":"0200","fields":{"04":"0"}}"#, None, "undefined"),
        (r#"{"mti":"0200","fields":{"52":"00"}}"#, Some("52"), "length"),
        (r#"{"mti":"0200","fields":{"52":"0x"}}"#, Some("52"), "hex"),
        (r#"{"mti":"0200","fields":{"43":"商户"}}"#, Some("43"), "text"),
        (r#"{"mti":"0200","fields":{"2":"62123","2":"62123"}}"#, Some("2"), "json"),
        (r#"{"mti":"020","fields":{}}"#, None, "json"),
        (r#"{"mti":"0200","fields":{},"extra":1}"#, None, "json"),
        (r#"{"mti":"0200","fields":{"4":12345}}"#, None, "json"),
        (r#"{"dialect":"cup-pos","mti":"0200","fields":{}}"#, None, "json"),
        (r#"{"header":{"tpdu":"6000000000"},"mti":"0200","fields":{}}"#, None, "header"),
        (r#"{"mti":"0200","fields":{"2":"621234******1232"}}"#, Some("2"), "digits"),
    ] {
        let error = encode_line(&iso, line, false).expect_err(line);
        assert_eq!(fault(&error), (field.map(str::to_owned), None, kind.to_owned()), "{error}");
    }
    let cup = dialect("cup-pos");
    for line in [
        r#"{"mti":"0200","fields":{}}"#,
        r#"{"header":{"tpdu":"6000000000","head":"60"},"mti":"0200","fields":{}}"#,
    ] {
        let error = encode_line(&cup, line, false).expect_err(line);
        assert_eq!(fault(&error).2, "header", "{error}");
    }
}

#[test]
fn short_text_is_filled_and_comes_back_with_its_spaces() {
    let iso = dialect("iso87-ascii");
    let encoded = encode_line(&iso, r#"{"mti":"0800","fields":{"42":"M1"}}"#, false).expect("good");
    let decoded = decode_line(&iso, &encoded, false, true).expect("good");
    assert!(decoded.contains(r#""42":"M1             ""#), "{decoded}");
    assert_eq!(encode_line(&iso, &decoded, false), Ok(encoded));
}

#[test]
fn card_data_is_masked_unless_clear() {
    let cup = dialect("cup-pos");
    let line = concat!(
        r#"{"header":{"tpdu":"6000000000","head":"603100310730"},"mti":"0200","fields":{"#,
        r#""2":"6212345678901232","14":"3012","35":"6212345678901232=30122010000012300000","#,
        r#""52":"0123456789ABCDEF","#,
        r#""55":{"9F26":"1122334455667788","57":"6212345678901232D3012","5A":"6212345678901232"},"#,
        r#""63":"card 6212345678901232"}}"#
    )
    .replace("D3012\"", "D30122\"");
    let hex = encode_line(&cup, &line, false).expect("good");
    let masked = decode_line(&cup, &hex, false, false).expect("good");
    let table = iso8583::decode_table(&cup, &hex, false, false).expect("good");
    for shown in [&masked, &table] {
        for secret in ["345678", "3012", "0123456789ABCDEF"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(shown.contains("621234******1232"));
        assert!(shown.contains("1122334455667788"));
    }
    assert!(decode_line(&cup, &hex, false, true).expect("good").contains("6212345678901232"));
}

#[test]
fn a_broken_message_yields_what_could_be_read() {
    let cup = dialect("cup-pos");
    let whole = concat!(
        r#"{"header":{"tpdu":"6000000000","head":"603100310730"},"mti":"0200","fields":{"#,
        r#""3":"000000","4":"000000012345","11":"000123","41":"12345678","42":"123456789012345"}}"#
    );
    let hex =
        encode_line(&cup, whole, false).expect("good").replace("000000012345", "00000A012345");
    let (pairs, _) = hex.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex")
    };
    let frame: Vec<u8> = pairs.iter().map(byte).collect();
    let error = Message::decode(&cup, frame.into()).expect_err("a nibble that is no digit");
    assert_eq!(error.field, Some(4));
    let partial = error.partial.expect("the bitmap was sound");
    assert_eq!(partial.fields().collect::<Vec<_>>(), [3, 11, 41, 42]);
    assert_eq!(partial.text(41).as_deref(), Some("12345678"));
}

fn cup_message(mti: &str, fields: &[(u8, &str)]) -> Message {
    let mut message = Message::new(Mti::parse(mti).expect("digits"));
    for (number, text) in fields {
        message.set_text(*number, text);
    }
    message
}

#[test]
fn kinds_are_told_apart() {
    let cup = dialect("cup-pos");
    for (mti, code, condition, kind_code, kind) in [
        ("0200", "000000", "00", "22000001000", Some(Kind::Purchase)),
        ("0201", "000000", "00", "22000001", Some(Kind::Purchase)),
        ("0200", "310000", "00", "01000001", Some(Kind::BalanceEnquiry)),
        ("0200", "200000", "00", "23000001", Some(Kind::Void)),
        ("0220", "200000", "00", "25000001", Some(Kind::Refund)),
        ("0100", "030000", "06", "10000001", Some(Kind::PreAuthorisation)),
        ("0200", "000000", "06", "20000001", Some(Kind::Completion)),
        ("0200", "000000", "64", "22000001", Some(Kind::Instalment)),
        ("0200", "200000", "65", "23000001", Some(Kind::PointsVoid)),
        ("0220", "000000", "00", "34000001", Some(Kind::Tip)),
        ("0200", "000000", "00", "36000001", Some(Kind::OfflineUpload)),
        ("0200", "000000", "63", "22000001", None),
        ("0210", "000000", "00", "22000001", None),
    ] {
        let message = cup_message(mti, &[(3, code), (25, condition), (60, kind_code)]);
        assert_eq!(cup.kind_of(&message).map(|row| row.kind), kind, "{mti} {code}");
        let reversal = cup_message("0400", &[(3, code), (25, condition), (60, kind_code)]);
        assert_eq!(cup.kind_of(&reversal).map(|row| row.kind), Some(Kind::Reversal));
        if let Some(kind) = kind {
            assert_eq!(cup.original_kind_of(&reversal).map(|row| row.kind), Some(kind));
        }
    }
    let echo = cup_message("0820", &[(60, "00000000301")]);
    assert_eq!(cup.kind_of(&echo).map(|row| row.kind), Some(Kind::Echo));
    for (mti, code, kind) in [
        ("0800", "00000000003", Kind::SignOn),
        ("0800", "00000000370", Kind::Parameters),
        ("0820", "00000000362", Kind::StatusReport),
        ("0500", "00000000201", Kind::Settlement),
        ("0320", "00000000201", Kind::BatchUpload),
        ("0320", "00000000202", Kind::BatchEnd),
        ("0320", "00000000204", Kind::BatchChip),
        ("0320", "25000000", Kind::BatchDetail),
        ("0620", "22000000951", Kind::ScriptResult),
    ] {
        let message = cup_message(mti, &[(60, code)]);
        assert_eq!(cup.kind_of(&message).map(|row| row.kind), Some(kind), "{mti} {code}");
    }
    let iso = dialect("iso87-ascii");
    // a condition that no kind of the message type names tells nothing
    for (condition, kind) in [
        (None, Kind::Purchase),
        (Some("00"), Kind::Purchase),
        (Some("59"), Kind::Purchase),
        (Some("06"), Kind::Completion),
        (Some("65"), Kind::Points),
    ] {
        let fields: Vec<_> =
            condition.map(|text| (25, text)).into_iter().chain([(3, "000000")]).collect();
        let found = iso.kind_of(&cup_message("0200", &fields));
        assert_eq!(found.map(|row| row.kind), Some(kind), "{condition:?}");
    }
    let echo = cup_message("0800", &[(70, "301")]);
    assert_eq!(iso.kind_of(&echo).map(|row| row.kind), Some(Kind::Echo));
    let sale = iso.row(Kind::Purchase).expect("a row");
    assert_eq!((sale.mti.as_str(), sale.on_silence), ("0200", OnSilence::Reverse));
}

#[test]
fn fields_that_are_missing_or_malformed_are_named() {
    let cup = dialect("cup-pos");
    let sale: &[(u8, &str)] = &[
        (2, "6212345678901232"),
        (3, "000000"),
        (4, "000000012345"),
        (11, "000123"),
        (41, "12345678"),
        (42, "123456789012345"),
        (49, "156"),
        (60, "22000001000"),
    ];
    let row = cup.row(Kind::Purchase).expect("a row");
    assert_eq!(cup.check_request(row, &cup_message("0200", sale)), Ok(()));
    for left_out in [2, 3, 4, 11, 41, 42, 49, 60] {
        let mut message = cup_message("0200", sale);
        message.remove(left_out);
        let fault = cup.check_request(row, &message).expect_err("a field is missing");
        assert_eq!((fault.field, fault.missing), (left_out, true));
    }
    for (field, text) in
        [(60, "2200000"), (60, "220000010"), (60, ""), (61, "12345"), (41, "        ")]
    {
        let mut message = cup_message("0200", sale);
        message.set_text(field, text);
        let fault = cup.check_request(row, &message).expect_err("a field is malformed");
        assert_eq!((fault.field, fault.missing), (field, false), "{text}");
    }
}

#[test]
fn a_reversal_names_its_original() {
    let cup = dialect("cup-pos");
    for (fields, batch) in [
        (&[(11, "000123"), (60, "22000002000"), (61, "000001000123")][..], "000001"),
        (&[(11, "000123"), (60, "22000002000"), (61, "000001000999")], "000002"),
        (&[(11, "000123"), (60, "22000002000")], "000002"),
    ] {
        let original = cup.original_of(&cup_message("0400", fields)).expect("a trace number");
        assert_eq!(original.stan.number(), 123);
        assert_eq!(original.batch.as_deref(), Some(batch));
    }
    let iso = dialect("iso87-ascii");
    let ninety = format!("0200000777{}", "0".repeat(32));
    let reversal = cup_message("0400", &[(3, "000000"), (11, "000888"), (90, &ninety)]);
    let original = iso.original_of(&reversal).expect("a trace number");
    assert_eq!((original.stan.number(), original.batch), (777, None));
    assert_eq!(iso.original_kind_of(&reversal).map(|row| row.kind), Some(Kind::Purchase));
}

#[test]
fn causes_and_codes_have_their_meaning() {
    for name in iso8583::SHIPPED {
        let dialect = dialect(name);
        let codes = if *name == "iso93-ascii" { ["911", "916", "000"] } else { ["98", "A0", "00"] };
        for (cause, code) in [Cause::NoAnswer, Cause::WrongMac, Cause::Done].into_iter().zip(codes)
        {
            assert_eq!(dialect.code_for(cause).as_str(), code);
        }
        for &cause in Cause::ALL {
            assert!(dialect.meaning(dialect.code_for(cause)).is_some(), "{}", cause.name());
        }
    }
}

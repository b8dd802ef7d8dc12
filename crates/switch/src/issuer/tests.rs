//! What issuers are sent, and what their answers say.

use super::*;
use crate::fixtures::Fixtures;

/// A sale of a terminal, forwarded and answered; `change` alters the answer.
fn answered(fixtures: &Fixtures, change: impl FnOnce(&mut Message)) -> FromIssuer {
    let issuer = Fixtures::issuer("iso87-ascii");
    let mut answer = fixtures.forwarded(&issuer);
    answer.set_mti(answer.mti().response());
    answer.set_text(39, "00");
    answer.set_text(38, "A12345");
    change(&mut answer);
    read(&issuer, &fixtures.keys, &answer)
}

fn matched(answer: &IssuerAnswer) -> u64 {
    match answer.matched {
        Matched::Number(id) => id.0,
        Matched::Trace { stan, sent: _ } => stan.into(),
    }
}

#[test]
fn answers_are_matched_by_class_stan_and_rrn() {
    type Change = fn(&mut Message);
    let cases: [(&str, Change); 7] = [
        ("answer of 1234567", |_| {}),
        ("answer to reversal of 1234567", |m| m.set_mti(Mti::parse("0410").expect("digits"))),
        ("stray stan", |m| m.set_text(11, "234568")),
        ("stray rrn", |m| m.set_text(37, "ABCDEFGHIJKL")),
        ("stray code", |m| m.remove(39)),
        ("stray request", |m| m.set_mti(Mti::parse("0200").expect("digits"))),
        ("network 234567 true", |m| m.set_mti(Mti::parse("0810").expect("digits"))),
    ];
    let fixtures = Fixtures::new();
    for (expected, change) in cases {
        let found = match answered(&fixtures, change) {
            FromIssuer::Answer(answer) if answer.to_reversal => {
                format!("answer to reversal of {}", matched(&answer))
            }
            FromIssuer::Answer(answer) => format!("answer of {}", matched(&answer)),
            FromIssuer::Network(stan, approves) => format!("network {stan} {approves}"),
            FromIssuer::Asked(what) => what.name().to_owned(),
            FromIssuer::Rejected(answer) => {
                format!("rejected {} {:?}", matched(&answer), answer.class)
            }
            FromIssuer::Stray(why) => format!("stray {why}"),
        };
        assert_eq!(found, expected);
    }
}

#[test]
fn codes_mean_what_the_dialect_says_and_another_card_shows() {
    let fixtures = Fixtures::new();
    for (code, approves, partial) in
        [("00", true, false), ("10", true, true), ("11", true, false), ("51", false, false)]
    {
        let FromIssuer::Answer(answer) = answered(&fixtures, |m| m.set_text(39, code)) else {
            panic!("an answer")
        };
        assert_eq!((answer.approves(), answer.is_partial()), (approves, partial), "{code}");
    }
    let FromIssuer::Answer(answer) = answered(&fixtures, |m| m.set_text(2, "6200000000000005"))
    else {
        panic!("an answer")
    };
    assert_ne!(answer.card_hash, Some(fixtures.card_hash()));
    let FromIssuer::Answer(answer) = answered(&fixtures, |_| {}) else { panic!("an answer") };
    assert_eq!(answer.card_hash, Some(fixtures.card_hash()));
}

#[test]
fn a_reversal_repeats_what_was_forwarded_in_either_dialect() {
    let fixtures = Fixtures::new();
    for (dialect, same, own) in [
        (
            "iso87-ascii",
            &[2, 3, 4, 7, 11, 12, 13, 14, 22, 25, 32, 37, 41, 42, 49][..],
            &[39, 90][..],
        ),
        ("cup-pos", &[2, 3, 4, 11, 12, 13, 14, 22, 25, 32, 37, 41, 42, 49, 60], &[39, 61]),
    ] {
        let issuer = Fixtures::issuer(dialect);
        let original = fixtures.forwarded(&issuer);
        let row = fixtures.row(&issuer);
        let reversal = reversal(&issuer, &fixtures.keys, &row, false).expect("made");
        for &number in same {
            assert!(original.has(number), "{dialect} {number}");
            let bare = |m: &Message| m.text(number).map(|text| text.trim_end().to_owned());
            assert_eq!(bare(&reversal), bare(&original), "{dialect} {number}");
        }
        let mut numbers: Vec<u8> = [same, own].concat();
        numbers.sort_unstable();
        assert_eq!(reversal.fields().collect::<Vec<_>>(), numbers, "{dialect}");
        frame(&issuer, &reversal);
        let repeat = super::reversal(&issuer, &fixtures.keys, &row, true).expect("made");
        assert_eq!((reversal.mti().as_str(), repeat.mti().as_str()), ("0400", "0401"));
    }
}

/// It can be written.
fn frame(issuer: &IssuerSettings, message: &Message) {
    message.to_frame(&issuer.dialect, issuer.framing).expect("encodes");
}

#[test]
fn network_management_is_written_in_either_dialect() {
    for (dialect, what, field, code) in [
        ("iso87-ascii", NetworkMessage::SignOn, 70, "001"),
        ("iso87-ascii", NetworkMessage::Echo, 70, "301"),
        ("cup-pos", NetworkMessage::Echo, 60, "00000000301"),
    ] {
        let issuer = Fixtures::issuer(dialect);
        let message = network(&issuer, &Fixtures::directory(), what, 7, Wall(0)).expect("a kind");
        assert_eq!(message.text(field).as_deref(), Some(code), "{dialect}");
        assert_eq!(message.text(11).as_deref(), Some("000007"));
        frame(&issuer, &message);
    }
}

#[test]
fn a_dialect_says_which_elements_match_an_answer() {
    let fixtures = Fixtures::new();
    let read_by = |set: &str, change: &dyn Fn(&mut Message)| {
        let mut issuer = Fixtures::issuer("iso87-ascii");
        let text = format!("base = \"iso87-ascii\"\nmatch = {set}");
        issuer.dialect = std::sync::Arc::new(Dialect::parse("own", &text).expect("sound"));
        let mut answer = fixtures.forwarded(&issuer);
        answer.set_mti(answer.mti().response());
        answer.set_text(39, "00");
        change(&mut answer);
        match read(&issuer, &fixtures.keys, &answer) {
            FromIssuer::Answer(answer) => {
                let sent = matches!(answer.matched, Matched::Trace { sent: Some(_), .. });
                let own = blob::text(&answer.answer, 37).unwrap_or("-").to_owned();
                format!("{} {sent} {own}", matched(&answer))
            }
            FromIssuer::Stray(why) => why.to_owned(),
            _ => panic!("neither"),
        }
    };
    let theirs = |answer: &mut Message| answer.set_text(37, "HOST00000042");
    let none = |answer: &mut Message| answer.remove(37);
    let no_time = |answer: &mut Message| answer.remove(7);
    let no_trace = |answer: &mut Message| answer.remove(11);
    let no_terminal = |answer: &mut Message| answer.remove(41);
    assert_eq!(read_by("[\"37\"]", &no_trace), "1234567 false -");
    assert_eq!(read_by("[\"37\", \"11\"]", &no_trace), "stan");
    assert_eq!(read_by("[\"37\"]", &theirs), "rrn");
    assert_eq!(read_by("[\"11\"]", &theirs), "234567 false HOST00000042");
    assert_eq!(read_by("[\"11\"]", &none), "234567 false -");
    assert_eq!(read_by("[\"11\"]", &no_trace), "stan");
    assert_eq!(read_by("[\"11\", \"7\"]", &none), "234567 true -");
    assert_eq!(read_by("[\"11\", \"7\"]", &no_time), "transmission time");
    assert_eq!(read_by("[\"11\", \"41\"]", &no_terminal), "terminal");
}

#[test]
fn a_rejection_of_a_request_is_an_unknown_result() {
    let fixtures = Fixtures::new();
    let issuer = Fixtures::issuer("iso87-ascii");
    let mut rejection = fixtures.forwarded(&issuer);
    rejection.set_mti(Mti::parse("0620").expect("digits"));
    let FromIssuer::Rejected(answer) = read(&issuer, &fixtures.keys, &rejection) else {
        panic!("a rejection")
    };
    assert_eq!(
        (matched(&answer), answer.class, answer.to_reversal),
        (1_234_567, Class::Unknown, false)
    );
}

#[test]
fn a_reference_of_the_host_never_keeps_a_reversal_from_being_sent() {
    let fixtures = Fixtures::new();
    let check = |base: &str, at: &str, own: &str, field: u8, expected: Option<&str>| {
        let mut issuer = Fixtures::issuer(base);
        let text = format!("base = \"{base}\"\nmatch = \"11\"\nhost_rrn = {at}");
        issuer.dialect = std::sync::Arc::new(Dialect::parse("own", &text).expect("sound"));
        let mut row = fixtures.row(&issuer);
        let mut packer = Packer::new();
        packer.put(37, own.as_bytes());
        row.answer = packer.finish();
        let reversal = reversal(&issuer, &fixtures.keys, &row, false).expect("made");
        let found = Fixtures::read_by(&issuer, &reversal);
        assert_eq!(found.text(field).as_deref(), expected, "{base} {at} {own}");
    };
    check("iso87-ascii", "\"37\"", "HOST00000042", 37, Some("HOST00000042"));
    check("iso87-ascii", "\"48\"", "HOST00000042", 48, Some("HOST00000042"));
    check("cup-pos", "\"48\"", "000000000042", 48, Some("000000000042"));
    // digits only, or too short for it
    check("cup-pos", "\"48\"", "HOST00000042", 48, None);
    check("iso87-ascii", "\"38\"", "HOST00000042", 38, None);
    check("cup-pos", "\"61.2\"", "000042", 61, Some("000007000042"));
    check("cup-pos", "\"61.2\"", "HOST42", 61, Some("000007234567"));
}

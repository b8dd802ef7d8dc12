//! What messages of terminals ask for.

use iso8583::Mti;
use switch_core::Named;

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
        ("event, format", |m| m.remove(4)),
        ("event, format", |m| m.remove(2)),
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
fn originals_are_named_as_the_terminal_can() {
    let tip: Change = |m| {
        m.set_mti(Mti::parse("0220").expect("digits"));
        m.set_text(60, "34000007000");
    };
    let named = |dialect: &str, change: &dyn Fn(&mut Message)| {
        let fixtures = Fixtures::new();
        let desk = fixtures.desk(dialect, &Fixtures::issuer("iso87-ascii"));
        let mut message = Fixtures::sale();
        change(&mut message);
        match Fixtures::ask(&desk, &message) {
            Inquiry::Event(Event::Request(request), _) => match request.refusal {
                None => Ok(request.original.map(|ask| ask.named)),
                Some(cause) => Err(cause),
            },
            other => panic!("{other:?}"),
        }
    };
    let number = Ok(Some(Named::Number(TxnId(42))));
    let trace = Ok(Some(Named::Trace { batch: 7, stan: 41 }));
    for (code, expected) in [("32", &number), ("34", &number)] {
        let by_number = |m: &mut Message| {
            tip(m);
            m.set_text(60, &format!("{code}000007000"));
            m.set_text(37, "000000000042");
        };
        assert_eq!(&named("cup-pos", &by_number), expected, "{code}");
    }
    let by_trace = |m: &mut Message| {
        tip(m);
        m.set_text(37, "000000000042");
        m.set_text(61, "000007000041");
    };
    assert_eq!(named("cup-pos", &by_trace), trace);
    assert_eq!(named("cup-pos", &tip), Err(Cause::Format));
    let points = |m: &mut Message| m.set_text(25, "65");
    assert_eq!(named("cup-pos", &points), Ok(None));
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
        assert_eq!((other_key == key, other_digest == digest), (same_key, same_digest), "{what}");
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
        let Inquiry::Event(_, named) = Fixtures::ask(&desk, &reversal) else { panic!("an event") };
        assert_eq!(named == original, same, "{field_61}");
    }
}

/// What a changed copy of the sale is beside the sale itself: its refusal, and whether identity and content are the same.
/// `unread`: elements that could not be read of it.
fn beside_the_sale(unread: Option<&[u8]>, change: Change) -> Option<(Option<Cause>, bool, bool)> {
    let fixtures = Fixtures::new();
    let desk = fixtures.desk("cup-pos", &Fixtures::issuer("iso87-ascii"));
    let of = |message: &Message, unread| match Fixtures::ask_partly(&desk, message, unread) {
        Inquiry::Event(Event::Request(request), Some(key)) => {
            Some((request.refusal, key, request.digest))
        }
        Inquiry::Refuse(Cause::Format) => None,
        other => panic!("{other:?}"),
    };
    let mut message = Fixtures::sale();
    let (_, key, digest) = of(&message, None)?;
    change(&mut message);
    let (refusal, other_key, other_digest) = of(&message, unread)?;
    Some((refusal, other_key == key, other_digest == digest))
}

#[test]
fn a_malformed_copy_keeps_its_identity_and_has_the_content_only_if_all_of_that_is_read() {
    let format = Some(Cause::Format);
    let same = Some((format, true, true));
    let other = Some((format, true, false));
    let cases: [(Option<&[u8]>, Change, _); 16] = [
        (None, |m| m.remove(4), other),
        (None, |m| m.remove(2), other),
        (None, |m| m.set_text(49, "15A"), other),
        (None, |m| m.set_text(60, "220000070"), same),
        // a void that does not say what it is of: another kind, another identity
        (
            None,
            |m| {
                m.set_text(3, "200000");
                m.set_text(60, "23000007000");
            },
            Some((format, false, false)),
        ),
        (Some(&[]), |_| {}, same),
        (Some(&[62, 64]), |_| {}, same),
        (Some(&[14]), |m| m.remove(14), same),
        (Some(&[55]), |m| m.remove(55), other),
        (Some(&[4]), |m| m.remove(4), other),
        (Some(&[35]), |_| {}, same),
        (Some(&[2]), |m| m.remove(2), other),
        // what makes the identity, or the kind
        (Some(&[3]), |m| m.remove(3), None),
        (Some(&[25]), |m| m.remove(25), None),
        (Some(&[42]), |m| m.remove(42), None),
        (Some(&[60]), |m| m.remove(60), None),
    ];
    for (at, (unread, change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(beside_the_sale(unread, change), expected, "case {at}");
    }
}

#[test]
fn a_malformed_reversal_is_refused_at_once() {
    let fixtures = Fixtures::new();
    let desk = fixtures.desk("cup-pos", &Fixtures::issuer("iso87-ascii"));
    let mut reversal = Fixtures::sale();
    reversal.set_mti(Mti::parse("0400").expect("digits"));
    reversal.set_text(61, "000007000042");
    assert!(matches!(
        Fixtures::ask_partly(&desk, &reversal, Some(&[62])),
        Inquiry::Refuse(Cause::Format)
    ));
    reversal.remove(4);
    assert!(matches!(Fixtures::ask(&desk, &reversal), Inquiry::Refuse(Cause::Format)));
}

#[test]
fn what_is_about_an_original_is_not_refused_for_its_cards_prefix() {
    let fixtures = Fixtures::new();
    let desk = fixtures.desk("cup-pos", &Fixtures::issuer("iso87-ascii"));
    let mut void = Fixtures::sale();
    void.set_text(2, "4111111111111111");
    void.set_text(3, "200000");
    void.set_text(60, "23000007000");
    void.set_text(61, "000007000041");
    void.set_text(37, "000000000042");
    let Inquiry::Event(Event::Request(request), _) = Fixtures::ask(&desk, &void) else {
        panic!("a request")
    };
    assert_eq!(request.refusal, None);
    let ask = request.original.expect("about another");
    assert_eq!((ask.rrn, ask.trace), (Some(TxnId(42)), Some((7, 41))));
    void.set_text(37, "000000000000");
    let Inquiry::Event(Event::Request(request), _) = Fixtures::ask(&desk, &void) else {
        panic!("a request")
    };
    assert_eq!(request.original.and_then(|ask| ask.rrn), None, "zeros are no number");
}

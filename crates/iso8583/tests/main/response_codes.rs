//! Response codes of the standards and of UnionPay's terminals: each is listed in the shipped dialects, with its class.
//!
//! `data/response-codes.csv` names its sources by the short names of `docs/response-codes.md`.

use iso8583::{Class, Code, Dialect};

const LIST: &str = include_str!("../data/response-codes.csv");

/// Standard, code and class of each row.
fn rows() -> Vec<(&'static str, Code, Class, usize)> {
    let mut rows = Vec::new();
    for line in LIST.lines().skip(1) {
        let (standard, rest) = line.split_once(',').expect("a standard");
        let (code, rest) = rest.split_once(',').expect("a code");
        let (rest, sources) = rest.rsplit_once(',').expect("sources");
        let (_, class) = rest.rsplit_once(',').expect("a class");
        let class = Class::from_name(class).expect("a class");
        rows.push((standard, Code::new(code).expect("a code"), class, sources.split(';').count()));
    }
    rows
}

fn check(dialect: &str, standards: &[&str], counted: usize) {
    let dialect = Dialect::shipped(dialect).expect("shipped");
    let mut seen = 0;
    for (standard, code, class, _) in rows() {
        if !standards.contains(&standard) {
            continue;
        }
        seen += 1;
        assert!(dialect.meaning(code).is_some(), "{code} of {standard} in {}", dialect.name());
        // UnionPay gives some codes of 1987 a meaning of its own
        let own = dialect.name() == "cup-pos" && standard == "iso87";
        let theirs = || rows().iter().any(|row| (row.0, row.1) == ("cup", code));
        if !(own && theirs()) {
            assert_eq!(dialect.class(code), class, "{code} of {standard} in {}", dialect.name());
        }
    }
    assert_eq!(seen, counted, "codes for {}", dialect.name());
}

#[test]
fn every_code_of_the_standards_is_listed_with_its_class() {
    for name in ["iso87-ascii", "iso87-binary", "iso87-ebcdic"] {
        check(name, &["iso87"], 72);
    }
    check("iso93-ascii", &["iso93"], 99);
    check("cup-pos", &["cup", "iso87"], 122);
}

#[test]
fn every_code_of_a_standard_was_seen_in_two_sources() {
    for (standard, code, _, sources) in rows() {
        let alone = standard == "cup" || ["916", "917"].contains(&code.as_str());
        assert!(alone || sources >= 2, "{code} of {standard} has {sources} source");
    }
}

#[test]
fn a_code_that_no_table_knows_is_unknown() {
    for name in iso8583::SHIPPED {
        let dialect = Dialect::shipped(name).expect("shipped");
        for code in ["B7", "46", "ZZ", "998", "0000"] {
            assert_eq!(dialect.class(Code::new(code).expect("a code")), Class::Unknown, "{code}");
        }
    }
}

#[test]
fn refusals_are_the_codes_that_rule_a_posting_out() {
    for name in iso8583::SHIPPED {
        let refusals = Dialect::shipped(name).expect("shipped").refusals();
        let has = |code| refusals.contains(&Code::new(code).expect("a code"));
        for code in ["05", "14", "51", "54", "55", "61", "12", "30", "57"] {
            assert!(has(code), "{code} in {name}");
        }
        for code in ["00", "08", "10", "06", "09", "68", "91", "94", "96", "98", "77", "A0"] {
            assert!(!has(code), "{code} in {name}");
        }
    }
}

#[test]
fn a_unionpay_terminal_is_told_00_for_approvals_that_it_does_not_know() {
    let dialect = Dialect::shipped("cup-pos").expect("shipped");
    for (code, told) in [
        ("08", "00"),
        ("16", "00"),
        ("Y1", "00"),
        ("00", "00"),
        ("10", "10"),
        ("11", "11"),
        ("A2", "A2"),
        ("A6", "A6"),
        ("05", "05"),
    ] {
        assert_eq!(dialect.told(Code::new(code).expect("a code")).as_str(), told, "{code}");
    }
}

#[test]
fn words_of_earlier_files_still_load() {
    for (word, class) in [
        ("approved", Class::Approved),
        ("partial", Class::Partial),
        ("refused", Class::Final),
        ("action", Class::Final),
        ("retryable", Class::Open),
        ("fault", Class::Open),
    ] {
        let text = format!(
            "base = \"iso87-ascii\"\n[codes]\n\"05\" = {{ class = \"{word}\", retry = \"never\", en = \"x\", zh = \"x\" }}\n"
        );
        let dialect = Dialect::parse("own", &text).expect("sound");
        assert_eq!(dialect.class(Code::NOT_HONOURED), class, "{word}");
    }
}

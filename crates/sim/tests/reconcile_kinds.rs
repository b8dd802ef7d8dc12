//! Every kind of transaction in a comparison of ledgers: its direction, its original, and what is named.

use sim::reconcile::{
    DifferenceKind as Kind, Ledgers, ReversalState, SwitchRow, SwitchState, reconcile,
};

use crate::reconcile::{check, compare, ledger, reversed, row};

fn of_kind(kind: &str, row: SwitchRow) -> SwitchRow {
    SwitchRow { kind: kind.into(), ..row }
}

/// The words of a line that has a kind and an original.
fn told(words: &str, kind: &str, original: &str) -> String {
    let original = if original.is_empty() { String::new() } else { format!("{original:0>12}") };
    format!("{words} ,\"kind\":\"{kind}\",\"original\":\"{original}\"")
}

/// As [`told`], of a changed amount.
fn changed(words: &str, kind: &str, original: &str, difference: i64) -> String {
    format!("{},\"difference\":{difference}", told(words, kind, original))
}

#[test]
fn every_kind_counts_in_its_direction() {
    use SwitchState::Approved;
    // Kind, event of the issuer, and what a card pays for 500 of it.
    for (kind, event, money) in [
        ("purchase", "charged", 500),
        ("void", "voided", -500),
        ("refund", "refunded", -500),
        ("pre-authorisation", "held", 0),
        ("pre-authorisation-void", "released", 0),
        ("completion", "completed", 500),
        ("completion-void", "voided", -500),
        ("completion-advice", "completed", 500),
        ("instalment", "charged", 500),
        ("instalment-void", "voided", -500),
        ("points", "charged", 500),
        ("points-void", "voided", -500),
        ("offline-sale", "charged", 500),
        ("offline-upload", "charged", 500),
        ("offline-refund", "refunded", -500),
    ] {
        let line = |words: &str| told(words, kind, "");
        let terminal = [line("sent - 000001 500"), line("approved 1 000001 500")];
        let terminal: Vec<&str> = terminal.iter().map(String::as_str).collect();
        let rows = || vec![of_kind(kind, row("1", "1", Approved, 500))];
        let posted = line(&format!("{event} 1 9 500"));
        let report = compare(&terminal, Some(rows()), &[&posted]);
        assert!(report.is_clean(), "{kind}: {report}");
        let total = report.totals["bank 156 2026-11-23"];
        assert_eq!((total.terminal, total.switch, total.issuer), (money, money, money), "{kind}");
        assert_eq!(report.cards, 1, "{kind}");

        // Taken back at the issuer, never posted, posted for another amount, and unknown to the terminal.
        let back = line("reversed 1 9 500");
        let undone = [posted.as_str(), &back];
        let kinds = [Kind::ApprovedWithoutCharge, Kind::ReversedWithoutCause];
        check(&terminal, rows(), &undone, &kinds);
        check(&terminal, rows(), &[], &[Kind::ApprovedWithoutCharge]);
        let other = line(&format!("{event} 1 9 400"));
        check(&terminal, rows(), &[&other], &[Kind::AmountDiffers]);
        let refused = [line("sent - 000001 500"), line("declined 1 000001 500")];
        let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
        let declined = vec![of_kind(kind, row("1", "1", SwitchState::Declined, 500))];
        check(&refused, declined, &[&posted], &[Kind::ChargedWithoutApproval]);
        let silent = of_kind(kind, row("1", "1", SwitchState::TimedOut, 500));
        let silent = vec![reversed(silent, ReversalState::Confirmed)];
        check(&refused, silent, &undone, &[]);
    }
}

#[test]
fn changed_amounts_count_by_their_difference() {
    use SwitchState::Approved;
    for (kind, amount, difference) in
        [("tip", 550, 50), ("adjustment", 400, -100), ("adjustment", 500, 0)]
    {
        let words = format!("approved 2 000002 {amount}");
        let terminal = [
            told("approved 1 000001 500", "offline-sale", ""),
            changed(&words, kind, "1", difference),
        ];
        let terminal: Vec<&str> = terminal.iter().map(String::as_str).collect();
        let posted = |difference| changed(&format!("adjusted 2 9 {amount}"), kind, "1", difference);
        let sale = told("charged 1 8 500", "offline-sale", "");
        let rows = |of_switch| {
            let change = of_kind(kind, row("2", "2", Approved, amount));
            vec![
                of_kind("offline-sale", row("1", "1", Approved, 500)),
                SwitchRow { difference: of_switch, original: format!("{:0>12}", 1), ..change },
            ]
        };
        for of_switch in [None, Some(difference)] {
            let report = compare(&terminal, Some(rows(of_switch)), &[&sale, &posted(difference)]);
            assert!(report.is_clean(), "{report}");
            let total = report.totals["bank 156 2026-11-23"];
            let sum = 500 + difference;
            assert_eq!((total.terminal, total.switch, total.issuer), (sum, sum, sum));
        }
        let wrong = [sale.as_str(), &posted(difference + 7)];
        check(&terminal, rows(None), &wrong, &[Kind::AmountDiffers]);
        check(
            &terminal,
            rows(Some(difference + 7)),
            &[&sale, &posted(difference)],
            &[Kind::TotalsDiffer],
        );
        check(&terminal, rows(None), &[&sale], &[Kind::ApprovedWithoutCharge]);
    }
}

#[test]
fn what_is_not_delivered_and_what_was_refused_is_named() {
    use SwitchState::{Accepted, Disputed};
    let terminal = told("approved 1 000001 500", "refund", "");
    let posted = told("refunded 1 9 500", "refund", "");
    let refused = told("declined 1 9 500", "refund", "");
    let rows = |state| vec![of_kind("refund", row("1", "1", state, 500))];
    check(&[&terminal], rows(Accepted), &[], &[Kind::DeliveryOpen]);
    check(&[&terminal], rows(Accepted), &[&posted], &[Kind::DeliveryOpen]);
    check(&[&terminal], rows(Disputed), &[&refused], &[Kind::AdviceRefused]);
    check(&[&terminal], rows(Disputed), &[&posted], &[Kind::StateDiffers, Kind::AdviceRefused]);
    let declined = told("declined 1 000001 500", "refund", "");
    check(&[&declined], rows(Disputed), &[&refused], &[Kind::StateDiffers, Kind::AdviceRefused]);
    // A marked repeat is no second forward.
    let again = told("repeated 1 9 500", "refund", "");
    check(&[&terminal], rows(SwitchState::Approved), &[&posted, &again], &[]);
    for (name, state) in [("accepted", Accepted), ("disputed", Disputed)] {
        assert_eq!((SwitchState::from_name(name), state.name()), (Some(state), name));
    }
}

/// RRN, kind, RRN of the original, amount.
type About<'a> = (&'a str, &'a str, &'a str, i64);

#[test]
fn originals_agree_and_no_more_is_undone_than_done() {
    use SwitchState::Approved;
    let cases: &[(&[About<'_>], &[Kind])] = &[
        // RRN, kind, original, amount; and what is wrong with them together.
        (&[("1", "purchase", "", 500), ("2", "refund", "1", 200), ("3", "refund", "1", 300)], &[]),
        (
            &[("1", "purchase", "", 500), ("2", "refund", "1", 300), ("3", "refund", "1", 300)],
            &[Kind::OverUndone],
        ),
        (
            &[("1", "purchase", "", 500), ("2", "void", "1", 500), ("3", "refund", "1", 1)],
            &[Kind::OverUndone],
        ),
        (&[("1", "pre-authorisation", "", 500), ("2", "completion", "1", 575)], &[]),
        (
            &[
                ("1", "pre-authorisation", "", 500),
                ("2", "completion", "1", 500),
                ("3", "pre-authorisation-void", "1", 500),
            ],
            &[Kind::OverUndone],
        ),
        (
            &[
                ("1", "pre-authorisation", "", 500),
                ("2", "completion", "1", 500),
                ("3", "completion-void", "2", 500),
            ],
            &[],
        ),
    ];
    let event = |kind: &str| match kind {
        "purchase" => "charged",
        "void" | "completion-void" => "voided",
        "refund" => "refunded",
        "pre-authorisation" => "held",
        "completion" => "completed",
        _ => "released",
    };
    for (lines, expected) in cases {
        let line = |event: &str, (rrn, kind, original, amount): &About<'_>| {
            told(&format!("{event} {rrn} {rrn:0>6} {amount}"), kind, original)
        };
        let terminal: Vec<String> = lines.iter().map(|of| line("approved", of)).collect();
        let issuer: Vec<String> = lines.iter().map(|of| line(event(of.1), of)).collect();
        let rows = lines
            .iter()
            .map(|(rrn, kind, _, amount)| of_kind(kind, row(rrn, rrn, Approved, *amount)));
        let terminal: Vec<&str> = terminal.iter().map(String::as_str).collect();
        let issuer: Vec<&str> = issuer.iter().map(String::as_str).collect();
        check(&terminal, rows.collect(), &issuer, expected);
    }
    let sales = ["approved 1 000001 500", "approved 2 000002 500"];
    let void = |words: &str, original: &str| told(words, "void", original);
    let terminal = [sales[0], sales[1], &void("approved 3 000003 500", "1")];
    let issuer =
        ["charged 1 000001 500", "charged 2 000002 500", &void("voided 3 000003 500", "2")];
    let rows = || {
        let void = of_kind("void", row("3", "3", Approved, 500));
        vec![row("1", "1", Approved, 500), row("2", "2", Approved, 500), void]
    };
    check(&terminal, rows(), &issuer, &[Kind::OriginalDiffers]);
}

#[test]
fn cards_are_compared_to_the_last_minor_unit() {
    // Each transaction agrees in amount, and one is on another card: the sums of two cards differ.
    let terminal = ["approved 1 000001 500", "approved 2 000002 500"];
    let issuer = ["charged 1 8 500", "charged 2 9 500"];
    let rows =
        vec![row("1", "1", SwitchState::Approved, 500), row("2", "2", SwitchState::Approved, 500)];
    let dir = tempfile::tempdir().expect("a directory");
    let terminals = vec![ledger(dir.path(), "t", "terminal", &terminal)];
    let path = ledger(dir.path(), "i", "issuer", &issuer);
    let text = std::fs::read_to_string(&path).expect("read");
    let other = text.replacen("\"pan_hash\":\"c\"", "\"pan_hash\":\"d\"", 1);
    std::fs::write(&path, other).expect("written");
    let report =
        reconcile(&Ledgers { terminals, issuers: vec![path] }, Some(rows)).expect("readable");
    let differ: Vec<_> = report
        .cards_that_differ
        .iter()
        .map(|(card, net)| (card.as_str(), net.terminal, net.issuer))
        .collect();
    assert_eq!(differ, [("c", 1000, 500), ("d", 0, 500)]);
    assert_eq!(report.cards, 2);
}

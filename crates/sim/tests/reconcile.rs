//! Each kind of difference is planted once, and named.

use std::path::{Path, PathBuf};

use sim::reconcile::{
    DifferenceKind as Kind, Ledgers, Report, ReversalState, SwitchRow, SwitchState, reconcile,
};

/// Lines of a ledger as short words: `approved 7 000001 500` is event, RRN, STAN, amount.
fn ledger(dir: &Path, name: &str, role: &str, events: &[&str]) -> PathBuf {
    let mut text = String::new();
    for event in events {
        let words: Vec<&str> = event.split(' ').collect();
        let (event, rrn, stan, amount) = (words[0], words[1], words[2], words[3]);
        let rrn = if rrn == "-" { String::new() } else { format!("{rrn:0>12}") };
        let more = words[4..].join(" ");
        text += &format!(
            "{{\"at\":\"2026-11-23T09:00:00Z\",\"role\":\"{role}\",\"event\":\"{event}\",\"rrn\":\"{rrn}\",\
             \"stan\":\"{stan}\",\"terminal\":\"T1\",\"merchant\":\"M1\",\"amount\":{amount},\
             \"currency\":\"156\",\"pan_hash\":\"c\"{more}}}\n"
        );
    }
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

fn row(rrn: &str, stan: &str, state: SwitchState, amount: i64) -> SwitchRow {
    let approved = if state == SwitchState::Approved { amount } else { 0 };
    SwitchRow {
        rrn: format!("{rrn:0>12}"),
        state,
        kind: "purchase".into(),
        amount,
        approved,
        currency: "156".into(),
        terminal: "T1".into(),
        merchant: "M1".into(),
        stan: stan.into(),
        batch: String::new(),
        issuer: "bank".into(),
        day: "2026-11-23".into(),
        original: String::new(),
        difference: None,
        reversal: None,
    }
}

fn reversed(row: SwitchRow, state: ReversalState) -> SwitchRow {
    SwitchRow { reversal: Some(state), ..row }
}

fn compare(terminal: &[&str], rows: Option<Vec<SwitchRow>>, issuer: &[&str]) -> Report {
    let dir = tempfile::tempdir().expect("a directory");
    let terminals = vec![ledger(dir.path(), "t", "terminal", terminal)];
    let issuers = vec![ledger(dir.path(), "i", "issuer", issuer)];
    reconcile(&Ledgers { terminals, issuers }, rows).expect("readable")
}

fn check(terminal: &[&str], rows: Vec<SwitchRow>, issuer: &[&str], expected: &[Kind]) {
    let report = compare(terminal, Some(rows), issuer);
    let found: Vec<Kind> = report.by_kind().into_keys().collect();
    assert_eq!(found, expected, "{terminal:?} {issuer:?}\n{report}");
}

#[test]
fn ledgers_that_agree_have_no_difference() {
    use SwitchState::{Approved, Declined, NeverSent, ReversedBeforeArrival, TimedOut, Undone};
    let terminal = [
        "sent - 000001 500",
        "approved 1 000001 500",
        "sent - 000002 600",
        "declined 2 000002 600",
        "sent - 000003 700",
        "declined 3 000003 700",
        "sent - 000004 800",
        "unanswered - 000004 800",
        "reversed 4 000004 800",
        "sent - 000005 900",
        "unanswered - 000005 900",
        "reversed - 000005 900",
        "sent - 000006 950",
        "declined - 000006 950",
    ];
    let rows = vec![
        row("1", "000001", Approved, 500),
        row("2", "000002", Declined, 600),
        reversed(row("3", "000003", TimedOut, 700), ReversalState::Confirmed),
        reversed(row("4", "000004", Undone, 800), ReversalState::Confirmed),
        row("5", "000005", ReversedBeforeArrival, 900),
        row("6", "000006", NeverSent, 950),
    ];
    let issuer = [
        "charged 1 900001 500",
        "declined 2 900002 600",
        "charged 3 900003 700",
        "reversed 3 900003 700",
        "reversal_repeated 3 900003 700",
        "charged 4 900004 800",
        "reversed 4 900004 800",
    ];
    check(&terminal, rows.clone(), &issuer, &[]);
    let report = compare(&terminal, Some(rows), &issuer);
    assert!(report.is_clean());
    assert_eq!(report.transactions, 6);
    let total = report.totals["bank 156 2026-11-23"];
    assert_eq!((total.terminal, total.switch, total.issuer), (500, 500, 500));
    assert_eq!(report.terminals["M1 T1"].issuer, 500);
    assert!(report.to_string().contains("6 transactions, 0 differences"), "{report}");
}

#[test]
fn each_planted_difference_is_named() {
    use SwitchState::{Approved, Declined, InFlight, TimedOut, Undone};
    let approved = || vec![row("1", "1", Approved, 500)];
    let sale = ["sent - 000001 500", "approved 1 000001 500"];
    let charged = ["charged 1 9 500"];
    let twice = ["charged 1 9 500", "charged 1 9 500"];
    check(&sale, approved(), &twice, &[Kind::ChargedTwice, Kind::AmountDiffers]);
    check(&sale, approved(), &["charged 1 9 500", "duplicate 1 9 500"], &[Kind::ForwardedTwice]);
    check(&sale, approved(), &[], &[Kind::ApprovedWithoutCharge]);
    check(
        &sale,
        approved(),
        &["charged 1 9 500", "reversed 1 9 500"],
        &[Kind::ApprovedWithoutCharge, Kind::ReversedWithoutCause],
    );
    check(&sale, approved(), &["charged 1 9 400"], &[Kind::AmountDiffers]);
    check(&sale, vec![row("1", "1", Approved, 400)], &charged, &[Kind::AmountDiffers]);
    let dollars = SwitchRow { currency: "840".into(), ..row("1", "1", Approved, 500) };
    check(&sale, vec![dollars], &charged, &[Kind::CurrencyDiffers]);
    check(&sale, vec![], &charged, &[Kind::ForwardedWithoutRow, Kind::ApprovedWithoutRow]);
    check(&[], vec![], &charged, &[Kind::ChargedWithoutApproval, Kind::ForwardedWithoutRow]);
    check(&[], vec![], &["reversal_unmatched 1 9 500"], &[Kind::ForwardedWithoutRow]);
    check(&[], approved(), &charged, &[Kind::ChargedWithoutApproval, Kind::NotSent]);

    let declined = ["sent - 000001 500", "declined 1 000001 500"];
    let refused = vec![row("1", "1", Declined, 500)];
    check(&declined, refused, &charged, &[Kind::ChargedWithoutApproval]);
    check(&declined, approved(), &charged, &[Kind::ChargedWithoutApproval, Kind::StateDiffers]);
    let gone = ["sent - 000001 500", "unanswered - 000001 500"];
    let confirmed = reversed(row("1", "1", TimedOut, 500), ReversalState::Confirmed);
    check(&gone, vec![confirmed], &charged, &[Kind::ChargedWithoutApproval]);
    check(&gone, approved(), &[], &[Kind::ApprovedWithoutCharge]);
    let owed = reversed(row("1", "1", Undone, 500), ReversalState::Owed);
    let undone = ["charged 1 9 500", "reversed 1 9 500"];
    check(&gone, vec![owed], &undone, &[Kind::ReversalOpen]);
    check(&gone, vec![row("1", "1", InFlight, 500)], &[], &[Kind::OutcomeOpen]);
    let two = ["sent - 000001 500", "approved 1 000001 500", "approved 2 000001 500"];
    check(&two, approved(), &charged, &[Kind::AnswersDiffer]);
}

#[test]
fn a_terminal_that_never_came_back_is_listed_and_no_difference() {
    let gone = ["sent - 000001 500", "unanswered - 000001 500"];
    let rows = vec![row("1", "1", SwitchState::Approved, 500)];
    let report = compare(&gone, Some(rows), &["charged 1 9 500"]);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.delivery_unknown.len(), 1);
    assert_eq!(report.totals["bank 156 2026-11-23"].delivery_unknown, 500);
}

#[test]
fn a_stan_used_again_is_another_request() {
    let terminal = [
        "sent - 000001 500 ,\"batch\":\"000001\"",
        "approved 1 000001 500 ,\"batch\":\"000001\"",
        "sent - 000001 600 ,\"batch\":\"000002\"",
        "unanswered - 000001 600 ,\"batch\":\"000002\"",
    ];
    let rows = vec![
        reversed(row("2", "1", SwitchState::TimedOut, 600), ReversalState::Withdrawn),
        row("1", "1", SwitchState::Approved, 500),
    ];
    check(&terminal, rows, &["charged 1 9 500"], &[]);
}

#[test]
fn balance_enquiries_move_no_money_and_are_passed_over() {
    let enquiry = ",\"kind\":\"balance-enquiry\"";
    let terminal = format!("approved 1 000001 0 {enquiry}");
    let issuer = [format!("enquired 1 9 0 {enquiry}"), format!("declined 2 9 0 {enquiry}")];
    let issuer = [issuer[0].as_str(), issuer[1].as_str()];
    let row =
        SwitchRow { kind: "balance-enquiry".into(), ..row("3", "3", SwitchState::InFlight, 0) };
    check(&[&terminal], vec![row], &issuer, &[]);
    check(&[&terminal], vec![], &issuer, &[]);
}

#[test]
fn terminals_and_issuers_are_compared_without_a_switch() {
    let terminal = [
        "sent - 000001 500",
        "approved 1 000001 500",
        "sent - 000002 600",
        "unanswered - 000002 600",
        "reversed - 000002 600",
    ];
    let no_rows: Option<Vec<SwitchRow>> = None;
    let good = ["charged 1 000001 500", "charged 2 000002 600", "reversed 2 000002 600"];
    let report = compare(&terminal, no_rows.clone(), &good);
    assert!(report.is_clean() && !report.through_switch, "{report}");
    let report = compare(&terminal, no_rows, &good[..2]);
    assert_eq!(report.by_kind().into_keys().collect::<Vec<_>>(), [Kind::ChargedWithoutApproval]);
}

#[test]
fn cards_are_compared_where_they_are_named_alike() {
    let terminal = ["approved 1 000001 500", "approved 2 000002 500"];
    let rows = || {
        Some(vec![
            row("1", "1", SwitchState::Approved, 500),
            row("2", "2", SwitchState::Approved, 500),
        ])
    };
    let dir = tempfile::tempdir().expect("a directory");
    let mut issuer = ledger(dir.path(), "i", "issuer", &["charged 1 8 500", "charged 2 9 500"]);
    let terminals = vec![ledger(dir.path(), "t", "terminal", &terminal)];
    let mut kinds = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&issuer).expect("read");
        issuer = dir.path().join("other");
        std::fs::write(&issuer, text.replacen(from, to, 1)).expect("written");
        let ledgers = Ledgers { terminals: terminals.clone(), issuers: vec![issuer.clone()] };
        reconcile(&ledgers, rows()).expect("readable").by_kind().into_keys().collect::<Vec<_>>()
    };
    let name = "\"pan_hash\":\"c\"";
    assert_eq!(kinds(name, "\"pan_hash\":\"d\""), [Kind::CardDiffers]);
    // None agrees: the two name cards in different ways.
    assert!(kinds(name, "\"pan_hash\":\"e\"").is_empty());
}

#[test]
fn bad_lines_are_told_with_their_place_and_the_rest_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let terminals = vec![ledger(dir.path(), "t", "terminal", &["approved 1 000001 500"])];
    let path = ledger(dir.path(), "i", "issuer", &["charged 1 9 500"]);
    let good = std::fs::read_to_string(&path).expect("read");
    std::fs::write(&path, format!("not json\n\n{good}{{\"role\":\"issuer\"}}\n\u{0}\n"))
        .expect("written");
    let ledgers = Ledgers { terminals, issuers: vec![path.clone()] };
    let rows = vec![row("1", "1", SwitchState::Approved, 500)];
    let report = reconcile(&ledgers, Some(rows)).expect("readable");
    assert!(report.differences.is_empty() && !report.is_clean(), "{report}");
    let lines: Vec<u64> = report.bad_lines.iter().map(|bad| bad.line).collect();
    assert_eq!(lines, [1, 4, 5]);
    assert!(report.to_string().contains(&format!("{}:4: missing field `event`", path.display())));
    let nowhere = Ledgers { terminals: vec![dir.path().join("no")], issuers: vec![] };
    assert!(reconcile(&nowhere, None::<Vec<SwitchRow>>).is_err());
}

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

//! Each kind of difference is planted once, and named.

use std::path::{Path, PathBuf};

use sim::reconcile::{
    DifferenceKind as Kind, Ledgers, Report, ReversalState, SwitchRow, SwitchState, reconcile,
};

/// Lines of a ledger as short words: `approved 7 000001 500` is event, RRN, STAN, amount.
pub(crate) fn ledger(dir: &Path, name: &str, role: &str, events: &[&str]) -> PathBuf {
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

pub(crate) fn row(rrn: &str, stan: &str, state: SwitchState, amount: i64) -> SwitchRow {
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

pub(crate) fn reversed(row: SwitchRow, state: ReversalState) -> SwitchRow {
    SwitchRow { reversal: Some(state), ..row }
}

pub(crate) fn compare(terminal: &[&str], rows: Option<Vec<SwitchRow>>, issuer: &[&str]) -> Report {
    let dir = tempfile::tempdir().expect("a directory");
    let terminals = vec![ledger(dir.path(), "t", "terminal", terminal)];
    let issuers = vec![ledger(dir.path(), "i", "issuer", issuer)];
    reconcile(&Ledgers { terminals, issuers }, rows).expect("readable")
}

pub(crate) fn check(terminal: &[&str], rows: Vec<SwitchRow>, issuer: &[&str], expected: &[Kind]) {
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

//! Each scripted behaviour of an issuer, and each misbehaviour of terminals, seen from the other side.

use sim::issuer::Script;

use crate::floor::{Ended, Floor};

const SHORT: &str = "timeout = \"300ms\"\ncards = 50\n";

async fn script(rule: &str, sales: u64) -> (Floor, Ended) {
    let floor = Floor::new("cup-pos");
    let script = Script::from_toml(rule).expect("a script");
    let ended = floor.sell(script, sales, SHORT).await;
    assert_eq!(ended.summary.unknown, 0, "{}", ended.summary);
    (floor, ended)
}

fn error(ended: &Ended, name: &str) -> u64 {
    ended.summary.errors.get(name).copied().unwrap_or(0)
}

/// A behaviour shown to every fourth sale leaves ledgers that agree.
async fn check(name: &str, more: &str, codes: &[&str], errors: &[&str]) -> Ended {
    let rule = format!("[[rule]]\non = \"purchase\"\nevery = 4\ndo = \"{name}\"\n{more}");
    let (_, ended) = script(&rule, 80).await;
    let Ended { summary, counts, report } = &ended;
    assert!(report.is_clean(), "{name}: {report}\n{summary}");
    assert!(counts.shown.get(name).is_some_and(|shown| *shown >= 20), "{name}: {counts:?}");
    for code in codes {
        assert!(summary.codes.contains_key(*code), "{name}: {summary}");
    }
    for name in errors {
        assert!(summary.errors.contains_key(name), "{name}: {summary}");
    }
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_declines_and_approves_in_part() {
    let ended = check("decline", "code = \"51\"", &["00", "51"], &[]).await;
    assert_eq!(ended.summary.codes["51"], 20);
    assert!(ended.summary.errors.is_empty());
    // A terminal that did not ask for a partial approval reverses it.
    check("partial", "percent = 30", &["00"], &["wrong amount"]).await;
    let floor = Floor::new("cup-pos");
    let rule = "[[rule]]\nevery = 4\ndo = \"partial\"";
    let script = Script::from_toml(rule).expect("a script");
    let ended = floor.sell(script, 40, "partial = true").await;
    assert_eq!(ended.summary.codes["10"], 10);
    assert!(ended.report.is_clean() && ended.summary.is_sound(), "{}", ended.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_lateness_are_reversed() {
    let ended = check("silent", "", &["00"], &["unanswered"]).await;
    assert_eq!(ended.counts.postings.reversed, 20);
    let ended = check("silent", "posting = \"never\"", &["00"], &["unanswered"]).await;
    assert_eq!((ended.counts.postings.reversed, ended.counts.postings.unmatched), (0, 20));
    check("late", "for = \"400ms\"", &["00"], &["unanswered", "late answer"]).await;
    // Posted when it is due: after its reversal, which has to win.
    let ended =
        check("late", "for = \"400ms\"\nposting = \"then\"", &["00"], &["unanswered"]).await;
    assert_eq!((ended.counts.postings.charged, ended.counts.postings.unmatched), (60, 20));
    let ended = check("delay", "for = \"50ms\"", &["00"], &[]).await;
    assert_eq!((error(&ended, "unanswered"), ended.counts.postings.charged), (0, 80));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_are_refused_and_reversed() {
    let twice = check("twice", "", &["00"], &["late answer"]).await;
    assert_eq!((twice.counts.postings.charged, twice.counts.postings.reversed), (80, 0));
    check("wrong-stan", "", &["00"], &["unanswered"]).await;
    check("wrong-amount", "", &["00"], &["wrong amount"]).await;
    check("wrong-currency", "", &["00"], &["wrong currency"]).await;
    check("wrong-terminal", "", &["00"], &["answer to another terminal"]).await;
    check("malformed", "", &["00"], &["unreadable answer", "unanswered"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_break() {
    check("hang-up", "", &["00"], &["connection lost", "unanswered"]).await;
    check("hang-up", "posting = \"never\"", &["00"], &["connection lost"]).await;
    check("stop-reading", "for = \"20ms\"", &["00"], &[]).await;
    let rule = "[[rule]]\nevery = 30\ndo = \"refuse\"\nfor = \"200ms\"";
    let (_, ended) = script(rule, 100).await;
    assert!(ended.report.is_clean(), "{}", ended.report);
    assert!(ended.counts.shown["refuse"] >= 1, "{:?}", ended.counts);
    assert!(error(&ended, "connection lost") >= 8, "{}", ended.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn reversals_are_repeated_until_they_are_confirmed() {
    let rule = "reversed_already = \"25\"\n[[rule]]\nevery = 4\ndo = \"silent\"\n\
                [[rule]]\non = \"reversal\"\ncopies = 1\ndo = \"silent\"\n\
                [[rule]]\non = \"reversal\"\ncopies = 2\nprobability = 0.5\ndo = \"decline\"\ncode = \"96\"";
    let (floor, ended) = script(rule, 40).await;
    assert!(ended.report.is_clean(), "{}", ended.report);
    assert_eq!(ended.counts.postings.reversed, 10);
    assert!(ended.counts.postings.reversed_again >= 5, "{:?}", ended.counts);
    assert!(error(&ended, "reversal refused") >= 1, "{}", ended.summary);
    let confirmed = floor.lines("terminals").into_iter().filter(|line| line["event"] == "reversed");
    assert!(confirmed.filter(|line| line["code"] == "25").count() >= 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn terminals_misbehave_and_the_ledgers_agree() {
    let floor = Floor::new("cup-pos");
    let mix = "timeout = \"300ms\"\n[faults]\nrepeat = 0.08\ndouble = 0.08\nimpatient = 0.08\n\
               give_up = 0.08\npatience = \"20ms\"\nreverse = 0.08\nvanish = 0.08\nvanish_repeat = 0.08\n\
               reverse_first = 0.08\naway = \"30ms\"";
    let rule = "[[rule]]\nprobability = 0.2\ndo = \"delay\"\nfor = \"60ms\"";
    let ended = floor.sell(Script::from_toml(rule).expect("a script"), 600, mix).await;
    let Ended { summary, counts, report } = &ended;
    assert!(report.is_clean() && summary.is_sound(), "{report}\n{summary}");
    for fault in [
        "repeat",
        "double",
        "impatient",
        "give_up",
        "reverse",
        "vanish",
        "vanish_repeat",
        "reverse_first",
        "answered alike",
    ] {
        assert!(summary.faults.get(fault).is_some_and(|count| *count >= 10), "{fault}: {summary}");
    }
    assert!(counts.postings.repeated >= 40 && counts.postings.duplicates == 0, "{counts:?}");
    assert!(counts.postings.reversed >= 40 && counts.postings.unmatched >= 10, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_never_comes_back_is_listed() {
    let floor = Floor::new("iso87-ascii");
    let ended = floor.sell(Script::approving(), 100, "[faults]\nlost = 0.2").await;
    let Ended { summary, counts, report } = &ended;
    let lost = summary.faults["lost"];
    assert!(lost >= 8 && summary.unknown == 0, "{summary}");
    assert!(report.is_clean(), "{report}");
    let listed = u64::try_from(report.delivery_unknown.len()).expect("few");
    assert_eq!(listed, lost);
    assert_eq!(counts.postings.charged, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_script_the_amount_decides() {
    let floor = Floor::new("cup-pos");
    let mix = "timeout = \"200ms\"\n[amounts]\nendings = [[51, 0.2], [90, 0.1], [92, 0.1], [93, 0.1], [94, 0.1]]";
    let ended = floor.sell(Script::by_amount(), 200, mix).await;
    assert!(ended.report.is_clean(), "{}", ended.report);
    let shown = &ended.counts.shown;
    for name in ["decline", "silent", "twice", "wrong-amount", "hang-up"] {
        assert!(shown.get(name).is_some_and(|count| *count >= 5), "{name}: {shown:?}");
    }
    assert!(ended.counts.rules.iter().any(|(name, hits)| name == "amount ..51" && *hits >= 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_faults_of_an_issuer_are_found() {
    use sim::reconcile::DifferenceKind as Kind;
    // It approves without charging.
    let (_, ended) =
        script("[[rule]]\nevery = 10\ndo = \"approve\"\nposting = \"never\"", 40).await;
    assert_eq!(
        ended.report.by_kind().into_iter().collect::<Vec<_>>(),
        [(Kind::ApprovedWithoutCharge, 4)]
    );
    // It confirms reversals without reversing.
    let rule = "[[rule]]\nevery = 10\ndo = \"silent\"\n\
                [[rule]]\non = \"reversal\"\ndo = \"decline\"\ncode = \"00\"";
    let (_, ended) = script(rule, 40).await;
    assert_eq!(
        ended.report.by_kind().into_iter().collect::<Vec<_>>(),
        [(Kind::ChargedWithoutApproval, 4)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_is_never_taken_is_given_up_and_is_no_planted_fault() {
    let floor = Floor::new("cup-pos");
    let rule = "[[rule]]\non = \"advice\"\ndo = \"decline\"\ncode = \"98\"";
    let script = Script::from_toml(rule).expect("a script");
    let ended = floor.sell(script, 8, "[kinds]\noffline-sale = 1").await;
    let Ended { summary, counts, report } = &ended;
    assert_eq!((summary.errors["notice given up"], counts.received), (8, 8 * 20), "{summary}");
    assert!(summary.faults.is_empty() && summary.is_sound(), "{summary}");
    assert!(report.is_clean(), "{report}");
}

//! The comparison itself: reads the ledgers, joins them, has each transaction judged, and adds up.

use std::collections::HashMap;
use std::path::PathBuf;

use super::issuers::{Issuers, Posting};
use super::judge::{Case, Findings, judge, kind_of};
use super::kinds::{adjusts, direction};
use super::report::{Difference, DifferenceKind, Net, Report};
use super::row::SwitchRow;
use super::taken::over_undone;
use super::terminals::{Request, Sender, Terminals};
use crate::ledger::{BadLine, LedgerError, LedgerReader, Role};
use crate::text::Text;

/// The ledger files of a comparison.
#[derive(Debug, Clone, Default)]
pub struct Ledgers {
    /// Of terminals.
    pub terminals: Vec<PathBuf>,
    /// Of issuers, one an issuer; an issuer is named by its file where the switch does not name it.
    pub issuers: Vec<PathBuf>,
}

/// Compares ledgers with each other and with the switch's rows; without rows, terminals and issuers directly.
///
/// Reads each ledger once and keeps a few hundred bytes a transaction. A line that cannot be read is reported and passed
/// over.
///
/// # Errors
/// A ledger file cannot be opened.
pub fn reconcile<R>(ledgers: &Ledgers, rows: Option<R>) -> Result<Report, LedgerError>
where
    R: IntoIterator<Item = SwitchRow>,
{
    let mut bad_lines = Vec::new();
    let (mut terminals, mut issuers) = (Terminals::default(), Issuers::default());
    for path in &ledgers.terminals {
        read(path, Role::Terminal, &mut bad_lines, |line| terminals.add(line))?;
    }
    for (number, path) in ledgers.issuers.iter().enumerate() {
        read(path, Role::Issuer, &mut bad_lines, |line| issuers.add(number, line))?;
    }
    let through_switch = rows.is_some();
    let names = ledgers.issuers.iter().map(|path| name_of(path)).collect();
    let report = Report { through_switch, bad_lines, ..Report::default() };
    let mut book = Book { report, names, cards: Cards::default() };
    for row in rows.into_iter().flatten().filter(|row| row.kind != "balance-enquiry") {
        let sender = Sender::new(&row.merchant, &row.terminal, &row.stan);
        let request = terminals.join(&sender, &row.rrn, (&row.batch, &row.kind));
        let posting = issuers.join(&row.rrn);
        book.take(request.as_ref(), Some(&row), posting.as_ref());
    }
    for request in terminals.requests.iter().filter(|request| !request.joined) {
        let by_rrn =
            (!request.rrn.is_empty()).then(|| issuers.join(request.rrn.as_str())).flatten();
        let posting = match by_rrn {
            None if !through_switch => issuers.join_sender(&request.sender),
            by_rrn => by_rrn,
        };
        book.take(Some(request), None, posting.as_ref());
    }
    for posting in issuers.postings.iter().filter(|posting| !posting.joined) {
        book.take(None, None, Some(posting));
    }
    for (original, detail) in over_undone(&issuers) {
        let kind = DifferenceKind::OverUndone;
        let about = describe(None, None, Some(&original));
        book.report.differences.push(Difference { kind, detail, ..about });
    }
    Ok(book.close())
}

fn read(
    path: &std::path::Path,
    role: Role,
    bad: &mut Vec<BadLine>,
    mut add: impl FnMut(&crate::ledger::Line<'_>),
) -> Result<(), LedgerError> {
    let mut reader = LedgerReader::open(path)?;
    reader.for_each(
        |line| {
            if line.role == role {
                add(&line);
            }
        },
        |fault| bad.push(fault),
    );
    Ok(())
}

fn name_of(path: &std::path::Path) -> String {
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

/// What was found so far.
struct Book {
    report: Report,
    names: Vec<String>,
    cards: Cards,
}

/// Cards are compared only where both sides name them in the same way, which shows when any pair agrees.
#[derive(Default)]
struct Cards {
    agreed: u64,
    totals: HashMap<Text<32>, Net>,
    differed: Vec<Difference>,
}

impl Book {
    fn take(
        &mut self,
        terminal: Option<&Request>,
        switch: Option<&SwitchRow>,
        issuer: Option<&Posting>,
    ) {
        let through_switch = self.report.through_switch;
        let case = Case { terminal, switch, issuer, through_switch };
        let findings = judge(case);
        let about = || describe(terminal, switch, issuer);
        if let (Some(request), Some(posting)) = (terminal, issuer)
            && !request.card.is_empty()
            && !posting.card.is_empty()
        {
            if request.card == posting.card {
                self.cards.agreed += 1;
            } else {
                let detail = format!("terminal {}, issuer {}", request.card, posting.card);
                let kind = DifferenceKind::CardDiffers;
                self.cards.differed.push(Difference { kind, detail, ..about() });
            }
        }
        self.add_up(case, &findings);
        if findings.delivery_unknown {
            let detail = "charged, and the terminal never came back".to_owned();
            self.report.delivery_unknown.push(Difference { detail, ..about() });
        }
        for (kind, detail) in findings.differences {
            self.report.differences.push(Difference { kind, detail, ..about() });
        }
    }

    fn add_up(&mut self, case: Case<'_>, findings: &Findings) {
        let Case { terminal, switch, issuer, .. } = case;
        self.report.transactions += 1;
        let about = describe(terminal, switch, issuer);
        let kind = kind_of(case);
        let posted = issuer.map_or(0, |posting| posting.money(kind));
        let net = Net {
            count: 1,
            terminal: terminal.map_or(0, Request::money),
            switch: switch.map_or(0, |row| money_of(row, terminal, issuer)),
            issuer: posted,
            delivery_unknown: if findings.delivery_unknown { posted } else { 0 },
        };
        let sides = [
            (terminal.map(|request| request.card), Net { issuer: 0, ..net }),
            (issuer.map(|posting| posting.card), Net { terminal: 0, delivery_unknown: 0, ..net }),
        ];
        for (card, net) in sides {
            if let Some(card) = card.filter(|card| !card.is_empty()) {
                add_net(self.cards.totals.entry(card).or_default(), net);
            }
        }
        let of_file = || issuer.and_then(|posting| self.names.get(posting.issuer)).cloned();
        let issuer_name = switch
            .map(|row| row.issuer.clone())
            .filter(|name| !name.is_empty())
            .or_else(of_file)
            .unwrap_or_else(|| "none".to_owned());
        let day = switch.map_or("-", |row| row.day.as_str());
        let total = format!("{issuer_name} {} {day}", about.currency);
        add_net(self.report.totals.entry(total).or_default(), net);
        let terminal = format!("{} {}", about.merchant, about.terminal);
        add_net(self.report.terminals.entry(terminal).or_default(), net);
    }

    fn close(mut self) -> Report {
        if self.cards.agreed > 0 {
            self.report.differences.append(&mut self.cards.differed);
            let cards = self.cards.totals.iter();
            let wrong = cards.clone().filter(|(_, net)| !net.agrees(false));
            self.report.cards = u64::try_from(cards.count()).unwrap_or(u64::MAX);
            let wrong = wrong.map(|(card, net)| (card.to_string(), *net));
            self.report.cards_that_differ = wrong.collect();
        } else if !self.cards.differed.is_empty() {
            tracing::warn!("terminals and issuers name cards in different ways: not compared");
        }
        if self.report.differences.is_empty() {
            let through_switch = self.report.through_switch;
            let totals = self.report.totals.iter().chain(&self.report.terminals);
            let wrong = totals.filter(|(_, net)| !net.agrees(through_switch));
            let wrong = wrong.chain(&self.report.cards_that_differ);
            let found = wrong.map(|(name, net)| Difference {
                kind: DifferenceKind::TotalsDiffer,
                detail: format!("{name}: {net:?}"),
                ..describe(None, None, None)
            });
            self.report.differences = found.collect();
        }
        self.report.differences.sort_by(|a, b| (a.kind, &a.rrn).cmp(&(b.kind, &b.rrn)));
        self.report
    }
}

/// What the switch takes for taken from the card. Where it does not say by how much it changed an amount, that is the
/// difference to what the others had before.
fn money_of(row: &SwitchRow, terminal: Option<&Request>, issuer: Option<&Posting>) -> i64 {
    if !row.state.is_approval() {
        return 0;
    }
    if !adjusts(&row.kind) {
        return row.told() * direction(&row.kind);
    }
    row.difference.unwrap_or_else(|| {
        let of_terminal = terminal.map(|request| request.approved - request.difference);
        let of_issuer = issuer.map(|posting| posting.amount - posting.net);
        row.told() - of_terminal.or(of_issuer).unwrap_or(0)
    })
}

fn add_net(sum: &mut Net, net: Net) {
    sum.count += net.count;
    sum.terminal += net.terminal;
    sum.switch += net.switch;
    sum.issuer += net.issuer;
    sum.delivery_unknown += net.delivery_unknown;
}

/// Which transaction it is, by whoever knows.
fn describe(
    terminal: Option<&Request>,
    switch: Option<&SwitchRow>,
    issuer: Option<&Posting>,
) -> Difference {
    let sender = terminal
        .map(|request| request.sender)
        .or_else(|| switch.map(|row| Sender::new(&row.merchant, &row.terminal, &row.stan)))
        .or_else(|| issuer.map(|posting| posting.sender));
    let rrn = switch.map_or_else(
        || issuer.map(|posting| posting.rrn).or_else(|| terminal.map(|request| request.rrn)),
        |row| Some(Text::new(&row.rrn)),
    );
    let currency = switch.map(|row| row.currency.clone()).or_else(|| {
        issuer
            .map(|posting| posting.currency)
            .or_else(|| terminal.map(|request| request.currency))
            .map(|currency| currency.to_string())
    });
    let amount = terminal
        .map(|request| request.asked)
        .or_else(|| switch.map(|row| row.amount))
        .or_else(|| issuer.map(|posting| posting.amount));
    Difference {
        kind: DifferenceKind::ChargedWithoutApproval,
        rrn: rrn.unwrap_or_default().to_string(),
        terminal: sender.map_or_else(String::new, |sender| sender.terminal.to_string()),
        merchant: sender.map_or_else(String::new, |sender| sender.merchant.to_string()),
        stan: sender.map_or_else(String::new, |sender| format!("{:0>6}", sender.stan)),
        amount: amount.unwrap_or(0),
        currency: currency.unwrap_or_default(),
        detail: String::new(),
    }
}

//! `interlock reconcile`: compares the three ledgers and names every difference.

use std::process::ExitCode;

use iso8583::Kind;
use sim::reconcile::{Ledgers, ReversalState, SwitchRow, SwitchState, reconcile};
use store::{Filter, Store};
use switch_core::{Found, ObligationCause, ObligationStatus, RowState, TxnId};

use super::migrate::store_config;
use crate::{cli::Reconcile, config::Config, output::say};

/// Rows that are read at once.
const PAGE: u32 = 5_000;

/// Compares, prints what was found, and ends with 1 if there is a difference.
pub(crate) async fn run(options: &Reconcile) -> anyhow::Result<ExitCode> {
    let config = Config::load_for_store(&options.config)?;
    let store = Store::open(&store_config(&config)).await?;
    let rows = switch_rows(&store).await?;
    let ledgers = Ledgers { terminals: options.terminal.clone(), issuers: options.issuer.clone() };
    let report = reconcile(&ledgers, Some(rows))?;
    if options.json {
        say(serde_json::to_string(&report)?)?;
    } else {
        say(&report)?;
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All transactions of the store that cost money, in the order of their numbers.
async fn switch_rows(store: &Store) -> anyhow::Result<Vec<SwitchRow>> {
    let mut rows = Vec::new();
    let mut after = TxnId(0);
    loop {
        let filter = Filter { after: Some(after), ..Filter::default() };
        let found = store.find(&filter, PAGE).await?;
        let Some(last) = found.last() else { return Ok(rows) };
        after = last.row.id;
        rows.extend(
            found.iter().filter(|found| found.row.kind != Kind::BalanceEnquiry).map(row_of),
        );
    }
}

fn row_of(found: &Found) -> SwitchRow {
    let row = &found.row;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let batch = row.key.batch();
    SwitchRow {
        rrn: row.id.rrn(),
        state: state_of(row.state),
        kind: row.kind.name().to_owned(),
        amount: row.amount,
        approved: row.approved,
        currency: text(&row.currency),
        terminal: text(&row.terminal),
        merchant: text(&row.merchant),
        stan: format!("{:06}", row.stan),
        batch: if batch == 0 { String::new() } else { format!("{batch:06}") },
        issuer: row.issuer.as_deref().unwrap_or_default().to_owned(),
        day: date_of(row.day),
        original: found.claim.as_ref().map(|claim| claim.original.rrn()).unwrap_or_default(),
        // A claim that adds to its original is negative.
        difference: found.claim.as_ref().map(|claim| -claim.amount),
        reversal: found
            .obligation
            .as_ref()
            .filter(|obligation| obligation.cause != ObligationCause::Delivery)
            .map(|obligation| reversal_of(obligation.status)),
    }
}

fn date_of(day: switch_core::Day) -> String {
    let days = jiff::Span::new().try_days(day.0).ok();
    let date = days.and_then(|days| jiff::civil::date(1970, 1, 1).checked_add(days).ok());
    date.map_or_else(|| day.0.to_string(), |date| date.to_string())
}

const fn state_of(state: RowState) -> SwitchState {
    match state {
        RowState::InFlight | RowState::InFlightReversalAsked => SwitchState::InFlight,
        RowState::Approved => SwitchState::Approved,
        RowState::Accepted => SwitchState::Accepted,
        RowState::Disputed => SwitchState::Disputed,
        RowState::Declined => SwitchState::Declined,
        RowState::NeverSent => SwitchState::NeverSent,
        RowState::TimedOut => SwitchState::TimedOut,
        RowState::Undone => SwitchState::Undone,
        RowState::ReversedBeforeArrival => SwitchState::ReversedBeforeArrival,
    }
}

const fn reversal_of(status: ObligationStatus) -> ReversalState {
    match status {
        ObligationStatus::Marked => ReversalState::Marked,
        ObligationStatus::Cleared => ReversalState::Cleared,
        ObligationStatus::Owed => ReversalState::Owed,
        ObligationStatus::Confirmed => ReversalState::Confirmed,
        ObligationStatus::Withdrawn => ReversalState::Withdrawn,
        ObligationStatus::Denied => ReversalState::Denied,
        ObligationStatus::EndedByHand => ReversalState::EndedByHand,
    }
}

//! The page at `/`: what an operator wants to see first, made on the server, without scripts.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use store::Filter;
use switch_core::{Found, Obligation, ObligationCause, ObligationStatus};

use crate::{
    api::{Link, link_list, whole},
    names,
    server::Shared,
    view::{Case, attempted},
};

/// Newest transactions on the page.
const RECENT: u32 = 20;

#[derive(Debug, Template)]
#[template(path = "status.html")]
struct Page {
    node: String,
    version: &'static str,
    phase: &'static str,
    good: bool,
    trouble: String,
    day: String,
    figures: Vec<(&'static str, String)>,
    links: Vec<Link>,
    owed: Vec<Line>,
    cases: Vec<Case>,
    recent: Vec<Line>,
}

/// A transaction in a table.
#[derive(Debug)]
struct Line {
    rrn: String,
    at: String,
    kind: &'static str,
    terminal: String,
    card: String,
    amount: String,
    state: String,
    code: String,
}

impl Line {
    fn of(found: &Found) -> Self {
        let row = &found.row;
        let reversal = found
            .obligation
            .as_ref()
            .filter(|owed| !row.state.is_in_flight() && owed.cause != ObligationCause::Delivery);
        let state = reversal.map_or_else(
            || row.state.name().to_owned(),
            |owed| format!("{}, reversal {}", row.state.name(), names::status(owed.status)),
        );
        Self {
            rrn: row.id.rrn(),
            at: clock(row.created),
            kind: row.kind.name(),
            terminal: names::text(&row.terminal),
            card: names::card(&row.card.first6, &row.card.last4),
            amount: names::amount(row.amount, &row.currency),
            state,
            code: row.code.map_or_else(String::new, |code| code.to_string()),
        }
    }
}

/// Cause of a duty, with its attempts and what the last was answered.
fn why(owed: &Obligation) -> String {
    let answered = owed.answered.map(|code| code.to_string());
    let attempted = attempted(owed.attempts, answered.as_deref());
    let cause = names::cause(owed.cause);
    if attempted.is_empty() { cause.to_owned() } else { format!("{cause}, {attempted}") }
}

/// The time of day, to the second, UTC.
fn clock(wall: switch_core::Wall) -> String {
    names::time(wall).get(11..19).unwrap_or_default().to_owned()
}

/// `GET /`
pub(crate) async fn status(State(shared): State<Shared>) -> Response {
    let figures = shared.figures();
    let readiness = shared.health.readiness();
    let mut page = Page {
        node: shared.node.clone(),
        version: shared.version,
        phase: shared.health.phase.borrow().name(),
        good: readiness.is_ok(),
        trouble: readiness.err().unwrap_or_default(),
        day: shared.health.condition.told().day.unwrap_or_else(|| "–".to_owned()),
        figures: Vec::new(),
        links: link_list(&figures),
        owed: Vec::new(),
        cases: Vec::new(),
        recent: Vec::new(),
    };
    let ended = |outcome| {
        whole(figures.sum_where("interlock_transactions_total", "outcome", outcome)).to_string()
    };
    let seconds = |quantile| {
        let bound = figures.quantile("interlock_transaction_seconds", quantile);
        bound.map_or_else(
            || "–".to_owned(),
            |bound| {
                if bound < 1.0 {
                    format!("≤ {:.0} ms", bound * 1000.0)
                } else {
                    format!("≤ {bound:.0} s")
                }
            },
        )
    };
    page.figures = vec![
        ("approved", ended("approved")),
        ("declined", ended("declined")),
        ("timed out", ended("timed_out")),
        ("never sent", ended("never_sent")),
        ("in flight", whole(figures.sum("interlock_in_flight")).to_string()),
        ("answer, median", seconds(0.5)),
        ("answer, 99 %", seconds(0.99)),
        ("terminals", whole(figures.sum("interlock_terminal_connections")).to_string()),
    ];
    match fill(&shared, &mut page).await {
        Ok(()) => {}
        Err(error) => {
            tracing::warn!(%error, "the status page cannot read the store");
            page.good = false;
            "the store does not answer".clone_into(&mut page.trouble);
        }
    }
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "the status page cannot be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What comes from the store.
async fn fill(shared: &Shared, page: &mut Page) -> Result<(), store::StoreError> {
    let open = shared.store.open_counts().await?;
    page.figures.push(("reversals owed", open.owed.to_string()));
    page.figures.push(("open cases", open.cases.to_string()));
    let owed = shared.store.owed_list(Some(ObligationStatus::Owed), RECENT).await?;
    page.owed = owed
        .iter()
        .map(|owed| Line {
            rrn: owed.obligation.id.rrn(),
            at: clock(owed.obligation.opened),
            kind: owed.kind.name(),
            terminal: names::text(&owed.terminal),
            card: names::card(&owed.first6, &owed.last4),
            amount: names::amount(owed.amount, &owed.currency),
            state: why(&owed.obligation),
            code: owed.issuer.clone().unwrap_or_default(),
        })
        .collect();
    let cases = shared.store.cases(None, RECENT).await?;
    page.cases = cases.iter().map(Case::of).collect();
    let recent = shared.store.find(&Filter::default(), RECENT).await?;
    page.recent = recent.iter().map(Line::of).collect();
    Ok(())
}

/// `GET /style.css`
pub(crate) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../assets/style.css"))
}

//! `/api/v1/…`: transactions, links, reversals, cases, batches and a summary, as JSON.

use axum::{
    Json,
    extract::{Path, Query as Parameters, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use store::StoreError;
use switch_core::TxnId;

use crate::{
    figures::Figures,
    names,
    query::{self, BatchQuery, CaseQuery, NoQuery, Query, ReversalQuery},
    server::Shared,
    view::{Batch, Case, Event, OwedReversal, Taken, Transaction},
};

/// Why a request got no answer.
#[derive(Debug)]
pub(crate) struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the admin API cannot read the store");
        Self(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer".to_owned())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(error: QueryRejection) -> Self {
        Self(StatusCode::BAD_REQUEST, error.body_text())
    }
}

/// A parameter is wrong: its name, and what was expected.
fn bad(why: String) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why)
}

type Answer = Result<Json<Value>, Refusal>;

/// `{"items": […]}`
fn items<T: Serialize>(items: Vec<T>) -> Json<Value> {
    Json(json!({ "items": items }))
}

/// `GET /api/v1/transactions?terminal=…&limit=…`
pub(crate) async fn transactions(
    State(shared): State<Shared>,
    query: Result<Parameters<Query>, QueryRejection>,
) -> Answer {
    let (filter, limit) = query?.0.read().map_err(bad)?;
    let found = shared.store.find(&filter, limit).await?;
    Ok(items(found.iter().map(Transaction::of).collect()))
}

/// `GET /api/v1/transactions/ID`: its row, the events of its timeline, its cases.
pub(crate) async fn transaction(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    none: Result<Parameters<NoQuery>, QueryRejection>,
) -> Answer {
    none?;
    let id = TxnId(query::rrn(&id).map_err(bad)?);
    let Some(found) = shared.store.read_id(id).await? else {
        return Err(Refusal(StatusCode::NOT_FOUND, format!("no transaction {}", id.rrn())));
    };
    let events: Vec<Event> = shared.store.notes(id).await?.iter().map(Event::of).collect();
    let cases: Vec<Case> = shared.store.cases(Some(id), 100).await?.iter().map(Case::of).collect();
    let taken = shared.store.claims_of(id).await?;
    let claims: Vec<Taken> = taken.iter().map(|(taker, claim)| Taken::of(*taker, claim)).collect();
    Ok(Json(json!({
        "transaction": Transaction::of(&found),
        "events": events,
        "cases": cases,
        "claims": claims,
    })))
}

/// `GET /api/v1/reversals?status=owed`
pub(crate) async fn reversals(
    State(shared): State<Shared>,
    query: Result<Parameters<ReversalQuery>, QueryRejection>,
) -> Answer {
    let (status, limit) = query?.0.read().map_err(bad)?;
    let owed = shared.store.owed_list(status, limit).await?;
    Ok(items(owed.iter().map(OwedReversal::of).collect()))
}

/// `GET /api/v1/cases`: the open ones; with `all=true` the resolved ones too.
pub(crate) async fn cases(
    State(shared): State<Shared>,
    query: Result<Parameters<CaseQuery>, QueryRejection>,
) -> Answer {
    let cases = if query?.0.read().map_err(bad)? {
        shared.store.all_cases(1000).await?
    } else {
        shared.store.cases(None, 1000).await?
    };
    Ok(items(cases.iter().map(Case::of).collect()))
}

/// `GET /api/v1/batches?terminal=…`: the newest first.
pub(crate) async fn batches(
    State(shared): State<Shared>,
    query: Result<Parameters<BatchQuery>, QueryRejection>,
) -> Answer {
    let (terminal, limit) = query?.0.read().map_err(bad)?;
    let terminal = terminal.as_deref().map(str::as_bytes);
    let batches = shared.store.batches(terminal, limit).await?;
    Ok(items(batches.iter().map(Batch::of).collect()))
}

/// An issuer's endpoint.
#[derive(Debug, Serialize)]
pub(crate) struct Link {
    pub(crate) issuer: String,
    pub(crate) endpoint: String,
    /// Links that are signed on.
    pub(crate) up: u64,
    /// Links whose issuer signed off.
    pub(crate) signed_off: u64,
    /// Links among those that are up on which nothing is heard.
    pub(crate) mute: u64,
    /// The worst that is true of them, in a word.
    pub(crate) state: &'static str,
}

/// The state of an endpoint with so many links up, signed off and mute.
const fn state_of(up: u64, signed_off: u64, mute: u64) -> &'static str {
    match (up, signed_off, mute) {
        (_, 1.., _) => "signed off",
        (0, ..) => "down",
        (_, _, 1..) => "mute",
        (_, 0, 0) => "up",
    }
}

/// The endpoints of all issuers.
pub(crate) fn link_list(figures: &Figures) -> Vec<Link> {
    let link = |sample: &crate::figures::Sample| {
        let (issuer, endpoint) = (sample.label("issuer"), sample.label("endpoint"));
        let count = |name| {
            let of = |other: &&crate::figures::Sample| {
                other.label("issuer") == issuer && other.label("endpoint") == endpoint
            };
            figures.of(name).iter().find(of).map_or(0, |other| whole(other.value))
        };
        let up = whole(sample.value);
        let signed_off = count("interlock_link_signed_off");
        let mute = count("interlock_link_mute");
        Link {
            issuer: issuer.to_owned(),
            endpoint: endpoint.to_owned(),
            up,
            signed_off,
            mute,
            state: state_of(up, signed_off, mute),
        }
    };
    figures.of("interlock_link_up").iter().map(link).collect()
}

/// `GET /api/v1/links`
pub(crate) async fn links(
    State(shared): State<Shared>,
    none: Result<Parameters<NoQuery>, QueryRejection>,
) -> Answer {
    none?;
    Ok(items(link_list(&shared.figures())))
}

/// `GET /api/v1/summary`: the figures of this node, and what the store holds open.
pub(crate) async fn summary(
    State(shared): State<Shared>,
    none: Result<Parameters<NoQuery>, QueryRejection>,
) -> Answer {
    none?;
    let figures = shared.figures();
    let open = shared.store.open_counts().await?;
    let ended =
        |outcome| whole(figures.sum_where("interlock_transactions_total", "outcome", outcome));
    let phase = shared.health.phase.borrow().name();
    let readiness = shared.health.readiness();
    Ok(Json(json!({
        "node": shared.node,
        "version": shared.version,
        "phase": phase,
        "day": shared.health.condition.told().day,
        "ready": readiness.is_ok(),
        "not_ready_because": readiness.err(),
        "store_answers": shared.health.store_answers(),
        "uptime_seconds": shared.started.elapsed().as_secs(),
        "in_flight": whole(figures.sum("interlock_in_flight")),
        "terminal_connections": whole(figures.sum("interlock_terminal_connections")),
        "links_up": whole(figures.sum("interlock_link_up")),
        "reversals_owed": open.owed,
        "oldest_reversal": open.oldest_owed.map(names::time),
        "advices_owed": open.advices,
        "marked": open.marked,
        "cases_open": open.cases,
        "approved": ended("approved"),
        "declined": ended("declined"),
        "timed_out": ended("timed_out"),
        "never_sent": ended("never_sent"),
        "refused": ended("refused"),
        "reversals_confirmed":
            whole(figures.sum_where("interlock_reversals_total", "result", "confirmed")),
        "transaction_seconds_p50": figures.quantile("interlock_transaction_seconds", 0.5),
        "transaction_seconds_p99": figures.quantile("interlock_transaction_seconds", 0.99),
    })))
}

/// A sample that counts things.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value was made a finite number of things, not below zero; `as` saturates"
)]
pub(crate) fn whole(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_says_what_is_wrong_with_its_links() {
        let text = "interlock_link_up{issuer=\"a\",endpoint=\"1\"} 2\n\
                    interlock_link_up{issuer=\"a\",endpoint=\"2\"} 1\n\
                    interlock_link_up{issuer=\"b\",endpoint=\"2\"} 0\n\
                    interlock_link_up{issuer=\"c\",endpoint=\"3\"} 0\n\
                    interlock_link_mute{issuer=\"a\",endpoint=\"2\"} 1\n\
                    interlock_link_signed_off{issuer=\"b\",endpoint=\"2\"} 2\n";
        let links = link_list(&Figures::read(text));
        let states: Vec<_> =
            links.iter().map(|link| (link.up, link.signed_off, link.mute, link.state)).collect();
        assert_eq!(
            states,
            [(2, 0, 0, "up"), (1, 0, 1, "mute"), (0, 2, 0, "signed off"), (0, 0, 0, "down")]
        );
    }
}

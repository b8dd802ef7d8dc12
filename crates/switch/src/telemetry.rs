//! The metrics of the runtime, by the names that dashboards rely on. No label holds a card, terminal or merchant number.

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use switch_core::{
    DuplicateResult, Gauges, Instant, Kind, Name, Notice, ReversalResult, ShedReason, TxnOutcome,
};

use crate::clock;

/// Tells the recorder what each metric means. Call once, after a recorder was installed.
pub fn describe() {
    let counters = [
        ("interlock_transactions_total", "Transactions by how they ended"),
        ("interlock_reversals_total", "Attempts at reversals by how they ended"),
        ("interlock_reversals_opened_total", "Reversals that became owed"),
        ("interlock_advices_total", "Attempts to deliver advices and refunds by how they ended"),
        ("interlock_duplicates_total", "Copies of requests by what became of them"),
        ("interlock_late_answers_total", "Answers of issuers that came late or unasked"),
        ("interlock_undelivered_total", "Approvals certainly not delivered"),
        ("interlock_delivery_unknown_total", "Approvals whose delivery is unknown"),
        ("interlock_contradictions_total", "Answers of issuers that contradict their request"),
        ("interlock_shed_total", "Requests refused to protect the rest"),
        ("interlock_cases_opened_total", "Cases opened"),
        ("interlock_settlements_total", "Settlements of terminals by what they came to"),
        ("interlock_decode_errors_total", "Frames of terminals that could not be read"),
        ("interlock_ignored_total", "Messages of terminals that were dropped"),
        ("interlock_keepalives_total", "Zero-length frames of terminals"),
        ("interlock_connections_ended_total", "Connections of terminals by why they ended"),
        ("interlock_issuer_stray_total", "Messages of issuers that were dropped"),
        ("interlock_issuer_network_total", "Network management messages of issuers"),
    ];
    for (name, text) in counters {
        describe_counter!(name, text);
    }
    let gauges = [
        ("interlock_in_flight", "Requests without an outcome"),
        ("interlock_link_up", "Links to an issuer's endpoint that are signed on"),
        ("interlock_link_signed_off", "Links to an endpoint whose issuer signed off"),
        ("interlock_link_mute", "Links to an issuer's endpoint on which nothing is heard"),
        ("interlock_reversals_owed", "Reversals owed by this node"),
        ("interlock_advices_owed", "Advices and refunds that this node must deliver"),
        ("interlock_records_waiting", "Records that wait for the store"),
        ("interlock_terminal_connections", "Open connections of terminals"),
    ];
    for (name, text) in gauges {
        describe_gauge!(name, text);
    }
    describe_gauge!(
        "interlock_reversal_oldest_seconds",
        Unit::Seconds,
        "Age of the oldest reversal owed"
    );
    let histograms = [
        ("interlock_transaction_seconds", "From a request read to its answer written"),
        ("interlock_issuer_seconds", "From a request queued for its issuer to its answer"),
    ];
    for (name, text) in histograms {
        describe_histogram!(name, Unit::Seconds, text);
    }
    TRANSACTION_SECONDS.get_or_init(|| histogram!("interlock_transaction_seconds"));
    counter!("interlock_undelivered_total").increment(0);
    for reason in ["issuer_in_flight", "store_down", "store_lag", "numbers", "draining", "memory"] {
        counter!("interlock_shed_total", "reason" => reason).increment(0);
    }
}

/// Looked up once: it is recorded for each answer. Unset until a recorder is there.
static TRANSACTION_SECONDS: OnceLock<Histogram> = OnceLock::new();

/// An answer to a message read at `read` was written.
pub(crate) fn answered(read: Instant) {
    if let Some(seconds) = TRANSACTION_SECONDS.get() {
        seconds.record(clock::mono().since(read));
    }
}

/// How long the answers of an issuer take.
pub(crate) fn issuer_seconds(issuer: &Name) -> Histogram {
    histogram!("interlock_issuer_seconds", "issuer" => issuer.clone())
}

fn link_gauge(name: &'static str, issuer: &Name, endpoint: &str) -> Gauge {
    let labels = [("issuer", issuer.to_string()), ("endpoint", endpoint.to_owned())];
    gauge!(name, &labels)
}

fn count_link(links: &Gauge, more: bool) {
    if more { links.increment(1.0) } else { links.decrement(1.0) }
}

pub(crate) fn link_up(issuer: &Name, endpoint: &str, up: bool) {
    count_link(&link_gauge("interlock_link_up", issuer, endpoint), up);
}

pub(crate) fn link_signed_off(issuer: &Name, endpoint: &str, off: bool) {
    count_link(&link_gauge("interlock_link_signed_off", issuer, endpoint), off);
}

pub(crate) fn link_mute(issuer: &Name, endpoint: &str, mute: bool) {
    count_link(&link_gauge("interlock_link_mute", issuer, endpoint), mute);
}

/// An issuer sent a network management message of its own.
pub(crate) fn issuer_network(issuer: &Name, request: &'static str) {
    let issuer = issuer.clone();
    counter!("interlock_issuer_network_total", "issuer" => issuer, "request" => request)
        .increment(1);
}

/// So that a link that was never up is seen as down, and what never happened with its issuer as zero.
pub(crate) fn link_known(issuer: &Name, endpoint: &str) {
    for name in ["interlock_link_up", "interlock_link_signed_off", "interlock_link_mute"] {
        link_gauge(name, issuer, endpoint).increment(0.0);
    }
    counter!("interlock_late_answers_total", "issuer" => issuer.clone()).increment(0);
    for result in ["confirmed", "denied", "refused", "unanswered", "withdrawn"] {
        let issuer = issuer.clone();
        counter!("interlock_reversals_total", "issuer" => issuer, "result" => result).increment(0);
    }
    for result in ["confirmed", "refused", "unanswered"] {
        let issuer = issuer.clone();
        counter!("interlock_advices_total", "issuer" => issuer, "result" => result).increment(0);
    }
}

pub(crate) fn issuer_stray(issuer: &Name, reason: &'static str) {
    let issuer = issuer.clone();
    counter!("interlock_issuer_stray_total", "issuer" => issuer, "reason" => reason).increment(1);
}

pub(crate) fn decode_error(listener: &Name, kind: &'static str) {
    let listener = listener.clone();
    counter!("interlock_decode_errors_total", "listener" => listener, "kind" => kind).increment(1);
}

pub(crate) fn ignored(listener: &Name, reason: &'static str) {
    let listener = listener.clone();
    counter!("interlock_ignored_total", "listener" => listener, "reason" => reason).increment(1);
}

/// A terminal's settlement was answered.
pub(crate) fn settled(result: &'static str) {
    counter!("interlock_settlements_total", "result" => result).increment(1);
}

/// Differences of an upload became cases.
pub(crate) fn cases_opened(count: u32) {
    counter!("interlock_cases_opened_total").increment(u64::from(count));
}

pub(crate) fn keepalive(listener: &Name) {
    counter!("interlock_keepalives_total", "listener" => listener.clone()).increment(1);
}

/// Counts an open connection until it is dropped.
#[derive(Debug)]
pub(crate) struct Open(Name);

impl Open {
    pub(crate) fn new(listener: &Name) -> Self {
        let open = Self(listener.clone());
        gauge!("interlock_terminal_connections", "listener" => open.0.clone()).increment(1.0);
        open
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        gauge!("interlock_terminal_connections", "listener" => self.0.clone()).decrement(1.0);
    }
}

pub(crate) fn connection_ended(listener: &Name, why: &'static str) {
    let listener = listener.clone();
    counter!("interlock_connections_ended_total", "listener" => listener, "why" => why)
        .increment(1);
}

/// Figures of the engine as it stands.
pub(crate) fn gauges(gauges: &Gauges, oldest: Duration) {
    let set = |name, value: usize| {
        gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
    };
    set("interlock_in_flight", gauges.in_flight);
    set("interlock_reversals_owed", gauges.reversals_owed);
    set("interlock_advices_owed", gauges.advices_owed);
    set("interlock_records_waiting", gauges.records_under_way);
    gauge!("interlock_reversal_oldest_seconds").set(oldest);
}

/// Counts what the engine noticed; what each transaction counts is looked up once.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    concluded: BTreeMap<(Name, Kind, TxnOutcome), Counter>,
}

impl Tally {
    pub(crate) fn count(&mut self, notice: &Notice) {
        if let Notice::Concluded { listener, kind, outcome } = notice {
            let of = (listener.clone(), *kind, *outcome);
            let counter = self.concluded.entry(of);
            counter.or_insert_with(|| outcomes(listener, kind.name(), name(*outcome))).increment(1);
        } else {
            unusual(notice);
        }
    }
}

const fn name(outcome: TxnOutcome) -> &'static str {
    match outcome {
        TxnOutcome::Approved => "approved",
        TxnOutcome::Declined => "declined",
        TxnOutcome::TimedOut => "timed_out",
        TxnOutcome::NeverSent => "never_sent",
        TxnOutcome::Refused => "refused",
    }
}

const fn result_name(result: ReversalResult) -> &'static str {
    match result {
        ReversalResult::Confirmed => "confirmed",
        ReversalResult::Refused => "refused",
        ReversalResult::Unanswered => "unanswered",
        ReversalResult::Withdrawn => "withdrawn",
        ReversalResult::Denied => "denied",
    }
}

fn unusual(notice: &Notice) {
    match notice {
        Notice::Duplicate(result) => {
            let result = match result {
                DuplicateResult::Joined => "joined",
                DuplicateResult::Replayed => "replayed",
                DuplicateResult::Refused => "refused",
            };
            counter!("interlock_duplicates_total", "result" => result).increment(1);
        }
        Notice::LateAnswer(issuer) => {
            counter!("interlock_late_answers_total", "issuer" => issuer.clone()).increment(1);
        }
        Notice::ReversalOwed(issuer) => {
            counter!("interlock_reversals_opened_total", "issuer" => issuer.clone()).increment(1);
        }
        Notice::Reversal { issuer, result } => {
            let (issuer, result) = (issuer.clone(), result_name(*result));
            counter!("interlock_reversals_total", "issuer" => issuer, "result" => result)
                .increment(1);
        }
        Notice::Advice { issuer, result } => {
            let (issuer, result) = (issuer.clone(), result_name(*result));
            counter!("interlock_advices_total", "issuer" => issuer, "result" => result)
                .increment(1);
        }
        Notice::Undelivered => counter!("interlock_undelivered_total").increment(1),
        Notice::DeliveryUnknown => counter!("interlock_delivery_unknown_total").increment(1),
        Notice::Shed(reason) => {
            let reason = match reason {
                ShedReason::IssuerInFlight => "issuer_in_flight",
                ShedReason::StoreDown => "store_down",
                ShedReason::StoreLag => "store_lag",
                ShedReason::Numbers => "numbers",
                ShedReason::Draining => "draining",
                ShedReason::Memory => "memory",
            };
            counter!("interlock_shed_total", "reason" => reason).increment(1);
        }
        Notice::CaseOpened { .. } => counter!("interlock_cases_opened_total").increment(1),
        Notice::Contradicted(issuer) => {
            counter!("interlock_contradictions_total", "issuer" => issuer.clone()).increment(1);
        }
        Notice::Concluded { .. } | Notice::Forwarded { .. } => {}
    }
}

/// Counts a transaction that ended so.
pub(crate) fn concluded(listener: &Name, kind: &'static str, outcome: &'static str) {
    outcomes(listener, kind, outcome).increment(1);
}

fn outcomes(listener: &Name, kind: &'static str, outcome: &'static str) -> Counter {
    let listener = listener.clone();
    counter!(
        "interlock_transactions_total",
        "listener" => listener, "kind" => kind, "outcome" => outcome
    )
}

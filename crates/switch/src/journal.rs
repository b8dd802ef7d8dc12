//! What the engine noticed, in the log: each at the level at which somebody should see it.

use switch_core::{Notice, ReversalResult};

use crate::warnings;

/// Logs a notice.
pub(crate) fn note(notice: &Notice) {
    match notice {
        Notice::Concluded { listener, kind, outcome } => {
            tracing::debug!(%listener, kind = kind.name(), ?outcome, "transaction concluded");
        }
        Notice::Duplicate(result) => tracing::debug!(?result, "copy of a request"),
        Notice::LateAnswer(issuer) => {
            if let Some(times) = warnings::due(issuer, "late") {
                tracing::warn!(
                    %issuer, times,
                    "an answer of an issuer came late, came twice, or matches nothing that is open"
                );
            }
        }
        Notice::ReversalOwed(issuer) => tracing::debug!(%issuer, "reversal owed"),
        Notice::Reversal { issuer, result } => match result {
            ReversalResult::Confirmed | ReversalResult::Withdrawn => {
                tracing::debug!(%issuer, ?result, "reversal ended");
            }
            ReversalResult::Denied => {
                tracing::error!(
                    %issuer,
                    "an issuer that approved a transaction says that it has none to reverse"
                );
            }
            ReversalResult::Refused | ReversalResult::Unanswered => {
                tracing::debug!(%issuer, ?result, "reversal to be repeated");
            }
        },
        Notice::Advice { issuer, result } => {
            tracing::debug!(%issuer, ?result, "delivery of an advice");
        }
        Notice::Undelivered => tracing::debug!("approval not delivered"),
        Notice::DeliveryUnknown => tracing::debug!("delivery of an approval unknown"),
        Notice::Shed(reason) => tracing::debug!(?reason, "request shed"),
        Notice::CaseOpened { id, kind } => {
            tracing::warn!(rrn = id.rrn(), kind = kind.name(), "case opened");
        }
        Notice::Contradicted(issuer) => {
            if let Some(times) = warnings::due(issuer, "contradiction") {
                tracing::warn!(
                    %issuer, times,
                    "an answer of an issuer names another amount, currency, card, terminal or merchant than was sent"
                );
            }
        }
        Notice::Forwarded { id, commit } => {
            tracing::debug!(rrn = id.0, day = commit.day.0, "forwarded");
        }
    }
}

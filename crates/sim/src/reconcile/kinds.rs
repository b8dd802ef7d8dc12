//! Which way each kind of transaction moves money, by its name: ledgers of others may have kinds that this crate does not
//! know, and those move nothing.

use crate::text::Text;

/// The name of a kind; without one it is a purchase.
pub(super) fn kind_name(kind: &str) -> Text<24> {
    Text::new(if kind.is_empty() { "purchase" } else { kind })
}

/// In which direction a kind moves money: 1 takes from the card, -1 gives back, 0 neither. That of a changed amount is the
/// direction of what was added.
pub(super) fn direction(kind: &str) -> i64 {
    match kind {
        "purchase" | "completion" | "completion-advice" | "instalment" | "points"
        | "offline-sale" | "offline-upload" | "adjustment" | "tip" => 1,
        "void" | "refund" | "completion-void" | "instalment-void" | "points-void"
        | "offline-refund" => -1,
        _ => 0,
    }
}

/// Whether a kind changes the amount of another: what it posts is a difference, which may be 0 or less.
pub(super) fn adjusts(kind: &str) -> bool {
    matches!(kind, "adjustment" | "tip")
}

/// Whether an issuer does something to an account for it: moves money, or holds or releases some.
pub(super) fn has_effect(kind: &str) -> bool {
    direction(kind) != 0 || matches!(kind, "pre-authorisation" | "pre-authorisation-void")
}

/// The kind that an issuer's event is about, where its line does not say.
pub(super) fn kind_of_event(event: &str) -> &'static str {
    match event {
        "held" => "pre-authorisation",
        "released" => "pre-authorisation-void",
        "completed" => "completion",
        "voided" => "void",
        "refunded" => "refund",
        "adjusted" => "adjustment",
        "noted" => "script-result",
        _ => "purchase",
    }
}

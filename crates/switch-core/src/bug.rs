//! Engines that are broken on purpose, so that the checks of the simulated world can be checked.

use crate::core::Core;

/// A bug planted in the engine: what a hasty author might have written. None without the feature `bugs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    not(feature = "bugs"),
    expect(unreachable_pub, reason = "told to the world with `bugs`")
)]
pub enum Bug {
    /// The approval is given before it is committed (M2).
    ApproveBeforeCommit,
    /// A commit of unknown result is taken for done (I21).
    UnknownTakenForDone,
    /// A copy of what is in flight is forwarded again (M6).
    CopyForwarded,
    /// Another content under the same identity gets the stored answer (M7).
    ContentIgnored,
    /// An approval is given again from memory, without the conditional update (M6).
    CopyFromMemory,
    /// An approval after the deadline is obeyed (M9).
    LateApprovalAccepted,
    /// An approval after the deadline is forgotten (M9).
    LateApprovalForgotten,
    /// Silence is answered 98, and nothing is owed (M3).
    NoReversalOnSilence,
    /// An issuer's 68 or 98 counts as a refusal (M3).
    UnknownCodeRefuses,
    /// A reversal is given up when its attempts are used up (M4).
    ReversalDroppedAtCap,
    /// A repeated reversal is not marked as one (M4).
    RepeatNotMarked,
    /// A 25 is final, however early (M4).
    EarlyNotFoundFinal,
    /// A late refusal withdraws a reversal that was written (M9).
    WithdrawnAfterWrite,
    /// An approval is committed though its reversal was asked for (M8).
    TerminalReversalLoses,
    /// A change that lost its race is written over what stands there.
    VersionIgnored,
    /// An approval that nobody took is left as it is (M10).
    UndeliveredIgnored,
    /// An altered amount, currency, card or terminal is taken for an approval (M13).
    ContradictionAccepted,
    /// What an earlier life owed is not taken up (M14).
    RecoveryForgetsDuties,
    /// A claim is kept though its transaction was declined or reversed (M11).
    ClaimNotReleased,
    /// A claim is released when its transaction is not answered, before the reversal is certain (M11).
    ClaimReleasedOnSilence,
    /// What a claim took is given back twice (M11).
    ClaimGivenBackTwice,
    /// A finished transaction that comes back to memory has lost its claim (M11).
    ClaimForgotten,
    /// An original that moved on is claimed as it was judged (M11).
    JudgedOnce,
    /// A reversal that was answered while a claim stood is forgotten when that is released (M8, M11).
    PromiseForgotten,
    /// More than is left may be taken (M11).
    SumUnchecked,
    /// What was settled may be voided (M11).
    SettledVoided,
    /// A reversal wins over a claim on its transaction (M8, M11).
    ReversedUnderClaim,
    /// An advice that is not answered is reversed (M12).
    AdviceReversed,
    /// An issuer that takes no repeats of an advice gets them (M12).
    AdviceRepeated,
    /// An advice that its issuer refuses late is taken for delivered (M12).
    AdviceRefusalIgnored,
    /// A terminal's reversal of what was declined by a code that is not final is answered 00, and nothing is owed (M8).
    OpenDeclineForgotten,
    /// A 25 confirms the reversal of what its issuer approved (M4).
    NotFoundConfirms,
    /// An answer to a reversal that names another amount or card confirms it (M4).
    OtherReversalConfirms,
    /// A reversal whose card does not open is taken for confirmed (M4).
    UnwritableForgotten,
    /// The edge's refusal is given without a look for what stands (M2).
    RefusedUnread,
}

impl Bug {
    /// All of them.
    #[cfg(feature = "bugs")]
    pub const ALL: [Self; 35] = [
        Self::ApproveBeforeCommit,
        Self::UnknownTakenForDone,
        Self::CopyForwarded,
        Self::ContentIgnored,
        Self::CopyFromMemory,
        Self::LateApprovalAccepted,
        Self::LateApprovalForgotten,
        Self::NoReversalOnSilence,
        Self::UnknownCodeRefuses,
        Self::ReversalDroppedAtCap,
        Self::RepeatNotMarked,
        Self::EarlyNotFoundFinal,
        Self::WithdrawnAfterWrite,
        Self::TerminalReversalLoses,
        Self::VersionIgnored,
        Self::UndeliveredIgnored,
        Self::ContradictionAccepted,
        Self::RecoveryForgetsDuties,
        Self::ClaimNotReleased,
        Self::ClaimReleasedOnSilence,
        Self::ClaimGivenBackTwice,
        Self::ClaimForgotten,
        Self::JudgedOnce,
        Self::PromiseForgotten,
        Self::SumUnchecked,
        Self::SettledVoided,
        Self::ReversedUnderClaim,
        Self::AdviceReversed,
        Self::AdviceRepeated,
        Self::AdviceRefusalIgnored,
        Self::OpenDeclineForgotten,
        Self::NotFoundConfirms,
        Self::OtherReversalConfirms,
        Self::UnwritableForgotten,
        Self::RefusedUnread,
    ];
}

impl Core {
    /// Whether this engine is broken in that way.
    #[cfg(feature = "bugs")]
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.config.bug == Some(bug)
    }

    /// Whether this engine is broken in that way: never.
    #[cfg(not(feature = "bugs"))]
    #[expect(clippy::unused_self, reason = "as with `bugs`")]
    pub(crate) const fn has(&self, _bug: Bug) -> bool {
        false
    }
}

//! What each kind of transaction does to a card's account, and which originals it may be about. The issuer's own table: a
//! witness does not take it from the dialect, which the switch reads too.

use iso8583::Kind;

/// What a kind does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Takes its amount from the account.
    Charge,
    /// Holds its amount.
    Hold,
    /// Pays its amount back, whatever was before.
    Credit,
    /// Pays all of its original back.
    Undo,
    /// Pays a part of its original back.
    Part,
    /// Releases a hold.
    Release,
    /// Takes its amount, and releases the hold that it is about.
    Complete,
    /// Its amount becomes the original's; the difference is posted.
    Total,
    /// Tells the balance.
    Enquire,
    /// Tells something of its original, and moves nothing.
    Note,
}

impl Effect {
    pub(super) const fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Purchase
            | Kind::Instalment
            | Kind::Points
            | Kind::OfflineSale
            | Kind::OfflineUpload => Self::Charge,
            Kind::PreAuthorisation => Self::Hold,
            Kind::OfflineRefund => Self::Credit,
            Kind::Void | Kind::CompletionVoid | Kind::InstalmentVoid | Kind::PointsVoid => {
                Self::Undo
            }
            Kind::Refund => Self::Part,
            Kind::PreAuthorisationVoid => Self::Release,
            Kind::Completion | Kind::CompletionAdvice => Self::Complete,
            Kind::Adjustment | Kind::Tip => Self::Total,
            Kind::BalanceEnquiry => Self::Enquire,
            Kind::ScriptResult => Self::Note,
            Kind::Echo
            | Kind::SignOn
            | Kind::SignOff
            | Kind::Settlement
            | Kind::BatchUpload
            | Kind::BatchDetail
            | Kind::BatchChip
            | Kind::BatchEnd
            | Kind::Parameters
            | Kind::StatusReport
            | Kind::Reversal => return None,
        })
    }

    /// The event of the ledger that tells it.
    pub(super) const fn event(self) -> &'static str {
        match self {
            Self::Charge => "charged",
            Self::Hold => "held",
            Self::Credit | Self::Part => "refunded",
            Self::Undo => "voided",
            Self::Release => "released",
            Self::Complete => "completed",
            Self::Total => "adjusted",
            Self::Enquire => "enquired",
            Self::Note => "noted",
        }
    }

    /// Whether it stands on a transaction before it.
    pub(super) const fn has_original(self) -> bool {
        matches!(
            self,
            Self::Undo | Self::Part | Self::Release | Self::Complete | Self::Total | Self::Note
        )
    }

    pub(super) const fn moves_money(self) -> bool {
        !matches!(self, Self::Enquire | Self::Note)
    }
}

/// The kind of a line of the ledger: one without a name is what its event says.
pub(super) fn kind_of(name: &str, event: &str) -> Option<Kind> {
    Kind::from_name(name).filter(|kind| Effect::of(*kind).is_some()).or(match event {
        "charged" => Some(Kind::Purchase),
        "enquired" => Some(Kind::BalanceEnquiry),
        "held" => Some(Kind::PreAuthorisation),
        "voided" => Some(Kind::Void),
        "refunded" => Some(Kind::Refund),
        "released" => Some(Kind::PreAuthorisationVoid),
        "completed" => Some(Kind::Completion),
        "adjusted" => Some(Kind::Adjustment),
        "noted" => Some(Kind::ScriptResult),
        _ => None,
    })
}

/// Whether a transaction of this kind may be about one of that.
pub(super) const fn may_be_about(kind: Kind, original: Kind) -> bool {
    match kind {
        Kind::Void => matches!(original, Kind::Purchase),
        Kind::InstalmentVoid => matches!(original, Kind::Instalment),
        Kind::PointsVoid => matches!(original, Kind::Points),
        Kind::CompletionVoid => matches!(original, Kind::Completion | Kind::CompletionAdvice),
        Kind::PreAuthorisationVoid | Kind::Completion | Kind::CompletionAdvice => {
            matches!(original, Kind::PreAuthorisation)
        }
        Kind::Refund => matches!(
            original,
            Kind::Purchase
                | Kind::Instalment
                | Kind::Points
                | Kind::Completion
                | Kind::CompletionAdvice
                | Kind::OfflineSale
                | Kind::OfflineUpload
        ),
        Kind::Adjustment => matches!(original, Kind::OfflineSale | Kind::OfflineUpload),
        Kind::Tip => matches!(
            original,
            Kind::Purchase | Kind::OfflineSale | Kind::OfflineUpload | Kind::Completion
        ),
        Kind::ScriptResult => true,
        _ => false,
    }
}

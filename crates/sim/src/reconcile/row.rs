//! What a comparison must know of one transaction in the switch's store.

/// One transaction as the switch has it. The caller reads it from the store: this crate knows no store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchRow {
    /// Retrieval reference number, twelve digits.
    pub rrn: String,
    /// What is true of it.
    pub state: SwitchState,
    /// Name of its kind, as `purchase`.
    pub kind: String,
    /// Amount asked for, minor units.
    pub amount: i64,
    /// Amount approved, minor units; 0 if it is not approved.
    pub approved: i64,
    /// Currency (49).
    pub currency: String,
    /// Terminal (41).
    pub terminal: String,
    /// Merchant (42).
    pub merchant: String,
    /// The terminal's own STAN (11).
    pub stan: String,
    /// Batch (60.2); empty where it is not known.
    pub batch: String,
    /// Name of the issuer that it was routed to; empty if it was to none.
    pub issuer: String,
    /// Its business day, as `2026-11-23`.
    pub day: String,
    /// RRN of the transaction that it is about; empty where that is not known.
    pub original: String,
    /// Of a changed amount: what was added to the original, minor units, if that is known.
    pub difference: Option<i64>,
    /// What is true of the duty to reverse it, if there ever was one.
    pub reversal: Option<ReversalState>,
}

/// What is true of a transaction in the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchState {
    /// No outcome yet, whether or not its reversal was asked for.
    InFlight,
    /// Approved.
    Approved,
    /// Answered 00, and still to be delivered to its issuer.
    Accepted,
    /// Answered 00, and refused by its issuer.
    Disputed,
    /// Declined.
    Declined,
    /// Never given to an issuer.
    NeverSent,
    /// No answer in time.
    TimedOut,
    /// To be undone, or undone.
    Undone,
    /// Its reversal came first.
    ReversedBeforeArrival,
}

impl SwitchRow {
    /// What its terminal was told to be approved, minor units. Of what is not answered by its issuer it is what was asked.
    #[must_use]
    pub const fn told(&self) -> i64 {
        match self.state {
            SwitchState::Approved => self.approved,
            SwitchState::Accepted | SwitchState::Disputed => self.amount,
            _ => 0,
        }
    }
}

impl SwitchState {
    /// The state of the name that reports and the console have for it, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "in flight" | "in flight, reversal asked" => Self::InFlight,
            "approved" => Self::Approved,
            "accepted" => Self::Accepted,
            "disputed" => Self::Disputed,
            "declined" => Self::Declined,
            "never sent" => Self::NeverSent,
            "timed out" => Self::TimedOut,
            "undone" => Self::Undone,
            "reversed before arrival" => Self::ReversedBeforeArrival,
            _ => return None,
        })
    }

    /// Whether its terminal was told that it went through.
    #[must_use]
    pub const fn is_approval(self) -> bool {
        matches!(self, Self::Approved | Self::Accepted | Self::Disputed)
    }

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InFlight => "in flight",
            Self::Approved => "approved",
            Self::Accepted => "accepted",
            Self::Disputed => "disputed",
            Self::Declined => "declined",
            Self::NeverSent => "never sent",
            Self::TimedOut => "timed out",
            Self::Undone => "undone",
            Self::ReversedBeforeArrival => "reversed before arrival",
        }
    }
}

/// What is true of the duty to reverse a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReversalState {
    /// Owed if its terminal does not come back in time.
    Marked,
    /// The mark was cleared: the terminal came back.
    Cleared,
    /// Owed, and not yet confirmed.
    Owed,
    /// The issuer gave a final answer.
    Confirmed,
    /// Nothing was owed after all.
    Withdrawn,
    /// The issuer approved the transaction, and says that it has none to reverse.
    Denied,
    /// A person said that it is reversed.
    EndedByHand,
}

impl ReversalState {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Marked => "marked",
            Self::Cleared => "cleared",
            Self::Owed => "owed",
            Self::Confirmed => "confirmed",
            Self::Withdrawn => "withdrawn",
            Self::Denied => "denied",
            Self::EndedByHand => "ended by hand",
        }
    }

    /// Whether an issuer may have got a reversal because of it.
    #[must_use]
    pub const fn may_be_sent(self) -> bool {
        match self {
            Self::Owed | Self::Confirmed | Self::Denied | Self::EndedByHand => true,
            Self::Marked | Self::Cleared | Self::Withdrawn => false,
        }
    }
}

//! The kinds of message that a dialect maps to MTI, processing code, condition and type, and what silence asks for.

crate::numbered! {
    /// What a message is for. The number is stored and part of a request's identity: it never changes.
    pub enum Kind {
        /// A sale (消费).
        Purchase = 1, "purchase";
        /// The balance of a card (余额查询).
        BalanceEnquiry = 2, "balance-enquiry";
        /// The merchant takes back today's sale (消费撤销).
        Void = 3, "void";
        /// Pays back a settled sale (退货).
        Refund = 4, "refund";
        /// Holds an amount (预授权).
        PreAuthorisation = 5, "pre-authorisation";
        /// Releases a hold (预授权撤销).
        PreAuthorisationVoid = 6, "pre-authorisation-void";
        /// Takes a held amount, asked of the issuer (预授权完成请求).
        Completion = 7, "completion";
        /// Takes back a completion (完成撤销).
        CompletionVoid = 8, "completion-void";
        /// Takes a held amount, told to the issuer (预授权完成通知).
        CompletionAdvice = 9, "completion-advice";
        /// A sale that is paid in instalments (分期付款).
        Instalment = 10, "instalment";
        /// Takes back an instalment sale (分期付款撤销).
        InstalmentVoid = 11, "instalment-void";
        /// A sale that is paid with points (积分消费).
        Points = 12, "points";
        /// Takes back a sale paid with points (积分消费撤销).
        PointsVoid = 13, "points-void";
        /// A sale that was authorised by telephone or not at all, told to the issuer (离线结算).
        OfflineSale = 14, "offline-sale";
        /// Changes the amount of an offline sale before settlement (结算调整).
        Adjustment = 15, "adjustment";
        /// Adds a tip to a sale before settlement (加小费).
        Tip = 16, "tip";
        /// A sale that the chip approved, uploaded later (脱机消费上送).
        OfflineUpload = 17, "offline-upload";
        /// A refund without an original in the switch (脱机退货).
        OfflineRefund = 18, "offline-refund";
        /// What became of an issuer's script in the chip (脚本通知).
        ScriptResult = 19, "script-result";
        /// A line test (回响测试).
        Echo = 40, "echo";
        /// A terminal or a switch begins its session (签到).
        SignOn = 41, "sign-on";
        /// A terminal or a switch ends its session (签退).
        SignOff = 42, "sign-off";
        /// A terminal closes its batch with its totals (批结算).
        Settlement = 43, "settlement";
        /// Details of online transactions of a batch that did not agree (批上送, 联机明细).
        BatchUpload = 44, "batch-upload";
        /// One notice or offline detail of a batch, as its advice was (批上送, 通知与脱机明细).
        BatchDetail = 45, "batch-detail";
        /// The chip's certificate of one transaction of a batch (批上送, IC卡TC).
        BatchChip = 46, "batch-chip";
        /// The end of a batch's upload (批上送结束).
        BatchEnd = 47, "batch-end";
        /// A terminal fetches parameters, keys or lists (参数下载).
        Parameters = 48, "parameters";
        /// A terminal tells what it holds (状态上送).
        StatusReport = 49, "status-report";
        /// Undoes a transaction whose result is unknown or unwanted (冲正).
        Reversal = 50, "reversal";
    }
}

/// What the switch owes when an issuer is silent (M12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSilence {
    /// A reversal: the result is unknown and must be undone.
    Reverse,
    /// Nothing: nothing was charged.
    Nothing,
    /// Delivery: it is repeated until the issuer answers.
    Deliver,
}

impl OnSilence {
    /// The name in dialect files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reverse => "reverse",
            Self::Nothing => "nothing",
            Self::Deliver => "deliver",
        }
    }
}

impl Kind {
    /// The kind of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// What silence of the issuer asks for (M12). A stored row is known by its kind alone, so every dialect says the
    /// same of a kind.
    #[must_use]
    pub const fn on_silence(self) -> OnSilence {
        match self {
            Self::Purchase
            | Self::Void
            | Self::PreAuthorisation
            | Self::PreAuthorisationVoid
            | Self::Completion
            | Self::CompletionVoid
            | Self::Instalment
            | Self::InstalmentVoid
            | Self::Points
            | Self::PointsVoid => OnSilence::Reverse,
            Self::Refund
            | Self::CompletionAdvice
            | Self::OfflineSale
            | Self::Adjustment
            | Self::Tip
            | Self::OfflineUpload
            | Self::OfflineRefund
            | Self::ScriptResult => OnSilence::Deliver,
            Self::BalanceEnquiry
            | Self::Echo
            | Self::SignOn
            | Self::SignOff
            | Self::Settlement
            | Self::BatchUpload
            | Self::BatchDetail
            | Self::BatchChip
            | Self::BatchEnd
            | Self::Parameters
            | Self::StatusReport
            | Self::Reversal => OnSilence::Nothing,
        }
    }

    /// Whether it goes to the issuer that owns the card.
    #[must_use]
    pub const fn is_transaction(self) -> bool {
        matches!(self.on_silence(), OnSilence::Reverse | OnSilence::Deliver)
            || matches!(self, Self::BalanceEnquiry)
    }

    /// Whether money moves with it: an enquiry has no amount, and neither has what became of a script.
    #[must_use]
    pub const fn moves_money(self) -> bool {
        self.is_transaction() && !matches!(self, Self::BalanceEnquiry | Self::ScriptResult)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back_to_their_kind() {
        for &kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_number(0), None);
    }
}

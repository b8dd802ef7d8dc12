//! The kinds of message that a dialect maps to MTI, processing code, condition and type.

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// What a message is for. The number is stored and part of a request's identity: it never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $variant = $number,)* }

        impl Kind {
            /// All kinds, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stored number.
            #[must_use]
            pub const fn number(self) -> u8 { self as u8 }

            /// The kind of a stored number, if there is one.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// The name in dialect files, logs and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The kind of that name, if there is one.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
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
    /// A line test (回响测试).
    Echo = 40, "echo";
    /// A terminal or a switch begins its session (签到).
    SignOn = 41, "sign-on";
    /// A terminal or a switch ends its session (签退).
    SignOff = 42, "sign-off";
    /// Undoes a transaction whose result is unknown or unwanted (冲正).
    Reversal = 50, "reversal";
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

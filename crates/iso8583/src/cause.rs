//! Why the switch itself, and not an issuer, chose the response code of an answer.

crate::numbered! {
    /// Why an answer to a terminal has its response code (39). Dialect files map each to a code.
    /// The number is stored: it never changes.
    pub enum Cause {
        /// The issuer answered: its own code stands.
        Issuer = 0, "issuer";
        /// No answer in time, or a reversal of the transaction was asked for or is owed (M3, M6): 98.
        NoAnswer = 1, "no-answer";
        /// The issuer's answer contradicts the request (M13): 98.
        Contradicted = 2, "contradicted";
        /// No link to the issuer, or shed for it: never sent (M5): 91.
        IssuerDown = 3, "issuer-down";
        /// The store is down, a bound of our own was reached, or an internal fault (M15, M16): 96.
        SystemDown = 4, "system-down";
        /// The identity was used for other content, or too long ago (M7): 94.
        Duplicate = 5, "duplicate";
        /// Fields missing or malformed: 30.
        Format = 6, "format";
        /// Merchant not known: 03.
        UnknownMerchant = 7, "unknown-merchant";
        /// Terminal not known: 97.
        UnknownTerminal = 8, "unknown-terminal";
        /// Kind not supported: 12.
        NotSupported = 9, "not-supported";
        /// The request arrived after its own reversal (M8): 12.
        AfterReversal = 10, "after-reversal";
        /// No route for this card: 15.
        NoRoute = 11, "no-route";
        /// Not permitted to this terminal: 58.
        TerminalNotPermitted = 12, "terminal-not-permitted";
        /// Not permitted to this card: 57.
        CardNotPermitted = 13, "card-not-permitted";
        /// Over a limit: 61.
        OverLimit = 14, "over-limit";
        /// The original was not approved: 12.
        OriginalNotApproved = 23, "original-not-approved";
        /// The original was not found, is another terminal's, settled, or beyond its horizon: 25.
        OriginalNotFound = 15, "original-not-found";
        /// The original is already undone, or too old: 22.
        OriginalUndone = 16, "original-undone";
        /// The amount differs from the original's: 64.
        AmountDiffers = 17, "amount-differs";
        /// Another card than the original's: 14.
        OtherCard = 18, "other-card";
        /// Another claim on the original is open: 09.
        ClaimOpen = 19, "claim-open";
        /// The batch number differs: 77.
        BatchDiffers = 20, "batch-differs";
        /// The message authentication code is wrong: A0.
        WrongMac = 21, "wrong-mac";
        /// Done: the answer to a reversal or an echo: 00.
        Done = 22, "done";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back_to_their_cause() {
        for &cause in Cause::ALL {
            assert_eq!(Cause::from_number(cause.number()), Some(cause));
        }
    }
}

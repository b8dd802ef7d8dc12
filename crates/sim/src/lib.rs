//! Simulated issuers and terminals, their ledgers, and the comparison of ledgers

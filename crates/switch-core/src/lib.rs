//! The transaction engine: a pure state machine that is told the time

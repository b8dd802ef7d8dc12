//! Abuse of the terminal port, each with its expected result.

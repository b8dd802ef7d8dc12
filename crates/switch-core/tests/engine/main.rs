//! Table tests of the engine, the published transition table, and the proof that proofs cannot be made outside.

mod claims;
mod money;
mod open_requests;
mod proofs;
mod refusals;
mod responses;
mod rig;
mod transitions;

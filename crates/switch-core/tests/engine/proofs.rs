//! Nothing outside the engine can make a proof of durability (M1, M2).

#[test]
fn a_proof_cannot_be_made_outside() {
    trybuild::TestCases::new().compile_fail("tests/engine/proofs/*.rs");
}

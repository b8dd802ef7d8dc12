//! Repository chores: test, simulate, chaos, tidy

fn main() {}

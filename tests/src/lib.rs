//! The simulated world of the engine, and black-box tests of the real processes

pub mod chaos;
pub mod postgres;
pub mod world;

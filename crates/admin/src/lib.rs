//! Health, readiness, metrics and the admin API over HTTP; never in the data path.
//!
//! Everything shown comes from the store and from the metrics of this process, so that no page can disturb the engine.

mod api;
mod figures;
mod glance;
mod health;
mod names;
mod page;
pub mod query;
mod server;
pub mod telemetry;
mod view;

pub use glance::Glance;
pub use health::{Condition, Phase, Told};
pub use server::{Admin, AdminError, Port, Serving};

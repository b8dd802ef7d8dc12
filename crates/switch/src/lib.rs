//! The tokio runtime around the engine: listeners, issuers, driver.
//!
//! A purchase walks `connection` → `acquirer` → `driver` → (store) → `router` → `issuer_link` → `issuer` → `driver` →
//! (store) → `connection` → `reply`.

mod acquirer;
mod batches;
mod blob;
mod card_key;
pub mod clock;
pub mod config;
mod connection;
mod counter;
mod day_clock;
mod desk;
mod driver;
#[cfg(test)]
mod fixtures;
mod hold;
mod housekeeping;
mod input;
mod issuer;
mod issuer_link;
mod issuer_links;
mod journal;
mod listener;
mod originals;
mod pacer;
mod reader;
mod recovery;
mod reply;
mod router;
mod routes;
mod running;
mod start;
mod telemetry;
mod version;
mod warnings;

pub use card_key::{OtherKey, refuse_other};
pub use counter::{Parameters, ParametersError, ParametersFault};
pub use day_clock::{date, day_time};
pub use driver::Fatal;
pub use issuer::{host_rrn, kept_host_rrn};
pub use routes::Routes;
pub use running::{EndError, ReloadError, Running, Watch};
pub use start::{StartError, Switch};
pub use telemetry::describe;

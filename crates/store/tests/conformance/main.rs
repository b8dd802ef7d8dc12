//! Conformance of the store: the same cases on SQLite and on a Postgres that the tests start themselves.

#![expect(clippy::panic, reason = "a test that finds something else than it expects ends")]

/// Makes of each case a test for either back end.
macro_rules! both {
    ($($case:ident,)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(&crate::fixture::Home::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(&crate::fixture::Home::postgres()).await;
            })+
        }
    };
}

mod access;
mod basics;
mod batches;
mod card_key;
mod claims;
mod day_setting;
mod days;
mod denied;
mod failover;
mod fixture;
mod locked;
mod nodes;
mod people;
mod proxy;
mod server;
mod versions;

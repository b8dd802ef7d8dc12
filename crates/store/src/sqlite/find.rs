//! What people ask of the embedded back end.

use sqlx::{Sqlite, sqlite::SqliteRow};

use super::SqliteStore;
use crate::find::finders;

finders!(SqliteStore, readers, Sqlite, SqliteRow);

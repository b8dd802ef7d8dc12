//! What people ask of the server.

use sqlx::{Postgres, postgres::PgRow};

use super::PostgresStore;
use crate::find::finders;

finders!(PostgresStore, pool, Postgres, PgRow);

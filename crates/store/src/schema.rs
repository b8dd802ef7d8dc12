//! Whether this binary and the database fit together.

use sqlx::migrate::Migrator;

use crate::StoreError;

/// The schema version that this binary knows: that of its last migration.
pub(crate) fn own_version(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The last migration that was applied whole.
pub(crate) const APPLIED: &str =
    "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";

/// The migrations as they are run: a newer binary's are left alone, so that two versions can serve one database.
pub(crate) fn tolerant(migrator: &Migrator) -> Migrator {
    Migrator { migrations: migrator.migrations.clone(), ignore_missing: true, ..Migrator::DEFAULT }
}

/// Refuses a database that needs a newer binary. `min_version` is none where nothing was ever migrated.
pub(crate) fn not_too_new(migrator: &Migrator, min_version: Option<i64>) -> Result<(), StoreError> {
    let own = own_version(migrator);
    match min_version {
        Some(min_version) if min_version > own => Err(StoreError::TooNew { min_version, own }),
        Some(_) | None => Ok(()),
    }
}

/// Refuses a database that this binary's migrations were not applied to.
pub(crate) fn migrated(migrator: &Migrator, applied: i64) -> Result<(), StoreError> {
    let own = own_version(migrator);
    if applied < own { Err(StoreError::Unmigrated { applied, own }) } else { Ok(()) }
}

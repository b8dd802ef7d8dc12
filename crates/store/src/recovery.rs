//! What a node must conduct to its end after a start or a take-over (M14): the questions asked of the database.

use std::sync::LazyLock;

use crate::image::FOUND;

/// A beat's lowest open number may be so far ahead of the numbers of blocks that its node still had.
pub(crate) const SLACK: i64 = 100_000;

static IN_FLIGHT_SQLITE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {FOUND} FROM txn t LEFT JOIN obligation o ON o.id = t.id \
         WHERE t.node = ?1 AND t.epoch < ?2 AND t.id > ?3 AND t.state IN (1, 2) \
         AND t.id >= coalesce((SELECT lowest_open FROM node WHERE node = ?1), 0) - ?4 ORDER BY t.id LIMIT ?5"
    )
});
static OWED_SQLITE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {FOUND} FROM obligation o JOIN txn t ON t.id = o.id \
         WHERE o.owner = ?1 AND o.id > ?2 AND o.status IN (1, 3) ORDER BY o.id LIMIT ?3"
    )
});

/// In-flight rows of ?1 in epochs below ?2 with numbers above ?3, at most ?5.
pub(crate) fn in_flight_sqlite() -> &'static str {
    IN_FLIGHT_SQLITE.as_str()
}

/// Rows whose open obligation ?1 owns, with numbers above ?2, at most ?3.
pub(crate) fn owed_sqlite() -> &'static str {
    OWED_SQLITE.as_str()
}

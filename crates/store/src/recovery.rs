//! What a node must conduct to its end after a start or a take-over (M14): the questions asked of the database.

use std::sync::LazyLock;

use crate::image::{BESIDE, FOUND};

/// A node uses its numbers in order, so nothing below the bound is open; a block more is looked at, for safety.
pub(crate) const SLACK: i64 = 10_000;

/// Below this number nothing of the node $1 is open; $4 is the slack.
const BOUND: &str = "coalesce((SELECT lowest_open FROM node WHERE node = $1), 0) - $4";

static IN_FLIGHT_SQLITE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {FOUND} FROM txn t {BESIDE} \
         WHERE t.node = $1 AND t.epoch < $2 AND t.id > $3 AND t.state IN (1, 2) AND t.id >= {BOUND} \
         ORDER BY t.id LIMIT $5"
    )
});
/// Leaves of days that ended below the bound are not looked at. The bound ($4) and the first day ($6) are parameters, not
/// sub-queries, so that the planner sees them and takes the BRIN index.
static IN_FLIGHT_POSTGRES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {FOUND} FROM txn t {BESIDE} \
         WHERE t.node = $1 AND t.epoch < $2 AND t.id > $3 AND t.state IN (1, 2) AND t.id >= $4 AND t.day >= $6 \
         ORDER BY t.id LIMIT $5"
    )
});
/// The number below which nothing of the node $1 is open, with the slack $2 taken off, and the day in which it was drawn.
pub(crate) const BOUND_POSTGRES: &str = "SELECT n.bound, coalesce((SELECT max(day) FROM day WHERE number <= n.bound), 0) \
     FROM (SELECT coalesce((SELECT lowest_open FROM node WHERE node = $1), 0) - $2 AS bound) n";
static OWED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {FOUND} FROM obligation o JOIN txn t ON t.day = o.day AND t.key = o.key LEFT JOIN claim k ON k.id = o.id \
         WHERE o.owner = $1 AND o.id > $2 AND o.status IN (1, 3) ORDER BY o.id LIMIT $3"
    )
});
static OWED_IDS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {FOUND} FROM obligation o JOIN txn t ON t.day = o.day AND t.key = o.key LEFT JOIN claim k ON k.id = o.id \
         WHERE o.id = ANY($1) AND o.status IN (1, 3) ORDER BY o.id"
    )
});

/// In-flight rows of node $1 in epochs below $2 with numbers above $3, at most $5; $4 is the slack.
pub(crate) fn in_flight_sqlite() -> &'static str {
    IN_FLIGHT_SQLITE.as_str()
}

/// The same on the server; $4 and $6 are what [`BOUND_POSTGRES`] gives.
pub(crate) fn in_flight_postgres() -> &'static str {
    IN_FLIGHT_POSTGRES.as_str()
}

/// Rows whose open obligation $1 owns, with numbers above $2, at most $3.
pub(crate) fn owed() -> &'static str {
    OWED.as_str()
}

/// Rows with these numbers whose obligation is open.
pub(crate) fn owed_ids_postgres() -> &'static str {
    OWED_IDS.as_str()
}

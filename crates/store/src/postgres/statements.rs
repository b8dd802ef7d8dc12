//! The text of the batches: one statement each, under the fence, arrays unnested.

use switch_core::Day;

use super::leaf;
use crate::image::{COLUMNS, COPIED};

/// The lane's own fence row, locked so that nobody can raise the epoch or move the day before this statement has ended.
/// Parameters 1 to 4: node, epoch, day, lane.
const UNDER_THE_FENCE: &str = "WITH me AS MATERIALIZED (SELECT 1 FROM fence WHERE node = $1 AND lane = $4 AND epoch = $2 \
     AND day = $3 FOR SHARE)";

/// Columns of an intent, but for the day, which is the fence's.
pub(super) const INTENT: [(&str, &str); 29] = [
    ("id", "bigint"),
    ("created", "bigint"),
    ("amount", "bigint"),
    ("node", "integer"),
    ("epoch", "integer"),
    ("stan", "integer"),
    ("kind", "smallint"),
    ("key", "bytea"),
    ("listener", "text"),
    ("merchant", "bytea"),
    ("terminal", "bytea"),
    ("currency", "bytea"),
    ("digest", "bytea"),
    ("issuer", "text"),
    ("card_hash", "bytea"),
    ("card_first6", "bytea"),
    ("card_last4", "bytea"),
    ("card_sealed", "bytea"),
    ("carried", "bytea"),
    ("version", "integer"),
    ("change", "bigint"),
    ("state", "smallint"),
    ("cause", "smallint"),
    ("code", "text"),
    ("approved", "bigint"),
    ("answer", "bytea"),
    ("copies", "integer"),
    ("late", "integer"),
    ("concluded", "bigint"),
];

/// Columns of a change: its place in the batch, which row, and how it shall be.
const CHANGE: [(&str, &str); 12] = [
    ("pos", "integer"),
    ("key", "bytea"),
    ("version", "integer"),
    ("change", "bigint"),
    ("state", "smallint"),
    ("cause", "smallint"),
    ("code", "text"),
    ("approved", "bigint"),
    ("answer", "bytea"),
    ("copies", "integer"),
    ("late", "integer"),
    ("concluded", "bigint"),
];

/// What may follow from a change; null where it does not.
const FOLLOWS: [(&str, &str); 9] = [
    ("o_status", "smallint"),
    ("o_cause", "smallint"),
    ("o_at", "bigint"),
    ("o_due", "bigint"),
    ("n_kind", "smallint"),
    ("n_at", "bigint"),
    ("n_detail", "bytea"),
    ("c_kind", "smallint"),
    ("c_at", "bigint"),
];

const PROGRESS: [(&str, &str); 4] =
    [("pos", "integer"), ("id", "bigint"), ("attempts", "integer"), ("parked", "boolean")];
const NOTE: [(&str, &str); 5] = [
    ("id", "bigint"),
    ("day", "integer"),
    ("at", "bigint"),
    ("kind", "smallint"),
    ("detail", "bytea"),
];
const CASE: [(&str, &str); 3] = [("id", "bigint"), ("kind", "smallint"), ("opened", "bigint")];

const SET: &str = "SET version = u.version, change = u.change, state = u.state, cause = u.cause, code = u.code, \
     approved = u.approved, answer = u.answer, copies = u.copies, late = u.late, concluded = u.concluded";

/// `unnest($5::integer[], …) AS alias (pos, …)`, with parameters from `first` on.
fn unnest(alias: &str, first: usize, columns: &[(&str, &str)]) -> String {
    let arrays: Vec<String> = columns
        .iter()
        .zip(first..)
        .map(|((_, kind), number)| format!("${number}::{kind}[]"))
        .collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    format!("unnest({}) AS {alias} ({})", arrays.join(", "), names.join(", "))
}

/// Inserts intents. During the overlap none that stands in the former day's leaf: a unique index cannot span both.
pub(super) fn intents(day: Day, former: Option<Day>) -> String {
    let leaf = leaf::name(day);
    let source = unnest("u", 5, &INTENT);
    let columns: Vec<String> = COLUMNS
        .split(", ")
        .map(|column| if column == "day" { "$3".to_owned() } else { format!("u.{column}") })
        .collect();
    let columns = columns.join(", ");
    let but = former.map_or_else(String::new, |former| {
        let former = leaf::name(former);
        format!(" WHERE NOT EXISTS (SELECT FROM {former} p WHERE p.key = u.key)")
    });
    format!(
        "{UNDER_THE_FENCE}, w AS (INSERT INTO {leaf} ({COLUMNS}) SELECT {columns} FROM me, {source}{but} \
         ON CONFLICT (key) DO NOTHING RETURNING key) \
         SELECT key FROM w UNION ALL SELECT NULL FROM me"
    )
}

/// Applies changes from which nothing follows: nearly all of them.
pub(super) fn plain(day: Day) -> String {
    let leaf = leaf::name(day);
    let source = unnest("u", 5, &CHANGE);
    format!(
        "{UNDER_THE_FENCE}, w AS (UPDATE {leaf} t {SET} FROM me, {source} \
         WHERE t.key = u.key AND t.version = u.version - 1 RETURNING u.pos) \
         SELECT pos FROM w UNION ALL SELECT NULL FROM me"
    )
}

/// Applies changes with what follows from them, and whatever changes no row.
pub(super) fn full(day: Day) -> String {
    let leaf = leaf::name(day);
    let columns: Vec<(&str, &str)> = CHANGE.into_iter().chain(FOLLOWS).collect();
    let changes = unnest("u", 5, &columns);
    let first = 5 + columns.len();
    let progress = unnest("v", first, &PROGRESS);
    let notes = unnest("x", first + PROGRESS.len(), &NOTE);
    let cases = unnest("y", first + PROGRESS.len() + NOTE.len(), &CASE);
    let follows: Vec<String> = FOLLOWS.iter().map(|(name, _)| format!("u.{name}")).collect();
    let copied: Vec<String> = COPIED.split(", ").map(|column| format!("t.{column}")).collect();
    format!(
        "{UNDER_THE_FENCE}, \
         w AS (UPDATE {leaf} t {SET} FROM me, {changes} WHERE t.key = u.key AND t.version = u.version - 1 \
           RETURNING u.pos, {}, {}), \
         o AS (INSERT INTO obligation (opened, due, owner, status, cause, attempts, parked, {COPIED}) \
           SELECT o_at, o_due, $1, o_status, o_cause, 0, false, {COPIED} FROM w WHERE o_status IS NOT NULL \
           ON CONFLICT (id) DO UPDATE SET status = excluded.status, cause = excluded.cause, owner = excluded.owner, \
           due = excluded.due), \
         p AS (UPDATE obligation b SET attempts = v.attempts, parked = v.parked, owner = $1 FROM me, {progress} \
           WHERE b.id = v.id AND b.status = 3 RETURNING v.pos), \
         n AS (INSERT INTO note (id, day, at, kind, detail) \
           SELECT id, day, n_at, n_kind, n_detail FROM w WHERE n_kind IS NOT NULL \
           UNION ALL SELECT x.* FROM me, {notes}), \
         c AS (INSERT INTO cases (id, kind, opened) SELECT id, c_kind, c_at FROM w WHERE c_kind IS NOT NULL \
           UNION ALL SELECT y.* FROM me, {cases} ON CONFLICT (id, kind) DO NOTHING) \
         SELECT pos FROM w UNION ALL SELECT pos FROM p UNION ALL SELECT NULL FROM me",
        follows.join(", "),
        copied.join(", "),
    )
}

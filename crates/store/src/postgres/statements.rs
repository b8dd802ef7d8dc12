//! The text of the batches: one statement each, under the fence, arrays unnested.

use switch_core::Day;

use super::leaf;
use crate::image::{COLUMNS, COPIED};

/// The lane's own fence row, locked so that nobody can raise the epoch or move the day before this statement has ended.
/// Parameters 1 to 4: node, epoch, day, lane.
const UNDER_THE_FENCE: &str = "WITH me AS MATERIALIZED (SELECT 1 FROM fence WHERE node = $1 AND lane = $4 AND epoch = $2 \
     AND day = $3 FOR SHARE)";

/// An intent's arrays. Each costs the server some 4 µs a statement and each value 70 ns, which is more than taking numbers
/// apart: so what is small goes together, and what an intent never sets is not sent.
pub(super) const INTENT: [(&str, &str); 13] = [
    ("id", "bigint"),
    ("created", "bigint"),
    ("amount", "bigint"),
    // trace number (24 bits up), kind, state and cause (8 bits each)
    ("small", "bigint"),
    // the bytes of fixed length, as in `FIXED`
    ("fixed", "bytea"),
    ("listener", "text"),
    ("merchant", "bytea"),
    ("terminal", "bytea"),
    ("issuer", "text"),
    ("card_sealed", "bytea"),
    ("carried", "bytea"),
    ("change", "bigint"),
    ("concluded", "bigint"),
];

/// Columns of fixed length, and their lengths, in the order in which they lie in `fixed`.
pub(super) const FIXED: [(&str, usize); 6] = [
    ("key", 15),
    ("digest", 16),
    ("card_hash", 16),
    ("card_first6", 6),
    ("card_last4", 4),
    ("currency", 3),
];

/// The expression for a column of an intent.
fn of_intent(column: &str) -> String {
    let small = match column {
        "day" => "$3",
        "node" => "$1",
        "epoch" => "$2",
        "stan" => "(u.small >> 24)::integer",
        "kind" => "((u.small >> 16) & 255)::smallint",
        "state" => "((u.small >> 8) & 255)::smallint",
        "cause" => "(u.small & 255)::smallint",
        "version" | "approved" | "copies" | "late" => "0",
        "code" => "NULL",
        "answer" => "''",
        other => return fixed(other).unwrap_or_else(|| format!("u.{other}")),
    };
    small.to_owned()
}

/// The part of `fixed` that is this column, if it is one of those.
fn fixed(wanted: &str) -> Option<String> {
    let mut first = 1;
    for (column, length) in FIXED {
        if column == wanted {
            return Some(format!("substr(u.fixed, {first}, {length})"));
        }
        first += length;
    }
    None
}

/// A change's arrays: its place in the batch, which row, and how it shall be.
const CHANGE: [(&str, &str); 8] = [
    // version (32 bits up), place (16 bits), state and cause (8 bits each)
    ("small", "bigint"),
    ("key", "bytea"),
    ("change", "bigint"),
    ("code", "text"),
    ("approved", "bigint"),
    ("answer", "bytea"),
    // copies (32 bits up) and late answers
    ("counts", "bigint"),
    ("concluded", "bigint"),
];

const PLACE: &str = "((u.small >> 16) & 65535)::integer AS pos";

const OF_THE_VERSION_BEFORE: &str = "t.key = u.key AND t.version = (u.small >> 32)::integer - 1";

/// What may follow from a change; null where it does not.
const FOLLOWS: [(&str, &str); 11] = [
    ("o_status", "smallint"),
    ("o_cause", "smallint"),
    ("o_at", "bigint"),
    ("o_due", "bigint"),
    ("o_attempts", "integer"),
    ("o_answered", "text"),
    ("n_kind", "smallint"),
    ("n_at", "bigint"),
    ("n_detail", "bytea"),
    ("c_kind", "smallint"),
    ("c_at", "bigint"),
];

const PROGRESS: [(&str, &str); 5] = [
    ("pos", "integer"),
    ("id", "bigint"),
    ("attempts", "integer"),
    ("parked", "boolean"),
    ("answered", "text"),
];
const NOTE: [(&str, &str); 5] = [
    ("id", "bigint"),
    ("day", "integer"),
    ("at", "bigint"),
    ("kind", "smallint"),
    ("detail", "bytea"),
];
const CASE: [(&str, &str); 3] = [("id", "bigint"), ("kind", "smallint"), ("opened", "bigint")];

const SET: &str = "SET version = (u.small >> 32)::integer, change = u.change, state = ((u.small >> 8) & 255)::smallint, \
     cause = (u.small & 255)::smallint, code = u.code, approved = u.approved, answer = u.answer, \
     copies = (u.counts >> 32)::integer, late = (u.counts & 4294967295)::integer, concluded = u.concluded";

/// How a change ends the claim of its transaction (M11).
const END: [(&str, &str); 4] =
    [("k_from", "smallint"), ("k_to", "smallint"), ("k_taken", "bigint"), ("k_at", "bigint")];

/// The claim's end, and its original's row with it.
fn end_of_claims(of: Day) -> String {
    let originals = leaf::name(of);
    format!(
        ", k AS (UPDATE claim b SET status = w.k_to, closed = w.k_at FROM w WHERE b.id = w.id AND b.status = w.k_from \
           RETURNING b.id, b.original, b.key, w.k_taken, w.mark), \
         q AS (UPDATE {originals} t SET claimed = t.claimed + k.k_taken, \
           claiming = CASE WHEN t.claiming = k.id THEN NULL ELSE t.claiming END, version = t.version + 1, \
           change = k.mark FROM k WHERE t.key = k.key AND t.id = k.original)"
    )
}

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
    let columns: Vec<String> = COLUMNS.split(", ").map(of_intent).collect();
    let columns = columns.join(", ");
    let key = of_intent("key");
    let but = former.map_or_else(String::new, |former| {
        let former = leaf::name(former);
        format!(" WHERE NOT EXISTS (SELECT FROM {former} p WHERE p.key = {key})")
    });
    format!(
        "{UNDER_THE_FENCE}, w AS (INSERT INTO {leaf} ({COLUMNS}) SELECT {columns} FROM me, {source}{but} \
         ON CONFLICT (key) DO NOTHING RETURNING id) \
         SELECT id FROM w UNION ALL SELECT NULL FROM me"
    )
}

/// What a claim adds to an intent's arrays (M11): of which original, and how much.
pub(super) const CLAIM: [(&str, &str); 4] = [
    ("k_original", "bigint"),
    ("k_key", "bytea"),
    ("k_version", "integer"),
    ("k_amount", "bigint"),
];

/// Inserts intents that claim their originals, which stand in the leaf of the day `of`: neither without the other. An
/// identity that another node inserts meanwhile is a fault of the whole statement, and it is repeated.
pub(super) fn claims(day: Day, former: Option<Day>, of: Day) -> String {
    let (leaf, originals) = (leaf::name(day), leaf::name(of));
    let arrays: Vec<(&str, &str)> = INTENT.into_iter().chain(CLAIM).collect();
    let source = unnest("u", 5, &arrays);
    let columns: Vec<String> = COLUMNS.split(", ").map(of_intent).collect();
    let columns = columns.join(", ");
    let key = of_intent("key");
    let taken: String = [Some(day), former]
        .into_iter()
        .flatten()
        .map(|day| {
            format!(" AND NOT EXISTS (SELECT FROM {} p WHERE p.key = {key})", leaf::name(day))
        })
        .collect();
    format!(
        "{UNDER_THE_FENCE}, \
         u AS (UPDATE {originals} t SET claiming = u.id, version = t.version + 1, change = u.change FROM me, {source} \
           WHERE t.key = u.k_key AND t.id = u.k_original AND t.version = u.k_version AND t.state = 3 \
           AND t.claiming IS NULL{taken} RETURNING u.*), \
         w AS (INSERT INTO {leaf} ({COLUMNS}) SELECT {columns} FROM u RETURNING id), \
         k AS (INSERT INTO claim (id, original, key, day, amount, status, opened) \
           SELECT id, k_original, k_key, {}, k_amount, 1, created FROM u) \
         SELECT id FROM w UNION ALL SELECT NULL FROM me",
        of.0
    )
}

/// Applies changes from which nothing follows: nearly all of them.
pub(super) fn plain(day: Day) -> String {
    let leaf = leaf::name(day);
    let source = unnest("u", 5, &CHANGE);
    format!(
        "{UNDER_THE_FENCE}, w AS (UPDATE {leaf} t {SET} FROM me, {source} \
         WHERE {OF_THE_VERSION_BEFORE} RETURNING {PLACE}) \
         SELECT pos FROM w UNION ALL SELECT NULL FROM me"
    )
}

/// Applies changes with what follows from them, and whatever changes no row. With `of`, each ends a claim on an original
/// that stands in that day's leaf (M11).
pub(super) fn full(day: Day, of: Option<Day>) -> String {
    let leaf = leaf::name(day);
    let ends = of.map_or(&[][..], |_| &END[..]);
    let columns: Vec<(&str, &str)> =
        CHANGE.into_iter().chain(FOLLOWS).chain(ends.iter().copied()).collect();
    let released = of.map_or_else(String::new, end_of_claims);
    let changes = unnest("u", 5, &columns);
    let first = 5 + columns.len();
    let progress = unnest("v", first, &PROGRESS);
    let notes = unnest("x", first + PROGRESS.len(), &NOTE);
    let cases = unnest("y", first + PROGRESS.len() + NOTE.len(), &CASE);
    let follows: Vec<String> =
        FOLLOWS.iter().chain(ends).map(|(name, _)| format!("u.{name}")).collect();
    let copied: Vec<String> = COPIED.split(", ").map(|column| format!("t.{column}")).collect();
    format!(
        "{UNDER_THE_FENCE}, \
         w AS (UPDATE {leaf} t {SET} FROM me, {changes} WHERE {OF_THE_VERSION_BEFORE} \
           RETURNING {PLACE}, {}, {}, u.change AS mark), \
         o AS (INSERT INTO obligation AS b (opened, due, owner, status, cause, attempts, parked, answered, {COPIED}) \
           SELECT o_at, o_due, $1, o_status, o_cause, coalesce(o_attempts, 0), false, o_answered, {COPIED} \
           FROM w WHERE o_status IS NOT NULL \
           ON CONFLICT (id) DO UPDATE SET status = excluded.status, cause = excluded.cause, owner = excluded.owner, \
           due = excluded.due, attempts = greatest(b.attempts, excluded.attempts), \
           answered = coalesce(excluded.answered, b.answered)), \
         p AS (UPDATE obligation b SET attempts = v.attempts, parked = v.parked, owner = $1, \
           answered = coalesce(v.answered, b.answered) FROM me, {progress} \
           WHERE b.id = v.id AND b.status = 3 RETURNING v.pos), \
         n AS (INSERT INTO note (id, day, at, kind, detail) \
           SELECT id, day, n_at, n_kind, n_detail FROM w WHERE n_kind IS NOT NULL \
           UNION ALL SELECT x.* FROM me, {notes}), \
         c AS (INSERT INTO cases (id, kind, opened) SELECT DISTINCT ON (id, kind) id, kind, opened FROM \
           (SELECT id, c_kind AS kind, c_at AS opened FROM w WHERE c_kind IS NOT NULL \
           UNION ALL SELECT y.* FROM me, {cases}) z ON CONFLICT (id, kind) DO UPDATE SET resolved = NULL){released} \
         SELECT pos FROM w UNION ALL SELECT pos FROM p UNION ALL SELECT NULL FROM me",
        follows.join(", "),
        copied.join(", "),
    )
}

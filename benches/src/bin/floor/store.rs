//! Two group commits a message in Postgres: the least that lets a switch forget nothing.

use std::rc::Rc;

use anyhow::{Result, ensure};
use bytes::Bytes;
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions, query_scalar,
};

use crate::{
    frames::Name,
    relay::{Client, Relay},
};

/// Plans are pinned: one made for a young table would be kept when the table has grown.
const PINNED: [(&str, &str); 7] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_material", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

const SCHEMA: &str = "
DROP SCHEMA IF EXISTS floor CASCADE;
CREATE SCHEMA floor;
CREATE TABLE floor.fence (lane smallint PRIMARY KEY, epoch integer NOT NULL, day integer NOT NULL)
    WITH (fillfactor = 50);
INSERT INTO floor.fence VALUES (1, 1, 1), (2, 1, 1);
CREATE TABLE floor.txn (
    id        bigint   NOT NULL,
    epoch     integer  NOT NULL,
    day       integer  NOT NULL,
    key       bytea    NOT NULL CHECK (length(key) = 15) UNIQUE,
    request   bytea    NOT NULL,
    version   integer  NOT NULL,
    state     smallint NOT NULL,
    answer    bytea    NOT NULL
) WITH (fillfactor = 40);";

const INSERT: &str = "\
WITH me AS MATERIALIZED (SELECT epoch, day FROM floor.fence WHERE lane = 1 AND epoch = $1 AND day = $2 FOR SHARE), \
w AS (INSERT INTO floor.txn (id, epoch, day, key, request, version, state, answer) \
SELECT u.id, me.epoch, me.day, u.key, u.request, 0, 1, '' \
FROM me, unnest($3::bigint[], $4::bytea[], $5::bytea[]) AS u (id, key, request) \
ON CONFLICT DO NOTHING RETURNING id) \
SELECT id FROM w UNION ALL SELECT NULL FROM me";

const UPDATE: &str = "\
WITH me AS MATERIALIZED (SELECT 1 FROM floor.fence WHERE lane = 2 AND epoch = $1 AND day = $2 FOR SHARE), \
w AS (UPDATE floor.txn t SET version = 1, state = 3, answer = u.answer \
FROM me, unnest($3::bigint[], $4::bytea[], $5::bytea[]) AS u (place, key, answer) \
WHERE t.key = u.key AND t.version = 0 RETURNING u.place) \
SELECT place FROM w UNION ALL SELECT NULL FROM me";

/// Terminal, connection in place of the batch, STAN, kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key([u8; 15]);

impl Key {
    pub(crate) fn new(name: &Name, connection: u32) -> Self {
        let [a, b, c, d, e, f, g, h, stan @ ..] = *name;
        let [_, x, y, z] = connection.to_be_bytes();
        let [r, s, t] = stan;
        Self([a, b, c, d, e, f, g, h, x, y, z, r, s, t, 1])
    }
}

/// A request that is to be written down, then forwarded.
#[derive(Debug)]
pub(crate) struct Intent {
    pub(crate) id: i64,
    pub(crate) key: Key,
    pub(crate) frame: Bytes,
}

/// An answer that is to be written down, then given.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) key: Key,
    pub(crate) frame: Bytes,
    pub(crate) client: Rc<Client>,
}

/// Which of the two writers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lane {
    Intents,
    Outcomes,
}

/// Makes the schema and says how the server keeps its word.
pub(crate) async fn make(url: &str) -> Result<String> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
    let mut said = Vec::new();
    for setting in ["server_version", "fsync", "full_page_writes", "synchronous_commit"] {
        let value: String = query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&mut connection)
            .await?;
        ensure!(value != "off", "{setting} is off");
        said.push(format!("{setting} {value}"));
    }
    Ok(said.join(", "))
}

/// A writer's own connection.
pub(crate) async fn connect(url: &str) -> Result<PgConnection> {
    Ok(url.parse::<PgConnectOptions>()?.options(PINNED).connect().await?)
}

/// Commits whatever waits, again and again.
pub(crate) async fn write(
    relay: Rc<Relay>,
    lane: Lane,
    mut connection: PgConnection,
) -> Result<()> {
    loop {
        match lane {
            Lane::Intents => {
                let mut batch = relay.intents.take().await;
                batch.sort_unstable_by_key(|intent| intent.key);
                let ids = batch.iter().map(|intent| intent.id).collect();
                let rows = batch.iter().map(|intent| (&intent.key, &intent.frame));
                let applied = commit(&mut connection, INSERT, ids, rows).await?;
                for intent in batch {
                    if applied.binary_search(&intent.id).is_ok() {
                        relay.forward(&intent.frame);
                    }
                }
            }
            Lane::Outcomes => {
                let mut batch = relay.outcomes.take().await;
                batch.sort_unstable_by_key(|outcome| outcome.key);
                let places = (0..).zip(&batch).map(|(place, _)| place).collect();
                let rows = batch.iter().map(|outcome| (&outcome.key, &outcome.frame));
                let applied = commit(&mut connection, UPDATE, places, rows).await?;
                for (place, outcome) in (0..).zip(batch) {
                    if applied.binary_search(&place).is_ok() {
                        relay.give(&outcome.client, &outcome.frame);
                    }
                }
                relay.flush();
            }
        }
        relay.batches.set(relay.batches.get() + 1);
    }
}

/// One statement without `BEGIN`; gives the numbers of the rows that it applied, sorted.
async fn commit<'a>(
    connection: &mut PgConnection,
    statement: &'static str,
    numbers: Vec<i64>,
    rows: impl Iterator<Item = (&'a Key, &'a Bytes)>,
) -> Result<Vec<i64>> {
    let (keys, frames): (Vec<&[u8]>, Vec<&[u8]>) =
        rows.map(|(key, frame)| (key.0.as_slice(), &frame[..])).unzip();
    let answer: Vec<Option<i64>> = query_scalar(statement)
        .bind(1)
        .bind(1)
        .bind(numbers)
        .bind(keys)
        .bind(frames)
        .fetch_all(connection)
        .await?;
    let lines = answer.len();
    let mut applied: Vec<i64> = answer.into_iter().flatten().collect();
    ensure!(applied.len() < lines, "the fence has moved");
    applied.sort_unstable();
    Ok(applied)
}

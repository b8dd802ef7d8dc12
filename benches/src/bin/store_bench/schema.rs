//! The figures behind the schema: heap-only updates by fill factor, and what a question costs.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use store::Filter;
use switch_core::{TxnId, Wall};

use crate::load;

async fn leaf(connection: &mut PgConnection) -> Result<String> {
    sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c, meta m WHERE c.relkind = 'r' \
         AND c.relname = 'txn_' || to_char(date '1970-01-01' + m.day, 'YYYYMMDD')",
    )
    .fetch_one(connection)
    .await
    .context("the day's leaf")
}

/// The share of heap-only updates of a load of purchases.
pub(crate) async fn heap_only(url: &str, fill: u32, seconds: Duration) -> Result<String> {
    drop(load::open(url).await?);
    let mut connection = PgConnection::connect(url).await?;
    let leaf = leaf(&mut connection).await?;
    let statement = format!("ALTER TABLE {leaf} SET (fillfactor = {fill})");
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
    let round = load::run(url, 256, seconds).await?;
    sqlx::query("SELECT pg_stat_force_next_flush()").execute(&mut connection).await?;
    let (updates, hot, bytes): (i64, i64, i64) = loop {
        let figures: (i64, i64, i64) = sqlx::query_as(
            "SELECT n_tup_upd, n_tup_hot_upd, pg_relation_size(relid) / greatest(n_live_tup, 1) \
             FROM pg_stat_user_tables WHERE relname = $1",
        )
        .bind(&leaf)
        .fetch_one(&mut connection)
        .await?;
        if figures.0 > 0 {
            break figures;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let percent = hot * 100 / updates.max(1);
    Ok(format!("{percent:>3} % of {updates} heap-only, {bytes} bytes a row; {round}"))
}

/// Fills the day's leaf and asks what people and recovery ask.
pub(crate) async fn questions(url: &str, rows: u64) -> Result<Vec<String>> {
    let (store, lease) = load::open(url).await?;
    let mut connection = PgConnection::connect(url).await?;
    let leaf = leaf(&mut connection).await?;
    let fill = format!(
        "INSERT INTO {leaf} SELECT n, {} + n * 1000, n % 90000, (SELECT day FROM meta), {}, 0, n % 1000000, 1::smallint, \
         decode(lpad(to_hex((n * 2654435761) % 4294967296), 8, '0') || '0000000000000000000000', 'hex'), 'pos', '123456789012345', \
         decode(lpad(to_hex(n % 5000), 16, '0'), 'hex'), '156', decode(repeat('07', 16), 'hex'), 'unionpay', \
         decode(md5((n % {}) :: text), 'hex'), '621234', '1232', decode(repeat('5a', 52), 'hex'), \
         decode(repeat('30', 60), 'hex'), 1, n, (CASE WHEN n % {} = 0 THEN 1 ELSE 3 END)::smallint, 0::smallint, '00', 1, \
         decode(repeat('31', 48), 'hex'), 0, 0, 1 FROM generate_series(1::bigint, {rows}) n ON CONFLICT DO NOTHING",
        load::NOW.0,
        lease.node.0,
        rows / 4,
        rows / 20,
    );
    let begin = Instant::now();
    sqlx::query(AssertSqlSafe(fill)).execute(&mut connection).await?;
    let mut lines = vec![format!("filled in {:.1} s", begin.elapsed().as_secs_f64())];
    sqlx::query("SELECT brin_summarize_new_values(to_regclass($1))")
        .bind(format!("{leaf}_brin"))
        .execute(&mut connection)
        .await?;
    sqlx::query("UPDATE number SET next = $1")
        .bind(i64::try_from(rows)? + 1)
        .execute(&mut connection)
        .await?;
    sqlx::query(AssertSqlSafe(format!("ANALYZE {leaf}"))).execute(&mut connection).await?;
    let hash: Vec<u8> =
        sqlx::query_scalar("SELECT decode(md5('77'), 'hex')").fetch_one(&mut connection).await?;
    let card = Filter { card_hash: Some(hash.try_into().unwrap_or_default()), ..Filter::default() };
    let middle = load::NOW.0 + i64::try_from(rows)? * 500;
    let (from, to) = (Some(Wall(middle)), Some(Wall(middle + 1_000_000)));
    let terminal = Some(vec![0, 0, 0, 0, 0, 0, 0, 7]);
    let timed = Filter { from, to, terminal, ..Filter::default() };
    for (name, filter) in
        [("a card", card), ("a terminal and a time", timed), ("the newest", Filter::default())]
    {
        let begin = Instant::now();
        let found = store.find(&filter, 50).await?;
        lines.push(line(name, begin.elapsed(), found.len()));
    }
    let begin = Instant::now();
    let found = store.read_id(TxnId(rows / 3)).await?;
    lines.push(line("an RRN", begin.elapsed(), usize::from(found.is_some())));
    let begin = Instant::now();
    let mut estate = *lease.estates.first().context("its own estate")?;
    estate.below = switch_core::Epoch(1_000);
    let found = store.recover(estate, TxnId(0), 1_000).await?;
    lines.push(line("recovery, no beat ever made", begin.elapsed(), found.len()));
    sqlx::query("UPDATE node SET lowest_open = $1")
        .bind(i64::try_from(rows * 99 / 100)?)
        .execute(&mut connection)
        .await?;
    let begin = Instant::now();
    let found = store.recover(estate, TxnId(0), 1_000).await?;
    lines.push(line("recovery, bounded by the beat", begin.elapsed(), found.len()));
    Ok(lines)
}

fn line(name: &str, took: Duration, found: usize) -> String {
    format!("{:>8.1} ms  {name} ({found} rows)", took.as_secs_f64() * 1_000.0)
}

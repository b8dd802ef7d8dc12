//! The statements about settlements, uploads and what terminals fetch, for either back end: they differ only in their
//! types, and in how the rows of a batch are found.

/// What one transaction counts for, as an expression over `txn AS t`: what was approved, or, of an advice that the switch
/// took over (states 9 and 10), what it says. An adjustment or a tip (kinds 15 and 16) counts by what it adds to its
/// original, which its claim says (M11).
pub(crate) const fn amount_of() -> &'static str {
    "CASE WHEN t.kind IN (15, 16) THEN coalesce((SELECT -c.amount FROM claim c WHERE c.id = t.id), 0) \
     WHEN t.state IN (9, 10) THEN t.amount ELSE t.approved END"
}

/// What the terminal's own line of it says: the whole amount, of an adjustment or a tip too.
pub(crate) const SAID: &str =
    "CASE WHEN t.kind IN (15, 16) OR t.state IN (9, 10) THEN t.amount ELSE t.approved END";

/// Its reversal is owed, or will be unless its terminal comes back.
pub(crate) const UNDOING: &str = "EXISTS (SELECT 1 FROM obligation o WHERE o.id = t.id AND o.status IN (1, 3, 6) AND o.cause <> 7)";

/// Makes the functions of one back end, after `terminal_queries`. `$rows` are those of a batch: of days from $1 on.
macro_rules! settlement_queries {
    ($store:ty, $pool:ident, $db:ty, $connection:ty, $within:ident, $lock:literal, $next:ident, $rows:literal) => {
        static SUMS: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
            let (amount, undoing) = (crate::counter::amount_of(), crate::counter::UNDOING);
            format!(
                "SELECT t.kind, t.issuer, CASE WHEN t.state = 1 THEN 1 ELSE 0 END AS flight, count(*), \
                 CAST(sum({amount}) AS bigint) FROM {} AND t.key > $2 AND t.key <= $3 \
                 AND (t.state = 1 OR (t.state IN (3, 9, 10) AND NOT {undoing})) \
                 GROUP BY t.kind, t.issuer, CASE WHEN t.state = 1 THEN 1 ELSE 0 END",
                $rows
            )
        });

        static HELD: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
            let (amount, undoing) = (crate::counter::SAID, crate::counter::UNDOING);
            format!(
                "SELECT t.id, t.stan, t.kind, t.state, {undoing}, {amount}, t.amount, t.card_hash \
                 FROM {} AND t.key > $2 AND t.key <= $3",
                $rows
            )
        });

        /// The batches of a terminal, each with its first day: those that are open, or that a settlement covered.
        async fn batches_of(
            connection: &mut $connection,
            terminal: switch_core::TerminalKey,
            covered: Option<(u32, i32)>,
        ) -> Result<Vec<(u32, i32)>, sqlx::Error> {
            let mut query = sqlx::QueryBuilder::<$db>::new(
                "SELECT number, day FROM batch WHERE terminal = ",
            );
            query.push_bind(terminal.0.to_vec());
            match covered {
                None => {
                    query.push(" AND closed IS NULL");
                }
                Some((number, day)) => {
                    query.push(" AND covered = ").push_bind(crate::image::signed(number));
                    query.push(" AND closed_day = ").push_bind(day);
                }
            }
            let rows: Vec<(i32, i32)> = query.build_query_as().fetch_all(connection).await?;
            Ok(rows.into_iter().map(|(n, day)| (crate::image::unsigned(n), day)).collect())
        }

        /// What the switch counts in a terminal's open batches; none where one of its transactions is in flight.
        async fn count_open(
            connection: &mut $connection,
            terminal: switch_core::TerminalKey,
            rules: &crate::Rules,
        ) -> Result<Option<crate::Totals>, sqlx::Error> {
            let mut held = crate::Totals::default();
            for (number, day) in batches_of(connection, terminal, None).await? {
                let [low, high] = crate::counter::range(terminal, number);
                let sums: Vec<(i16, Option<String>, i32, i64, i64)> =
                    sqlx::query_as(SUMS.as_str())
                        .bind(day)
                        .bind(low)
                        .bind(high)
                        .fetch_all(&mut *connection)
                        .await?;
                for (kind, issuer, flight, count, amount) in sums {
                    let kind = crate::counter::kind_of(kind)?;
                    if rules.side(kind).is_none() {
                        continue;
                    }
                    if flight != 0 {
                        return Ok(None);
                    }
                    let count = u32::try_from(count).unwrap_or(u32::MAX);
                    held.add(rules, kind, issuer.as_deref(), crate::Sum { amount, count });
                }
            }
            Ok(Some(held))
        }

        /// A closed batch as a settlement left it.
        #[derive(sqlx::FromRow)]
        struct Closed {
            closed: i64,
            closed_day: i32,
            covered: i32,
            stan: Option<i32>,
            asked: Option<String>,
            answer: Option<String>,
            result: Option<i16>,
        }

        /// Closes all open batches of the terminal; the one that the settlement names has its totals.
        async fn write_closing(
            connection: &mut $connection,
            ask: &crate::Settlement,
            day: switch_core::Day,
            held: &crate::Totals,
            balanced: bool,
        ) -> Result<(), sqlx::Error> {
            use crate::{Balance, image::signed};
            let terminal = ask.place.terminal;
            sqlx::query(
                "UPDATE batch SET closed = $2, closed_day = $3, covered = $4 WHERE terminal = $1 AND closed IS NULL",
            )
            .bind(terminal.0.to_vec())
            .bind(ask.at.0)
            .bind(day.0)
            .bind(signed(ask.number))
            .execute(&mut *connection)
            .await?;
            sqlx::query(
                "UPDATE batch SET stan = $3, asked = $4, held = $5, answer = $6, result = $7 \
                 WHERE terminal = $1 AND number = $2",
            )
            .bind(terminal.0.to_vec())
            .bind(signed(ask.number))
            .bind(signed(ask.stan))
            .bind(ask.asked.field([Balance::Error; 2]))
            .bind(held.field([Balance::Error; 2]))
            .bind(ask.asked.field(held.compare(&ask.asked)))
            .bind(if balanced { 1_i16 } else { 2_i16 })
            .execute(connection)
            .await
            .map(drop)
        }

        async fn close_batches(
            connection: &mut $connection,
            overlap: std::time::Duration,
            ask: &crate::Settlement,
            rules: &crate::Rules,
        ) -> Result<crate::Settled, sqlx::Error> {
            use crate::image::signed;
            use crate::{Balance, Settled};
            let terminal = ask.place.terminal;
            let standing = lock(connection, &ask.place).await?;
            let horizon = horizon_at(connection, overlap, ask.at).await?;
            let oldest = crate::counter::oldest(horizon);
            let asked = ask.asked.field([Balance::Error; 2]);
            let closed: Option<Closed> = sqlx::query_as(
                "SELECT closed, closed_day, covered, stan, asked, answer, result FROM batch \
                 WHERE terminal = $1 AND number = $2 AND closed_day >= $3",
            )
            .bind(terminal.0.to_vec())
            .bind(signed(ask.number))
            .bind(oldest.0)
            .fetch_optional(&mut *connection)
            .await?;
            if let Some(closed) = closed {
                // A terminal that lost its power has lost its STAN too.
                let same = closed.stan == Some(signed(ask.stan))
                    || (standing.batch.is_none() && closed.asked.as_ref() == Some(&asked));
                return Ok(match closed.answer {
                    Some(field) if same && closed.covered == signed(ask.number) => Settled::Closed {
                        field,
                        balanced: closed.result == Some(1),
                        at: switch_core::Wall(closed.closed),
                        day: switch_core::Day(closed.closed_day),
                        repeated: true,
                    },
                    Some(_) | None => Settled::Differs,
                });
            }
            match standing.batch {
                Some(batch) if batch == ask.number => {}
                Some(_) => return Ok(Settled::Differs),
                // Nothing was sold in it.
                None => {
                    begin_batches(connection, &[(terminal, ask.number, ask.at)], oldest).await?;
                    use_batch(connection, terminal, Some(ask.number)).await?;
                }
            }
            begin_forgotten(connection, terminal, horizon, ask.at).await?;
            let Some(held) = count_open(connection, terminal, rules).await? else {
                return Ok(Settled::InFlight);
            };
            let results = held.compare(&ask.asked);
            let balanced = results == [Balance::Balanced; 2];
            let field = ask.asked.field(results);
            write_closing(connection, ask, horizon.day, &held, balanced).await?;
            use_batch(connection, terminal, None).await?;
            let (at, day) = (ask.at, horizon.day);
            Ok(Settled::Closed { field, balanced, at, day, repeated: false })
        }

        /// From now on the terminal uses this batch, or none that is known.
        async fn use_batch(
            connection: &mut $connection,
            terminal: switch_core::TerminalKey,
            batch: Option<u32>,
        ) -> Result<(), sqlx::Error> {
            sqlx::query(concat!(
                "UPDATE terminal SET batch = $2, last = coalesce($2, last), signed = NULL, signed_at = NULL, seq = ",
                $next!(),
                " WHERE terminal = $1"
            ))
            .bind(terminal.0.to_vec())
            .bind(batch.map(crate::image::signed))
            .execute(connection)
            .await
            .map(drop)
        }

        /// A settled batch whose upload may come.
        #[derive(sqlx::FromRow)]
        struct Settled {
            number: i32,
            closed_day: i32,
            result: Option<i16>,
            ended: Option<i64>,
            cases: Option<i32>,
        }

        /// The batch that the settlement of this one named, locked.
        async fn settled(
            connection: &mut $connection,
            terminal: switch_core::TerminalKey,
            number: u32,
        ) -> Result<Option<Settled>, sqlx::Error> {
            sqlx::query_as(concat!(
                "SELECT b.number, b.closed_day, b.result, b.ended, b.cases FROM batch a JOIN batch b \
                 ON b.terminal = a.terminal AND b.number = a.covered AND b.closed_day = a.closed_day \
                 WHERE a.terminal = $1 AND a.number = $2",
                $lock
            ))
            .bind(terminal.0.to_vec())
            .bind(crate::image::signed(number))
            .fetch_optional(connection)
            .await
        }

        async fn keep_lines(
            connection: &mut $connection,
            terminal: switch_core::TerminalKey,
            number: u32,
            lines: &[crate::Line],
        ) -> Result<crate::Uploaded, sqlx::Error> {
            use crate::{Uploaded, image::signed};
            let Some(batch) = settled(connection, terminal, number).await? else {
                return Ok(Uploaded::NotSettled);
            };
            if batch.ended.is_some() || lines.is_empty() {
                return Ok(Uploaded::Taken);
            }
            let kept: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM upload WHERE terminal = $1 AND batch = $2 AND day = $3",
            )
            .bind(terminal.0.to_vec())
            .bind(batch.number)
            .bind(batch.closed_day)
            .fetch_one(&mut *connection)
            .await?;
            let more = i64::try_from(lines.len()).unwrap_or(i64::MAX);
            if kept.saturating_add(more) > crate::counter::MOST_LINES {
                return Ok(Uploaded::TooMany);
            }
            let mut query = sqlx::QueryBuilder::<$db>::new(
                "INSERT INTO upload (terminal, batch, day, source, trace, kind, amount, card_hash, card_first6, \
                 card_last4) ",
            );
            query.push_values(lines, |mut row, line| {
                row.push_bind(terminal.0.to_vec())
                    .push_bind(batch.number)
                    .push_bind(batch.closed_day)
                    .push_bind(i16::from(line.source.number()))
                    .push_bind(signed(line.trace))
                    .push_bind(line.kind.map_or(0, |kind| i16::from(kind.number())))
                    .push_bind(line.amount)
                    .push_bind(line.card_hash.to_vec())
                    .push_bind(line.first6.to_vec())
                    .push_bind(line.last4.to_vec());
            });
            query.push(" ON CONFLICT DO NOTHING");
            query.build().execute(connection).await?;
            Ok(Uploaded::Taken)
        }

        async fn lines_of(
            connection: &mut $connection,
            terminal: switch_core::TerminalKey,
            batch: &Settled,
        ) -> Result<Vec<crate::Line>, sqlx::Error> {
            type Stored = (i16, i32, i16, i64, Vec<u8>, Vec<u8>, Vec<u8>);
            let lines: Vec<Stored> = sqlx::query_as(
                "SELECT source, trace, kind, amount, card_hash, card_first6, card_last4 FROM upload \
                 WHERE terminal = $1 AND batch = $2 AND day = $3 ORDER BY trace, source, kind",
            )
            .bind(terminal.0.to_vec())
            .bind(batch.number)
            .bind(batch.closed_day)
            .fetch_all(connection)
            .await?;
            lines.into_iter().map(crate::counter::line_of).collect()
        }

        /// The transactions of all batches that a settlement covered, of kinds that count in its totals.
        async fn held_rows(
            connection: &mut $connection,
            terminal: switch_core::TerminalKey,
            batch: &Settled,
            rules: &crate::Rules,
        ) -> Result<Vec<crate::counter::HeldRow>, sqlx::Error> {
            type Stored = (i64, i32, i16, i16, bool, i64, i64, Vec<u8>);
            let covered = (crate::image::unsigned(batch.number), batch.closed_day);
            let mut held = Vec::new();
            for (number, day) in batches_of(connection, terminal, Some(covered)).await? {
                let [low, high] = crate::counter::range(terminal, number);
                let rows: Vec<Stored> = sqlx::query_as(HELD.as_str())
                    .bind(day)
                    .bind(low)
                    .bind(high)
                    .fetch_all(&mut *connection)
                    .await?;
                for row in rows {
                    let row = crate::counter::held_of(number, row)?;
                    if rules.side(row.kind).is_some() {
                        held.push(row);
                    }
                }
            }
            Ok(held)
        }

        async fn finish_upload(
            connection: &mut $connection,
            end: &crate::UploadEnd,
            rules: &crate::Rules,
        ) -> Result<crate::Ended, sqlx::Error> {
            use crate::Ended;
            let terminal = end.place.terminal;
            let Some(batch) = settled(connection, terminal, end.batch).await? else {
                return Ok(Ended::NotSettled);
            };
            if batch.ended.is_some() {
                let cases = batch.cases.map_or(0, crate::image::unsigned);
                return Ok(Ended::Compared { cases, repeated: true });
            }
            let lines = lines_of(connection, terminal, &batch).await?;
            // One that balances need not tell its lines: its count says what it settled, not what it uploads.
            if batch.result != Some(1) && !crate::counter::is_whole(&lines, end.count) {
                sqlx::query("DELETE FROM upload WHERE terminal = $1 AND batch = $2 AND day = $3")
                    .bind(terminal.0.to_vec())
                    .bind(batch.number)
                    .bind(batch.closed_day)
                    .execute(connection)
                    .await?;
                return Ok(Ended::CountDiffers);
            }
            let mut differences = Vec::new();
            if batch.result != Some(1) {
                let rows = held_rows(connection, terminal, &batch, rules).await?;
                let name = crate::counter::readable(&end.place.name);
                let number = crate::image::unsigned(batch.number);
                differences = crate::counter::compare(&name, number, &lines, &rows);
            }
            open_cases(connection, &differences, end.at).await?;
            let cases = u32::try_from(differences.len()).unwrap_or(u32::MAX);
            sqlx::query("UPDATE batch SET ended = $3, cases = $4 WHERE terminal = $1 AND number = $2")
                .bind(terminal.0.to_vec())
                .bind(batch.number)
                .bind(end.at.0)
                .bind(crate::image::signed(cases))
                .execute(connection)
                .await?;
            Ok(Ended::Compared { cases, repeated: false })
        }

        /// A case of something without a transaction gets a number that no transaction will have.
        async fn open_cases(
            connection: &mut $connection,
            differences: &[crate::counter::Difference],
            at: switch_core::Wall,
        ) -> Result<(), sqlx::Error> {
            let strangers = differences.iter().filter(|difference| difference.id.is_none()).count();
            let strangers = i64::try_from(strangers).unwrap_or(i64::MAX);
            let mut number: i64 = 0;
            if strangers > 0 {
                let after: i64 =
                    sqlx::query_scalar("UPDATE number SET next = next + $1 RETURNING next")
                        .bind(strangers)
                        .fetch_one(&mut *connection)
                        .await?;
                number = after.saturating_sub(strangers);
            }
            for difference in differences {
                let id = difference.id.map_or(number, |id| crate::image::long(id.0));
                number += i64::from(difference.id.is_none());
                sqlx::query(
                    "INSERT INTO cases (id, kind, opened, detail) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (id, kind) DO NOTHING",
                )
                .bind(id)
                .bind(i16::from(difference.kind.number()))
                .bind(at.0)
                .bind(difference.detail.as_bytes().to_vec())
                .execute(&mut *connection)
                .await?;
            }
            Ok(())
        }

        impl $store {
            pub(crate) async fn settle(
                &self,
                ask: &crate::Settlement,
                rules: &crate::Rules,
            ) -> Result<crate::Settled, crate::StoreError> {
                let overlap = self.config.day.overlap;
                $within!(self, connection => close_batches(connection, overlap, ask, rules))
            }

            pub(crate) async fn upload(
                &self,
                terminal: switch_core::TerminalKey,
                batch: u32,
                lines: &[crate::Line],
            ) -> Result<crate::Uploaded, crate::StoreError> {
                $within!(self, connection => keep_lines(connection, terminal, batch, lines))
            }

            pub(crate) async fn end_upload(
                &self,
                end: &crate::UploadEnd,
                rules: &crate::Rules,
            ) -> Result<crate::Ended, crate::StoreError> {
                $within!(self, connection => finish_upload(connection, end, rules))
            }
        }
    };
}
pub(crate) use settlement_queries;

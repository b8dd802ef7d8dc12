//! The statements about terminals and their open batches, for either back end: they differ only in their types.

/// Makes the functions of one back end. `$within` runs something in a transaction, `$lock` ends a read that locks, `$next`
/// numbers a change.
macro_rules! terminal_queries {
    ($store:ty, $pool:ident, $db:ty, $connection:ty, $within:ident, $lock:literal, $next:ident) => {
        /// A terminal's row, locked until the end of the transaction.
        struct Standing {
            batch: Option<u32>,
            last: u32,
            signed: Option<u32>,
            signed_at: Option<i64>,
        }

        async fn horizon_at(
            connection: &mut $connection,
            overlap: std::time::Duration,
            now: switch_core::Wall,
        ) -> Result<crate::Horizon, sqlx::Error> {
            let current: crate::days::Current = sqlx::query_as(
                "SELECT m.day, d.former, d.opened FROM meta m LEFT JOIN day d ON d.day = m.day",
            )
            .fetch_one(connection)
            .await?;
            current.horizon(overlap, now).map_err(|_no_day| sqlx::Error::RowNotFound)
        }

        /// Locks the terminal's row, which is made where it is missing.
        async fn lock(
            connection: &mut $connection,
            place: &crate::Place,
        ) -> Result<Standing, sqlx::Error> {
            use crate::image::unsigned;
            use sqlx::Row as _;
            sqlx::query(concat!(
                "INSERT INTO terminal (terminal, merchant, name, domain, listener, last, seq) \
                 SELECT $1, $2, $3, $4, $5, 0, ",
                $next!(),
                " WHERE true ON CONFLICT (terminal) DO NOTHING"
            ))
            .bind(place.terminal.0.to_vec())
            .bind(place.merchant.to_vec())
            .bind(place.name.to_vec())
            .bind(place.domain.clone())
            .bind(place.listener.to_string())
            .execute(&mut *connection)
            .await?;
            let row = sqlx::query(concat!(
                "SELECT batch, last, signed, signed_at FROM terminal WHERE terminal = $1",
                $lock
            ))
            .bind(place.terminal.0.to_vec())
            .fetch_one(connection)
            .await?;
            Ok(Standing {
                batch: row.try_get::<Option<i32>, _>(0)?.map(unsigned),
                last: unsigned(row.try_get(1)?),
                signed: row.try_get::<Option<i32>, _>(2)?.map(unsigned),
                signed_at: row.try_get(3)?,
            })
        }

        /// Whether a transaction of the horizon has this batch.
        async fn is_used(
            connection: &mut $connection,
            terminal: switch_core::TerminalKey,
            number: u32,
            horizon: crate::Horizon,
        ) -> Result<bool, sqlx::Error> {
            let [low, high] = crate::counter::range(terminal, number);
            sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM txn t WHERE t.day IN ($1, $2) AND t.key > $3 AND t.key <= $4)",
            )
            .bind(horizon.day.0)
            .bind(crate::counter::oldest(horizon).0)
            .bind(low)
            .bind(high)
            .fetch_one(connection)
            .await
        }

        /// Whether the batch is open, or was closed within the horizon.
        async fn is_kept(
            connection: &mut $connection,
            terminal: switch_core::TerminalKey,
            number: u32,
            horizon: crate::Horizon,
        ) -> Result<bool, sqlx::Error> {
            sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM batch WHERE terminal = $1 AND number = $2 \
                 AND (closed IS NULL OR closed_day >= $3))",
            )
            .bind(terminal.0.to_vec())
            .bind(crate::image::signed(number))
            .bind(crate::counter::oldest(horizon).0)
            .fetch_one(connection)
            .await
        }

        /// Whether nothing stands against handing this number out.
        async fn is_free(
            connection: &mut $connection,
            terminal: switch_core::TerminalKey,
            number: u32,
            horizon: crate::Horizon,
        ) -> Result<bool, sqlx::Error> {
            let taken = is_kept(connection, terminal, number, horizon).await?;
            Ok(!taken && !is_used(connection, terminal, number, horizon).await?)
        }

        /// That a terminal brought a batch is written a little after its first sale: where that was lost, or another node gave
        /// the terminal a number meanwhile, the batch is begun now, so that its sales count and it can be closed.
        async fn begin_forgotten(
            connection: &mut $connection,
            terminal: switch_core::TerminalKey,
            horizon: crate::Horizon,
            at: switch_core::Wall,
        ) -> Result<(), sqlx::Error> {
            let oldest = crate::counter::oldest(horizon);
            let [mut above, _] = crate::counter::range(terminal, 0);
            let [_, end] = crate::counter::range(terminal, 0x00ff_ffff);
            loop {
                let next: Option<Vec<u8>> = sqlx::query_scalar(
                    "SELECT t.key FROM txn t WHERE t.day IN ($1, $2) AND t.key > $3 AND t.key <= $4 \
                     AND t.state IN (1, 3, 9, 10) ORDER BY t.key LIMIT 1",
                )
                .bind(horizon.day.0)
                .bind(oldest.0)
                .bind(above)
                .bind(end.clone())
                .fetch_optional(&mut *connection)
                .await?;
                let Some(key) = next else { return Ok(()) };
                let number = crate::counter::batch_of(&key)?;
                if !is_kept(connection, terminal, number, horizon).await? {
                    begin_batches(connection, &[(terminal, number, at)], oldest).await?;
                }
                [_, above] = crate::counter::range(terminal, number);
            }
        }

        /// Begins batches, or begins them anew.
        async fn begin_batches(
            connection: &mut $connection,
            batches: &[(switch_core::TerminalKey, u32, switch_core::Wall)],
            day: switch_core::Day,
        ) -> Result<(), sqlx::Error> {
            let mut query = sqlx::QueryBuilder::<$db>::new(
                "INSERT INTO batch (terminal, number, day, opened) ",
            );
            query.push_values(batches, |mut row, (terminal, number, at)| {
                row.push_bind(terminal.0.to_vec())
                    .push_bind(crate::image::signed(*number))
                    .push_bind(day.0)
                    .push_bind(at.0);
            });
            query.push(
                " ON CONFLICT (terminal, number) DO UPDATE SET day = excluded.day, opened = excluded.opened, \
                 closed = NULL, closed_day = NULL, covered = NULL, stan = NULL, asked = NULL, held = NULL, \
                 answer = NULL, result = NULL, ended = NULL, cases = NULL",
            );
            query.build().execute(connection).await.map(drop)
        }

        async fn open_brought(
            connection: &mut $connection,
            overlap: std::time::Duration,
            openings: &[crate::Opening],
        ) -> Result<(), sqlx::Error> {
            let Some(first) = openings.first() else { return Ok(()) };
            let horizon = horizon_at(connection, overlap, first.at).await?;
            let day = crate::counter::oldest(horizon);
            let seq: i64 = sqlx::query_scalar(concat!("SELECT ", $next!()))
                .fetch_one(&mut *connection)
                .await?;
            let mut query = sqlx::QueryBuilder::<$db>::new(
                "INSERT INTO terminal (terminal, merchant, name, domain, listener, batch, last, seq) ",
            );
            query.push_values(openings, |mut row, opening| {
                let number = crate::image::signed(opening.number);
                row.push_bind(opening.place.terminal.0.to_vec())
                    .push_bind(opening.place.merchant.to_vec())
                    .push_bind(opening.place.name.to_vec())
                    .push_bind(opening.place.domain.clone())
                    .push_bind(opening.place.listener.to_string())
                    .push_bind(number)
                    .push_bind(number)
                    .push_bind(seq);
            });
            query.push(
                " ON CONFLICT (terminal) DO UPDATE SET batch = excluded.batch, last = excluded.last, \
                 signed = NULL, signed_at = NULL, \
                 seq = CASE WHEN terminal.seq >= excluded.seq THEN terminal.seq + 1 ELSE excluded.seq END \
                 WHERE terminal.batch IS NULL AND NOT EXISTS (SELECT 1 FROM batch b \
                 WHERE b.terminal = excluded.terminal AND b.number = excluded.batch AND b.closed_day >= ",
            );
            query.push_bind(day.0).push(") RETURNING terminal");
            let opened: Vec<Vec<u8>> =
                query.build_query_scalar().fetch_all(&mut *connection).await?;
            let opened: std::collections::BTreeSet<Vec<u8>> = opened.into_iter().collect();
            let batches: Vec<_> = (openings.iter())
                .filter(|opening| opened.contains(&opening.place.terminal.0[..]))
                .map(|opening| (opening.place.terminal, opening.number, opening.at))
                .collect();
            if batches.is_empty() {
                return Ok(());
            }
            begin_batches(connection, &batches, day).await
        }

        async fn give_batch(
            connection: &mut $connection,
            overlap: std::time::Duration,
            ask: &crate::SignIn,
        ) -> Result<crate::SignedIn, sqlx::Error> {
            let terminal = ask.place.terminal;
            let standing = lock(connection, &ask.place).await?;
            let horizon = horizon_at(connection, overlap, ask.at).await?;
            if let Some(batch) = standing.batch
                && !is_used(connection, terminal, batch, horizon).await?
            {
                let given = standing.signed_at.filter(|at| {
                    standing.signed == Some(ask.stan) && ask.at.0.saturating_sub(*at) <= ask.window
                });
                let at = given.map_or(ask.at, switch_core::Wall);
                if given.is_none() {
                    signed(connection, terminal, batch, ask).await?;
                }
                return Ok(crate::SignedIn { batch, at });
            }
            begin_forgotten(connection, terminal, horizon, ask.at).await?;
            let unknown = standing.batch.is_none() && standing.last == 0;
            let mut batch = if unknown && ask.brought > 0 {
                ask.brought
            } else {
                crate::counter::next_number(standing.last)
            };
            let mut tries = 0;
            while !is_free(connection, terminal, batch, horizon).await? {
                tries += 1;
                if tries >= crate::counter::MOST_TRIES {
                    return Err(sqlx::Error::Protocol("no batch number is free".to_owned()));
                }
                batch = crate::counter::next_number(batch);
            }
            let day = crate::counter::oldest(horizon);
            begin_batches(connection, &[(terminal, batch, ask.at)], day).await?;
            signed(connection, terminal, batch, ask).await?;
            Ok(crate::SignedIn { batch, at: ask.at })
        }

        /// Writes down that this batch was handed out.
        async fn signed(
            connection: &mut $connection,
            terminal: switch_core::TerminalKey,
            batch: u32,
            ask: &crate::SignIn,
        ) -> Result<(), sqlx::Error> {
            sqlx::query(concat!(
                "UPDATE terminal SET batch = $2, last = $2, signed = $3, signed_at = $4, seq = ",
                $next!(),
                " WHERE terminal = $1"
            ))
            .bind(terminal.0.to_vec())
            .bind(crate::image::signed(batch))
            .bind(crate::image::signed(ask.stan))
            .bind(ask.at.0)
            .execute(connection)
            .await
            .map(drop)
        }

        /// Which terminals are read.
        #[derive(Clone)]
        enum Which {
            One(Vec<u8>),
            Changed(i64),
            /// Above the first, and at most the second where that is known.
            Page(Vec<u8>, Option<Vec<u8>>),
        }

        impl Which {
            fn condition(&self, query: &mut sqlx::QueryBuilder<$db>) {
                match self {
                    Self::One(terminal) => {
                        query.push("t.terminal = ").push_bind(terminal.clone());
                    }
                    Self::Changed(seq) => {
                        query.push("t.seq > ").push_bind(*seq);
                    }
                    Self::Page(above, to) => {
                        query.push("t.terminal > ").push_bind(above.clone());
                        if let Some(to) = to {
                            query.push(" AND t.terminal <= ").push_bind(to.clone());
                        }
                    }
                }
            }
        }

        impl $store {
            async fn states(
                &self,
                which: Which,
                limit: Option<u32>,
            ) -> Result<Vec<crate::TerminalState>, crate::StoreError> {
                use crate::image::{array, count, unsigned};
                use sqlx::Row as _;
                use switch_core::TerminalKey;
                let horizon = self.horizon.get().ok_or(crate::StoreError::NoDay)?;
                let mut query = sqlx::QueryBuilder::<$db>::new(
                    "SELECT t.terminal, t.seq, t.batch FROM terminal t WHERE ",
                );
                which.condition(&mut query);
                query.push(" ORDER BY t.terminal");
                if let Some(limit) = limit {
                    query.push(" LIMIT ").push_bind(i64::from(limit));
                }
                let mut states = std::collections::BTreeMap::new();
                for row in query.build().fetch_all(&self.$pool).await? {
                    let key: Vec<u8> = row.try_get(0)?;
                    let state = crate::TerminalState {
                        terminal: TerminalKey(array(&key, "terminal")?),
                        seq: count(row.try_get(1)?),
                        batch: row.try_get::<Option<i32>, _>(2)?.map(unsigned),
                        closed: Vec::new(),
                        fetched: Vec::new(),
                    };
                    states.insert(key, state);
                }
                let Some(newest) = states.keys().next_back().cloned() else {
                    return Ok(Vec::new());
                };
                let which = match which {
                    Which::Page(above, _) => Which::Page(above, Some(newest)),
                    other @ (Which::One(_) | Which::Changed(_)) => other,
                };
                let mut query = sqlx::QueryBuilder::<$db>::new(
                    "SELECT b.terminal, b.number, b.closed_day FROM batch b JOIN terminal t \
                     ON t.terminal = b.terminal WHERE b.closed_day >= ",
                );
                query.push_bind(crate::counter::oldest(horizon).0).push(" AND ");
                which.condition(&mut query);
                for row in query.build().fetch_all(&self.$pool).await? {
                    let key: Vec<u8> = row.try_get(0)?;
                    if let Some(state) = states.get_mut(&key) {
                        let day = switch_core::Day(row.try_get(2)?);
                        state.closed.push((unsigned(row.try_get(1)?), day));
                    }
                }
                let mut query = sqlx::QueryBuilder::<$db>::new(
                    "SELECT f.terminal, f.file, f.version FROM fetched f JOIN terminal t \
                     ON t.terminal = f.terminal WHERE ",
                );
                which.condition(&mut query);
                for row in query.build().fetch_all(&self.$pool).await? {
                    let key: Vec<u8> = row.try_get(0)?;
                    if let Some(state) = states.get_mut(&key) {
                        let (file, version) = (row.try_get(1)?, row.try_get(2)?);
                        state.fetched.push(crate::Fetched { file, version });
                    }
                }
                Ok(states.into_values().collect())
            }

            pub(crate) async fn terminals(
                &self,
                after: Option<switch_core::TerminalKey>,
                limit: u32,
            ) -> Result<Vec<crate::TerminalState>, crate::StoreError> {
                let above = after.map_or_else(Vec::new, |key| key.0.to_vec());
                self.states(Which::Page(above, None), Some(limit)).await
            }

            pub(crate) async fn terminals_changed(
                &self,
                seq: u64,
            ) -> Result<Vec<crate::TerminalState>, crate::StoreError> {
                self.states(Which::Changed(crate::image::long(seq)), None).await
            }

            pub(crate) async fn terminal(
                &self,
                terminal: switch_core::TerminalKey,
            ) -> Result<Option<crate::TerminalState>, crate::StoreError> {
                Ok(self.states(Which::One(terminal.0.to_vec()), None).await?.pop())
            }

            pub(crate) async fn open_batches(
                &self,
                openings: &[crate::Opening],
            ) -> Result<(), crate::StoreError> {
                let overlap = self.config.day.overlap;
                let mut sorted = openings.to_vec();
                // Rows are locked in one order, and each once.
                sorted.sort_by_key(|opening| opening.place.terminal);
                sorted.dedup_by_key(|opening| opening.place.terminal);
                for piece in sorted.chunks(crate::counter::AT_ONCE) {
                    $within!(self, connection => open_brought(connection, overlap, piece))?;
                }
                Ok(())
            }

            pub(crate) async fn sign_in(
                &self,
                ask: &crate::SignIn,
            ) -> Result<crate::SignedIn, crate::StoreError> {
                let overlap = self.config.day.overlap;
                $within!(self, connection => give_batch(connection, overlap, ask))
            }

            pub(crate) async fn batch_closed(
                &self,
                terminal: switch_core::TerminalKey,
                batch: u32,
                day: switch_core::Day,
            ) -> Result<bool, crate::StoreError> {
                let closed = sqlx::query_scalar(
                    "SELECT EXISTS (SELECT 1 FROM batch WHERE terminal = $1 AND number = $2 \
                     AND (closed IS NOT NULL OR day > $3))",
                )
                .bind(terminal.0.to_vec())
                .bind(crate::image::signed(batch))
                .bind(day.0);
                Ok(closed.fetch_one(&self.$pool).await?)
            }

            pub(crate) async fn batches(
                &self,
                terminal: Option<Vec<u8>>,
                limit: u32,
            ) -> Result<Vec<crate::BatchFile>, crate::StoreError> {
                let mut query = sqlx::QueryBuilder::<$db>::new(
                    "SELECT t.merchant, t.name, b.number, b.day, b.opened, b.closed, b.result, b.asked, b.held, \
                     b.ended, b.cases FROM batch b JOIN terminal t ON t.terminal = b.terminal",
                );
                if let Some(terminal) = terminal {
                    query.push(" WHERE t.name = ").push_bind(terminal);
                }
                query.push(" ORDER BY b.opened DESC LIMIT ").push_bind(i64::from(limit));
                let rows: Vec<crate::counter::StoredBatch> =
                    query.build_query_as().fetch_all(&self.$pool).await?;
                Ok(rows.into_iter().map(crate::counter::StoredBatch::file).collect())
            }
        }
    };
}
pub(crate) use terminal_queries;

//! The statements about what terminals fetch and report, for either back end.

/// Makes the functions of one back end, after `terminal_queries`.
macro_rules! fetch_queries {
    ($store:ty, $connection:ty, $within:ident, $next:ident) => {
        async fn begin(
            connection: &mut $connection,
            place: &crate::Place,
            (file, version): (&str, &str),
            from_start: bool,
        ) -> Result<(), sqlx::Error> {
            lock(connection, place).await?;
            let statement = if from_start {
                "INSERT INTO fetched (terminal, file, begun) VALUES ($1, $2, $3) \
                 ON CONFLICT (terminal, file) DO UPDATE SET begun = excluded.begun"
            } else {
                "INSERT INTO fetched (terminal, file, begun) VALUES ($1, $2, $3) \
                 ON CONFLICT (terminal, file) DO UPDATE SET begun = coalesce(fetched.begun, excluded.begun)"
            };
            sqlx::query(statement)
                .bind(place.terminal.0.to_vec())
                .bind(file.to_owned())
                .bind(version.to_owned())
                .execute(connection)
                .await
                .map(drop)
        }

        async fn end(
            connection: &mut $connection,
            terminal: switch_core::TerminalKey,
            file: &str,
            version: &str,
        ) -> Result<bool, sqlx::Error> {
            let kept: Option<(Option<String>, Option<String>)> = sqlx::query_as(
                "SELECT version, begun FROM fetched WHERE terminal = $1 AND file = $2",
            )
            .bind(terminal.0.to_vec())
            .bind(file.to_owned())
            .fetch_optional(&mut *connection)
            .await?;
            let Some((has, begun)) = kept else { return Ok(false) };
            let whole = begun.as_deref() == Some(version);
            if begun.is_none() {
                return Ok(has.as_deref() == Some(version));
            }
            sqlx::query(
                "UPDATE fetched SET version = CASE WHEN begun = $3 THEN begun ELSE version END, begun = NULL \
                 WHERE terminal = $1 AND file = $2",
            )
            .bind(terminal.0.to_vec())
            .bind(file.to_owned())
            .bind(version.to_owned())
            .execute(&mut *connection)
            .await?;
            sqlx::query(concat!("UPDATE terminal SET seq = ", $next!(), " WHERE terminal = $1"))
            .bind(terminal.0.to_vec())
            .execute(connection)
            .await?;
            Ok(whole)
        }

        async fn note_report(
            connection: &mut $connection,
            place: &crate::Place,
            code: &str,
            at: switch_core::Wall,
        ) -> Result<(), sqlx::Error> {
            lock(connection, place).await?;
            sqlx::query("UPDATE terminal SET reported = $2, report_at = $3 WHERE terminal = $1")
                .bind(place.terminal.0.to_vec())
                .bind(code.to_owned())
                .bind(at.0)
                .execute(connection)
                .await
                .map(drop)
        }

        impl $store {
            pub(crate) async fn begin_fetch(
                &self,
                place: &crate::Place,
                file: &str,
                version: &str,
                from_start: bool,
            ) -> Result<(), crate::StoreError> {
                $within!(self, connection => begin(connection, place, (file, version), from_start))
            }

            pub(crate) async fn end_fetch(
                &self,
                terminal: switch_core::TerminalKey,
                file: &str,
                version: &str,
            ) -> Result<bool, crate::StoreError> {
                $within!(self, connection => end(connection, terminal, file, version))
            }

            pub(crate) async fn report(
                &self,
                place: &crate::Place,
                code: &str,
                at: switch_core::Wall,
            ) -> Result<(), crate::StoreError> {
                $within!(self, connection => note_report(connection, place, code, at))
            }
        }
    };
}
pub(crate) use fetch_queries;

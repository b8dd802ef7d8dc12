//! The key that protects card data: its check value in the database, and a sealed card to try a key on.

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, SqliteConnection,
    postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};
use switch_core::Key;

use crate::{
    Store, StoreConfig, StoreError,
    image::array,
    store::{either, uncancelled},
};

/// What a database says of its card data key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptCardKey {
    /// The check value of the key.
    pub check: Option<String>,
    /// A sealed card of a late transaction, with the identity that it is bound to.
    pub card: Option<(Key, Vec<u8>)>,
}

/// Records the check value, unless there is one.
pub(crate) const KEEP: &str = "UPDATE meta SET card_key_check = $1 WHERE card_key_check IS NULL";
pub(crate) const KEPT: &str = "SELECT card_key_check FROM meta";

type Sealed = (Vec<u8>, Vec<u8>);

fn card(sealed: Option<Sealed>) -> Result<Option<(Key, Vec<u8>)>, StoreError> {
    sealed.map(|(key, sealed)| Ok((Key(array(&key, "identity")?), sealed))).transpose()
}

/// An obligation has the card of its transaction, which may have been dropped.
const OF_OBLIGATION: &str = "SELECT key, card_sealed FROM obligation \
     WHERE length(card_sealed) > 0 ORDER BY id DESC LIMIT 1";

/// Reads a database of any version, also one that was never migrated.
pub(crate) async fn of_postgres(connection: &mut PgConnection) -> Result<KeptCardKey, StoreError> {
    let there: bool = sqlx::query_scalar(
        "SELECT to_regclass('meta') IS NOT NULL AND to_regclass('obligation') IS NOT NULL",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !there {
        return Ok(KeptCardKey::default());
    }
    // The column is missing before version 7.
    let check: Option<Option<String>> =
        sqlx::query_scalar("SELECT to_jsonb(m) ->> 'card_key_check' FROM meta m")
            .fetch_optional(&mut *connection)
            .await?;
    // The newest by their number, which the index knows by blocks; else any row of the last day that has one.
    let mut sealed: Option<Sealed> = sqlx::query_as(
        "SELECT key, card_sealed FROM txn WHERE id > (SELECT next FROM number) - 100000 \
         AND length(card_sealed) > 0 ORDER BY id DESC LIMIT 1",
    )
    .fetch_optional(&mut *connection)
    .await?;
    if sealed.is_none() {
        let days: Vec<i32> =
            sqlx::query_scalar("SELECT day FROM day WHERE opened IS NOT NULL ORDER BY opened DESC")
                .fetch_all(&mut *connection)
                .await?;
        for day in days {
            sealed = sqlx::query_as(
                "SELECT key, card_sealed FROM txn WHERE day = $1 AND length(card_sealed) > 0 LIMIT 1",
            )
            .bind(day)
            .fetch_optional(&mut *connection)
            .await?;
            if sealed.is_some() {
                break;
            }
        }
    }
    if sealed.is_none() {
        sealed = sqlx::query_as(OF_OBLIGATION).fetch_optional(connection).await?;
    }
    Ok(KeptCardKey { check: check.flatten(), card: card(sealed)? })
}

/// Reads a database of any version, also one that was never migrated.
pub(crate) async fn of_sqlite(
    connection: &mut SqliteConnection,
) -> Result<KeptCardKey, StoreError> {
    let tables: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_master WHERE name IN ('meta', 'txn', 'obligation')",
    )
    .fetch_one(&mut *connection)
    .await?;
    if tables < 3 {
        return Ok(KeptCardKey::default());
    }
    let columns: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pragma_table_info('meta') WHERE name = 'card_key_check'",
    )
    .fetch_one(&mut *connection)
    .await?;
    // The column is missing before version 7.
    let check: Option<Option<String>> = if columns == 0 {
        None
    } else {
        sqlx::query_scalar(AssertSqlSafe(KEPT)).fetch_optional(&mut *connection).await?
    };
    let mut sealed: Option<Sealed> = sqlx::query_as(
        "SELECT key, card_sealed FROM txn WHERE length(card_sealed) > 0 ORDER BY id DESC LIMIT 1",
    )
    .fetch_optional(&mut *connection)
    .await?;
    if sealed.is_none() {
        sealed = sqlx::query_as(OF_OBLIGATION).fetch_optional(connection).await?;
    }
    Ok(KeptCardKey { check: check.flatten(), card: card(sealed)? })
}

impl Store {
    /// What the database says of its card data key.
    ///
    /// # Errors
    /// The database failed.
    pub async fn card_key(&self) -> Result<KeptCardKey, StoreError> {
        either!(self, own => own.card_key())
    }

    /// Records the check value of the card data key unless there is one, and gives the one that is there then: of several
    /// nodes that start at once, one is first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn keep_card_key(&self, check: &str) -> Result<String, StoreError> {
        let check = check.to_owned();
        uncancelled!(self, own => own.keep_card_key(&check))
    }
}

/// What a database says of its card data key, without opening a store: nothing is created or written, and nobody waits for
/// it. Nothing is said of a database that does not exist.
///
/// # Errors
/// The database cannot be reached or read.
pub async fn look_at_card_key(config: &StoreConfig) -> Result<KeptCardKey, StoreError> {
    let bad = |error: &sqlx::Error| StoreError::Url {
        url: config.url.split_once(':').map_or("", |(scheme, _)| scheme).to_owned(),
        why: error.to_string(),
    };
    if config.url.starts_with("sqlite:") {
        let options: SqliteConnectOptions =
            config.url.parse().map_err(|error: sqlx::Error| bad(&error))?;
        let path = options.get_filename().to_path_buf();
        if !path.exists() {
            return Ok(KeptCardKey::default());
        }
        let beside = |ending: &str| {
            let mut path = path.clone().into_os_string();
            path.push(ending);
            std::path::PathBuf::from(path).exists()
        };
        // Without a log nobody has it open: it is read as it lies there. With one, the index of the log must be there too,
        // or reading would make it.
        let options = match (beside("-wal"), beside("-shm")) {
            (false, _) => options.read_only(true).immutable(true),
            (true, true) => options.read_only(true),
            (true, false) => {
                let source = std::io::Error::other(
                    "it was not closed in order, and is not read before the next start",
                );
                return Err(StoreError::File { path, source });
            }
        };
        let mut connection = options.connect().await?;
        let kept = of_sqlite(&mut connection).await;
        connection.close().await?;
        return kept;
    }
    let options: PgConnectOptions = config.url.parse().map_err(|error: sqlx::Error| bad(&error))?;
    let options = options
        .application_name("interlock check")
        .options([("default_transaction_read_only", "on"), ("statement_timeout", "5s")]);
    let mut connection = options.connect().await?;
    let kept = of_postgres(&mut connection).await;
    connection.close().await?;
    kept
}

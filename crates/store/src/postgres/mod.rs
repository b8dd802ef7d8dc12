//! The production back end: one database, one or several nodes.

mod batch;
mod card_key;
mod counter;
mod days;
mod find;
mod leaf;
mod node;
mod read;
mod resolve;
mod session;
mod statements;

use std::{str::FromStr, time::Duration};

use sqlx::{
    PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::Mutex;

pub(crate) use self::batch::WriterConnection;
use crate::{StoreConfig, StoreError, bound::Bound, horizon::SharedHorizon, schema};

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/postgres");

/// How long a read waits for a connection before it has failed.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(5);

/// The store in one Postgres database.
#[derive(Debug)]
pub struct PostgresStore {
    pub(crate) config: StoreConfig,
    pub(crate) horizon: SharedHorizon,
    bound: Bound,
    options: PgConnectOptions,
    pool: PgPool,
    /// The connection whose session holds the lease, and that beats.
    lease: Mutex<Option<node::Held>>,
    keeper: Mutex<days::Keeper>,
}

impl PostgresStore {
    pub(crate) async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(&config.url)
            .map_err(|error| StoreError::Url {
                url: "postgres://…".to_owned(),
                why: error.to_string(),
            })?
            .application_name("interlock")
            // Where the server guesses at many rows, compiling takes ten times as long as reading the few.
            .options([("jit", "off")]);
        let pool = PgPoolOptions::new()
            .max_connections(config.connections.max(1))
            .acquire_timeout(ACQUIRE_WITHIN)
            .connect_with(options.clone())
            .await?;
        if !config.allow_unsafe_server {
            session::refuse_unsafe(&pool).await?;
        }
        Ok(Self {
            config: config.clone(),
            horizon: SharedHorizon::default(),
            bound: Bound::default(),
            options,
            pool,
            lease: Mutex::new(None),
            keeper: Mutex::default(),
        })
    }

    pub(crate) fn writer_connection(&self) -> WriterConnection {
        WriterConnection::new(self.options.clone(), self.horizon.clone())
    }

    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let tables = tables(&mut connection).await?;
        schema::not_too_new(&MIGRATOR, min_version(&mut connection, tables).await?)?;
        Ok(schema::tolerant(&MIGRATOR).run_direct(None, &mut *connection, false).await?)
    }

    pub(crate) async fn check_version(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let tables = tables(&mut connection).await?;
        schema::not_too_new(&MIGRATOR, min_version(&mut connection, tables).await?)?;
        let applied = if tables {
            sqlx::query_scalar(schema::APPLIED).fetch_one(&mut *connection).await?
        } else {
            0
        };
        schema::migrated(&MIGRATOR, applied)
    }
}

/// Whether anything was ever migrated.
async fn tables(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT to_regclass('meta') IS NOT NULL AND to_regclass('_sqlx_migrations') IS NOT NULL",
    )
    .fetch_one(connection)
    .await
}

async fn min_version(
    connection: &mut PgConnection,
    tables: bool,
) -> Result<Option<i64>, sqlx::Error> {
    if !tables {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT min_version FROM meta").fetch_optional(connection).await
}

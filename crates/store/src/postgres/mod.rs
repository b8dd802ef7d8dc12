//! The production back end: one database, one or several nodes.

mod batch;
mod card_key;
mod connect;
mod counter;
mod days;
mod fenced_session;
mod find;
mod leaf;
mod node;
mod read;
mod readers;
mod resolve;
mod session;
mod statements;

use std::sync::Arc;

use sqlx::{
    Connection as _, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
};
use tokio::sync::Mutex;

pub(crate) use self::{batch::WriterConnection, connect::CONNECT_WITHIN};
use self::{readers::Serving, session::Promises};
use crate::{StoreConfig, StoreError, bound::Bound, horizon::SharedHorizon, schema};

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/postgres");

/// The store in one Postgres database.
#[derive(Debug)]
pub struct PostgresStore {
    pub(crate) config: StoreConfig,
    pub(crate) horizon: SharedHorizon,
    bound: Bound,
    options: PgConnectOptions,
    /// Sessions that read; see `readers`.
    pool: PgPool,
    serving: Arc<Serving>,
    /// The connection whose session holds the lease, and that beats.
    lease: Mutex<Option<node::Held>>,
    keeper: Mutex<days::Keeper>,
}

impl PostgresStore {
    pub(crate) async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let options = connect::options(&config.url)?;
        let mut first = connect::first(&options).await?;
        if !config.allow_unsafe_server {
            Promises::of(&mut first).await?.kept()?;
        }
        let _ = first.close().await;
        let serving = Serving::new(config.allow_unsafe_server);
        let pool = readers::pool(config.connections, &options, &serving);
        Ok(Self {
            config: config.clone(),
            horizon: SharedHorizon::default(),
            bound: Bound::default(),
            options,
            pool,
            serving,
            lease: Mutex::new(None),
            keeper: Mutex::default(),
        })
    }

    pub(crate) fn writer_connection(&self) -> WriterConnection {
        let allow_unsafe = self.config.allow_unsafe_server;
        WriterConnection::new(self.options.clone(), allow_unsafe, self.horizon.clone())
    }

    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let tables = tables(&mut connection).await?;
        schema::not_too_new(&MIGRATOR, min_version(&mut connection, tables).await?)?;
        let migrated = schema::tolerant(&MIGRATOR).run_direct(None, &mut *connection, false).await;
        // One that failed still holds the migrator's lock on this session.
        connection.close_on_drop();
        match migrated {
            Err(error) if may_not(&error) => {
                // A role that may not create tables can serve a database that its owner has migrated.
                let applied = applied(&mut connection, tables).await?;
                if schema::migrated(&MIGRATOR, applied).is_ok() {
                    return Ok(());
                }
                let schema: Option<String> = sqlx::query_scalar("SELECT current_schema()")
                    .fetch_one(&mut *connection)
                    .await?;
                let role = self.options.get_username().to_owned();
                let schema = schema.unwrap_or_else(|| "public".to_owned());
                Err(StoreError::MayNotCreate { role, schema })
            }
            migrated => Ok(migrated?),
        }
    }

    pub(crate) async fn check_version(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let tables = tables(&mut connection).await?;
        schema::not_too_new(&MIGRATOR, min_version(&mut connection, tables).await?)?;
        let applied = applied(&mut connection, tables).await?;
        schema::migrated(&MIGRATOR, applied)
    }
}

/// Whether a migration failed since the role may not do what it does (42501).
fn may_not(error: &MigrateError) -> bool {
    match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            let refused = source.as_database_error();
            refused.and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "42501")
        }
        _ => false,
    }
}

/// The last migration that was applied.
async fn applied(connection: &mut PgConnection, tables: bool) -> Result<i64, sqlx::Error> {
    if !tables {
        return Ok(0);
    }
    sqlx::query_scalar(schema::APPLIED).fetch_one(connection).await
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

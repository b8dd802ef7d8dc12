//! Reasons why a database cannot be had, in words that say what to do.

use std::{fs, io::Write as _, net::TcpListener};

use interlock_tests::postgres::Postgres;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use store::{Store, StoreConfig, StoreError};
use switch_core::TerminalKey;

use crate::fixture::NOON;

async fn execute(url: &str, statements: &[&str]) {
    let mut connection = PgConnection::connect(url).await.expect("connects");
    for statement in statements {
        let statement = AssertSqlSafe((*statement).to_owned());
        sqlx::query(statement).execute(&mut connection).await.expect("a good statement");
    }
}

async fn refused(url: &str) -> String {
    let refused = Store::open(&StoreConfig::new(url)).await.expect_err("refused");
    refused.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named_with_the_cause() {
    let port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.local_addr().expect("bound").port()
    };
    let said = refused(&format!("postgres://ilk:SECRET@127.0.0.1:{port}/ilk")).await;
    let expected =
        format!("store.url: no connection to 127.0.0.1:{port} within 5 s: connection refused");
    assert_eq!(said, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_user_and_the_database() {
    let server = Postgres::start().expect("a server");
    let owner = server.create("ilk").expect("a database");
    let at = format!("127.0.0.1:{}", server.port());
    execute(&owner, &["CREATE ROLE ilk LOGIN PASSWORD 'right'"]).await;
    let rules = server.data().join("pg_hba.conf");
    let trusted = fs::read_to_string(&rules).expect("its rules");
    let mut file = fs::File::create(&rules).expect("may be written");
    write!(file, "host all ilk 127.0.0.1/32 scram-sha-256\n{trusted}").expect("written");
    drop(file);
    execute(&owner, &["SELECT pg_reload_conf()"]).await;
    // Until the server has read its rules anew it lets the user in.
    let said = loop {
        let url = format!("postgres://ilk:WRONG@{at}/ilk");
        if let Err(error) = Store::open(&StoreConfig::new(url)).await {
            break error.to_string();
        }
    };
    let expected =
        format!("store.url: {at} refuses user \"ilk\" on database \"ilk\": wrong password (28P01)");
    assert_eq!(said, expected);
    let said = refused(&format!("postgres://postgres@{at}/none")).await;
    assert!(said.contains("\"none\" does not exist (3D000)"), "{said}");
    let said = refused(&format!("postgres://nobody@{at}/ilk")).await;
    assert!(said.contains("refuses user \"nobody\"") && said.contains("(28000)"), "{said}");

    // Not the owner of the tables: told what to do, and served once the owner has migrated.
    let store = Store::open(&StoreConfig::new(format!("postgres://ilk:right@{at}/ilk"))).await;
    let store = store.expect("lets it in");
    let said = store.migrate().await.expect_err("may not create").to_string();
    let expected = "role \"ilk\" may not create tables in schema public: run interlock migrate as the owner, or GRANT \
         CREATE";
    assert_eq!(said, expected);
    let owned = Store::open(&StoreConfig::new(&*owner)).await.expect("opens");
    owned.migrate().await.expect("migrates");
    let lease = owned.lease("a", "here", NOON).await.expect("makes the first days");
    owned.beat(&lease, None).await.expect("beats");
    drop(owned);
    execute(
        &owner,
        &["GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ilk"],
    )
    .await;
    store.migrate().await.expect("nothing is left to do");
    store.check_version().await.expect("fits");
    while let Err(error) = store.lease("a", "here", NOON).await {
        assert!(matches!(error, StoreError::Leased { .. }), "{error}");
    }
    // A sequence numbers changes of terminals, without a right of its own.
    store.open_batches(&[crate::batches::brought(1, 7)]).await.expect("opened");
    assert!(store.terminal(TerminalKey([1; 8])).await.expect("reads").is_some());
}

/// What only reads needs no right to write, and commits nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_only_read_can_read() {
    let home = crate::fixture::Home::postgres();
    let node = crate::fixture::Node::start(&home, "a").await;
    home.set("default_transaction_read_only", "on").await;
    let store = Store::open(&home.config()).await.expect("opens");
    store.check_version().await.expect("fits");
    assert_eq!(store.beats().await.expect("reads").len(), 1);
    assert_eq!(
        store.terminals(None, 1).await.expect_err("no lease").to_string(),
        StoreError::NoDay.to_string()
    );
    node.stop().await;
}

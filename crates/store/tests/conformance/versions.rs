//! Whether a database and a binary fit together.

use store::{DayConfig, Store, StoreError};

use crate::fixture::{Home, NOON};

both! {
    an_unmigrated_database_is_refused,
    a_newer_database_is_refused_unless_it_knows_this_version,
    another_business_day_is_refused,
}

async fn an_unmigrated_database_is_refused(home: &Home) {
    let store = Store::open(&home.config()).await.expect("opens");
    let refused = store.check_version().await.expect_err("nothing was migrated");
    assert!(matches!(refused, StoreError::Unmigrated { applied: 0, own } if own >= 1));
    assert!(refused.to_string().contains("interlock migrate"), "{refused}");
    store.migrate().await.expect("migrates");
    store.migrate().await.expect("migrates again, which does nothing");
    store.check_version().await.expect("fits");
}

async fn a_newer_database_is_refused_unless_it_knows_this_version(home: &Home) {
    let store = home.open().await;
    home.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (999, 'of a newer binary', true, '', 0)",
    )
    .await;
    store.migrate().await.expect("leaves a newer binary's migration alone");
    store.check_version().await.expect("the newer schema serves this binary too");
    home.execute("UPDATE meta SET min_version = 999").await;
    for refused in [store.check_version().await, store.migrate().await] {
        let refused = refused.expect_err("too new");
        assert!(matches!(refused, StoreError::TooNew { min_version: 999, .. }), "{refused}");
        assert!(refused.to_string().contains("999"), "{refused}");
    }
}

async fn another_business_day_is_refused(home: &Home) {
    drop(home.open().await.lease("a", "here", NOON).await.expect("the first says"));
    let mut config = home.config();
    config.day = DayConfig { cutover: "22:30".to_owned(), ..DayConfig::default() };
    let store = Store::open(&config).await.expect("opens");
    let refused = store.lease("b", "there", NOON).await.expect_err("another cut-over");
    let said = refused.to_string();
    assert!(said.contains("22:30") && said.contains("23:00"), "{said}");
}

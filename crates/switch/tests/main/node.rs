//! A node of the switch on a fresh embedded database, with short times.

use std::{future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use iso8583::{Code, Dialect, Framing};
use jiff::{civil::time, tz::TimeZone};
use switch::{
    Running, Switch,
    config::{
        AcquirerSettings, Bounds, CardDataSettings, DaySettings, IssuerSettings, Keepalive,
        ListenerSettings, NodeSettings, ReconnectSettings, ReversalSettings, RouteSettings,
        Settings, StoreSettings,
    },
};
use tempfile::TempDir;

use crate::{
    host::Host,
    terminal::{PATIENCE, Terminal},
};

pub(crate) struct Node {
    pub(crate) running: Running,
    pub(crate) dir: TempDir,
    pub(crate) host: Host,
}

fn day() -> DaySettings {
    DaySettings {
        zone_name: "Asia/Shanghai".to_owned(),
        zone: TimeZone::get("Asia/Shanghai").expect("bundled"),
        cutover: time(23, 0, 0, 0),
        overlap: Duration::from_secs(7_200),
        repeat_window: Duration::from_secs(600),
    }
}

pub(crate) fn settings(dir: &Path, host: SocketAddr) -> Settings {
    let millis = Duration::from_millis;
    let code = |text| Code::new(text).expect("a code");
    Settings {
        node: NodeSettings {
            id: "test".to_owned(),
            drain_timeout: Duration::from_secs(2),
            threads: 0,
        },
        day: day(),
        store: StoreSettings {
            url: format!("sqlite://{}", dir.join("interlock.db").display()),
            connections: 2,
            migrate: true,
        },
        card_data: CardDataSettings { key_file: dir.join("card-data.key") },
        acquirer: AcquirerSettings {
            institution: "00000000".to_owned(),
            forwarding: "00000000".to_owned(),
        },
        listeners: vec![ListenerSettings {
            name: "pos".into(),
            listen: "127.0.0.1:0".to_owned(),
            dialect: Arc::new(Dialect::shipped("cup-pos").expect("shipped")),
            framing: Framing::Len2,
            domain: "default".to_owned(),
            response_deadline: Duration::from_secs(5),
            undelivered_grace: millis(200),
            idle_timeout: Duration::from_secs(60),
            max_connections: 1_000,
            max_frame: 4_096,
            proxy_protocol: false,
            keepalive: Keepalive::Count,
        }],
        issuers: vec![IssuerSettings {
            name: "unionpay".into(),
            foreign: false,
            dialect: Arc::new(Dialect::shipped("iso87-ascii").expect("shipped")),
            framing: Framing::Ascii4,
            endpoints: vec![host.to_string()],
            connections: 2,
            timeout: millis(300),
            max_in_flight: 2_000,
            sign_on: true,
            echo_interval: Duration::from_secs(30),
            reconnect: ReconnectSettings { first: millis(20), factor: 2.0, longest: millis(100) },
            unknown_codes: vec![code("68"), code("98")],
            max_per_second: 0,
            reversal: ReversalSettings {
                first: millis(200),
                factor: 2.0,
                longest: Duration::from_secs(1),
                attempts: 50,
                max_in_flight: 100,
                final_codes: vec![code("00"), code("25")],
            },
            idempotent_advices: false,
        }],
        routes: vec![RouteSettings {
            prefixes: vec!["62".to_owned(), "81".to_owned()],
            issuer: "unionpay".into(),
        }],
        merchants: Vec::new(),
        parameters: None,
        bounds: Bounds::default(),
    }
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        // RUST_LOG=switch=debug shows what a test does.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let dir = tempfile::tempdir().expect("a directory");
        keystore::CardKeys::init(&dir.path().join("card-data.key")).expect("a key file");
        Self::start_in(dir, change).await
    }

    /// A node on what a directory holds already.
    pub(crate) async fn start_in(dir: TempDir, change: impl FnOnce(&mut Settings)) -> Self {
        let host = Host::start();
        let mut settings = settings(dir.path(), host.address);
        change(&mut settings);
        // Nobody listens on port 9.
        let there =
            |of: &IssuerSettings| of.endpoints.iter().filter(|at| !at.ends_with(":9")).count();
        let links: usize = settings.issuers.iter().map(|of| of.connections * there(of)).sum();
        let running = Box::pin(Switch::start(settings)).await.expect("started");
        let node = Self { running, dir, host };
        let watch = node.running.watch();
        until("the node is ready", || async { watch.is_ready() && watch.links_up() == links })
            .await;
        node
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.addresses()[0].1
    }

    pub(crate) async fn terminal(&self) -> Terminal {
        Terminal::connect(self.address()).await
    }
}

/// Waits for a condition.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never came true: {what}");
}

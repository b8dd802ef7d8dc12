//! The HTTP server: its routes, what may be seen from where, and how it ends.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use store::Store;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    api,
    figures::Figures,
    health::{Condition, Health, Phase},
    page,
};

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[error("admin.listen: cannot listen on {listen}")]
pub struct AdminError {
    listen: String,
    source: io::Error,
}

/// What the server shows.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The store that is read.
    pub store: Store,
    /// The metrics of this process.
    pub metrics: PrometheusHandle,
    /// Where the life of the process stands.
    pub phase: watch::Receiver<Phase>,
    /// What the node says of itself.
    pub condition: Condition,
    /// The name of this node.
    pub node: String,
    /// The version of this binary.
    pub version: &'static str,
}

/// A bound port: connections wait until it is served.
#[derive(Debug)]
pub struct Port {
    /// Where it listens.
    pub address: SocketAddr,
    listener: TcpListener,
}

impl Port {
    /// Binds `listen`, `host:port`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(listen: &str) -> Result<Self, AdminError> {
        let fault = |source| AdminError { listen: listen.to_owned(), source };
        let listener = TcpListener::bind(listen).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        Ok(Self { address, listener })
    }
}

/// A server at work.
#[derive(Debug)]
pub struct Serving {
    task: JoinHandle<()>,
}

impl Serving {
    /// Waits until the server has ended, after `stop` was cancelled.
    pub async fn ended(self) {
        let _ = self.task.await;
    }
}

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) health: Health,
    pub(crate) node: String,
    pub(crate) version: &'static str,
    pub(crate) started: Instant,
    metrics: PrometheusHandle,
}

impl std::ops::Deref for Shared {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Shared {
    /// The figures of this process as they stand.
    pub(crate) fn figures(&self) -> Figures {
        Figures::read(&self.metrics.render())
    }
}

impl Admin {
    /// Serves until `stop`.
    #[must_use]
    pub fn serve(self, port: Port, stop: CancellationToken) -> Serving {
        let Port { address, listener } = port;
        let health = Health::watch(self.store.clone(), self.phase, self.condition, stop.clone());
        let shared = Shared(Arc::new(Inner {
            store: self.store,
            health,
            node: self.node,
            version: self.version,
            started: Instant::now(),
            metrics: self.metrics.clone(),
        }));
        tokio::spawn(keep_tidy(self.metrics, stop.clone()));
        let router = router(shared, address.ip());
        let task = tokio::spawn(async move {
            let ended = axum::serve(listener, router)
                .with_graceful_shutdown(async move { stop.cancelled().await })
                .await;
            if let Err(error) = ended {
                tracing::error!(%error, "the admin server ended");
            }
        });
        Serving { task }
    }
}

/// Histograms collect until they are rendered: done here, so that a process that nobody scrapes does not grow.
async fn keep_tidy(metrics: PrometheusHandle, stop: CancellationToken) {
    while !stop.is_cancelled() {
        metrics.run_upkeep();
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_secs(5)) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// All routes. Where others than this machine can connect, only those are served that need no log-in.
fn router(shared: Shared, bound: IpAddr) -> Router {
    let open = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics));
    let own = Router::new()
        .route("/", get(page::status))
        .route("/style.css", get(page::style))
        .route("/api/v1/summary", get(api::summary))
        .route("/api/v1/transactions", get(api::transactions))
        .route("/api/v1/transactions/{id}", get(api::transaction))
        .route("/api/v1/links", get(api::links))
        .route("/api/v1/reversals", get(api::reversals))
        .route("/api/v1/cases", get(api::cases))
        .route("/api/v1/batches", get(api::batches))
        .layer(middleware::from_fn(refuse_other_hosts));
    let all = if bound.is_loopback() { open.merge(own) } else { open };
    all.layer(middleware::map_response(protect)).with_state(shared)
}

/// A browser that was lured here under a foreign name gets nothing.
async fn refuse_other_hosts(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let name = host.map(|host| match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    });
    let own = name.is_none_or(|name| {
        name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    if own {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "ask for this server by its loopback address\n").into_response()
    }
}

/// Headers of every answer: nothing from elsewhere, nothing kept.
async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let fixed = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The process lives.
async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 once listeners accept, the store answers and the clock is right; 503 else with the reason, and while draining.
async fn readyz(State(shared): State<Shared>) -> Response {
    match shared.health.readiness() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

/// The metrics in the text format of Prometheus.
async fn metrics(State(shared): State<Shared>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, shared.metrics.render()).into_response()
}

//! Health, readiness, metrics and the admin API over HTTP

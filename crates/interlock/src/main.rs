//! The one binary: command line, configuration, telemetry, start-up order

fn main() {}

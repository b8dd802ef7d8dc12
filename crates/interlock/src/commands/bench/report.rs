//! What a bench found: as a table, beside an earlier run if there is one, and as a page that needs nothing else.

use std::{fs, path::Path};

use anyhow::Context;
use comfy_table::{Cell, CellAlignment, Table, presets::NOTHING};
use serde::{Deserialize, Serialize};
use sim::bench::{Percentiles, Summary};

/// What of an earlier run's JSON is compared. Runs of before there were plots have no plots.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Former {
    rate: f64,
    answered: u64,
    approved: u64,
    declined: u64,
    latency: Percentiles,
    #[serde(default)]
    own_cpu: f64,
    #[serde(default)]
    series: serde_json::Value,
    #[serde(default)]
    points: serde_json::Value,
    #[serde(default)]
    watched: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    settings: serde_json::Map<String, serde_json::Value>,
}

/// A file that is no run of a bench.
#[derive(Debug, thiserror::Error)]
#[error("{file}: not what `bench --json` writes: {problem}")]
pub(crate) struct FormerError {
    file: String,
    problem: String,
}

impl Former {
    /// Reads the JSON of an earlier run.
    ///
    /// # Errors
    /// It cannot be read, or is something else.
    pub(crate) fn load(file: &Path) -> Result<Self, FormerError> {
        let fault = |problem: String| FormerError { file: file.display().to_string(), problem };
        let text = fs::read_to_string(file).map_err(|error| fault(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| fault(error.to_string()))
    }
}

/// One figure of both runs.
struct Figure {
    name: String,
    now: f64,
    former: Option<f64>,
    unit: &'static str,
}

fn figures(summary: &Summary, former: Option<&Former>) -> Vec<Figure> {
    #[expect(clippy::cast_precision_loss, reason = "shown to a few digits")]
    let exact = |count: u64| count as f64;
    let mut figures = Vec::new();
    let mut add = |name: &str, unit, now: f64, former: Option<f64>| {
        figures.push(Figure { name: name.to_owned(), now, former, unit });
    };
    add("rate", "a second", summary.rate, former.map(|f| f.rate));
    let ms = |microseconds: u64| exact(microseconds) / 1000.0;
    let named = |p: &Percentiles| {
        [("p50", p.p50), ("p90", p.p90), ("p99", p.p99), ("p99.9", p.p999), ("max", p.max)]
    };
    let before = former.map(|former| named(&former.latency).map(|(_, latency)| ms(latency)));
    for (at, (name, latency)) in named(&summary.latency).into_iter().enumerate() {
        add(name, "ms", ms(latency), before.and_then(|before| before.get(at).copied()));
    }
    add("answered", "", exact(summary.answered), former.map(|f| exact(f.answered)));
    add("approved", "", exact(summary.approved), former.map(|f| exact(f.approved)));
    add("declined", "", exact(summary.declined), former.map(|f| exact(f.declined)));
    add("load's processor", "us a request", summary.own_cpu, former.map(|f| f.own_cpu));
    for (name, cost) in &summary.watched {
        let before = |key: &str| former?.watched.get(name)?.get(key)?.as_f64();
        let cpu = before("cpu_per_request");
        add(&format!("{name}'s processor"), "us a request", cost.cpu_per_request, cpu);
        let memory = before("memory").map(|bytes| bytes / 1e6);
        add(&format!("{name}'s memory"), "MB", exact(cost.memory) / 1e6, memory);
    }
    figures
}

/// Rows of name, figure, and where there is an earlier run its figure and the ratio.
fn rows(summary: &Summary, former: Option<&Former>) -> Vec<Vec<String>> {
    let figures = figures(summary, former);
    let row = |figure: Figure| {
        let with_unit = |value: f64| format!("{} {}", number(value), figure.unit).trim().to_owned();
        let mut row = vec![figure.name.clone(), with_unit(figure.now)];
        if former.is_some() {
            row.push(figure.former.map(with_unit).unwrap_or_default());
            let ratio = figure.former.filter(|former| *former > 0.0).map(|old| figure.now / old);
            row.push(ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default());
        }
        row
    };
    figures.into_iter().map(row).collect()
}

fn number(value: f64) -> String {
    if value >= 1000.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

/// The settings of the run, and what they were in the earlier one.
fn settings(
    settings: &serde_json::Map<String, serde_json::Value>,
    former: Option<&Former>,
) -> Vec<(String, String, Option<String>)> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let before = |name: &str| former.and_then(|former| former.settings.get(name)).map(text);
    settings.iter().map(|(name, value)| (name.clone(), text(value), before(name))).collect()
}

/// The table that ends a run with an earlier one beside it, and what was set otherwise.
pub(crate) fn comparison(summary: &Summary, of: &Settings, former: &Former) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["", "this run", "old", "ratio"]);
    for row in rows(summary, Some(former)) {
        let aligned = row.into_iter().enumerate().map(|(at, text)| {
            let side = if at == 0 { CellAlignment::Left } else { CellAlignment::Right };
            Cell::new(text).set_alignment(side)
        });
        table.add_row(aligned);
    }
    let mut text = table.to_string();
    for (name, now, before) in settings(of, Some(former)) {
        if let Some(before) = before.filter(|before| *before != now) {
            text.push_str(&format!("\nset otherwise: {name}: {now}, was {before}"));
        }
    }
    text
}

/// Settings by name.
pub(crate) type Settings = serde_json::Map<String, serde_json::Value>;

/// The run as JSON, with its settings.
///
/// # Errors
/// Never, for what a bench finds.
pub(crate) fn json(summary: &Summary, settings: &Settings) -> anyhow::Result<serde_json::Value> {
    let mut value = serde_json::to_value(summary).context("the summary as JSON")?;
    if let Some(object) = value.as_object_mut() {
        object.insert("settings".to_owned(), settings.clone().into());
    }
    Ok(value)
}

const PAGE: &str = include_str!("../../../assets/report.html");
const PARTS: [(&str, &str); 4] = [
    ("{{uplot_css}}", include_str!("../../../assets/uplot/uPlot.min.css")),
    ("{{css}}", include_str!("../../../assets/report.css")),
    ("{{uplot_js}}", include_str!("../../../assets/uplot/uPlot.iife.min.js")),
    ("{{js}}", include_str!("../../../assets/report.js")),
];

/// The run as one page with plots. It opens without a network.
///
/// # Errors
/// Never, for what a bench finds.
pub(crate) fn page(
    summary: &Summary,
    of: &Settings,
    former: Option<&Former>,
) -> anyhow::Result<String> {
    let data = serde_json::json!({
        "run": json(summary, of)?,
        "former": former,
        "rows": rows(summary, former),
        "settings": settings(of, former),
    });
    // no text in it can end the element or begin another
    let data =
        data.to_string().replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    let page =
        PARTS.iter().fold(PAGE.to_owned(), |page, (mark, part)| page.replacen(mark, part, 1));
    Ok(page.replacen("{{data}}", &data, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> (serde_json::Value, Former) {
        let percentiles =
            serde_json::json!({"min": 1, "p50": 2000, "p90": 3, "p99": 4, "p999": 5, "max": 6});
        let value = serde_json::json!({
            "rate": 100.0, "answered": 10, "approved": 9, "declined": 1, "latency": percentiles,
            "settings": {"dialect": "</script><script>"}
        });
        let former = serde_json::from_value(value.clone()).expect("a run");
        (value, former)
    }

    #[test]
    fn nothing_in_a_page_ends_its_data_and_nothing_comes_from_elsewhere() {
        let (value, former) = run();
        let text = serde_json::to_string(&former).expect("JSON");
        assert!(text.contains("</script>"));
        for (mark, part) in PARTS {
            assert!(PAGE.contains(mark) && !part.is_empty(), "{mark}");
        }
        let own = [
            PAGE,
            include_str!("../../../assets/report.js"),
            include_str!("../../../assets/report.css"),
        ];
        assert!(own.iter().all(|part| !part.contains("http") && !part.contains("innerHTML")));
        assert!(value.is_object());
    }

    #[test]
    fn what_is_no_run_is_told_with_its_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("old.json");
        for (text, says) in [("{", "EOF"), ("{\"rate\": 1}", "missing field"), ("[]", "invalid")] {
            fs::write(&file, text).expect("written");
            let error = Former::load(&file).expect_err(text).to_string();
            assert!(error.contains(says) && error.contains("old.json"), "{error}");
        }
        fs::write(&file, run().0.to_string()).expect("written");
        assert!((Former::load(&file).expect("a run").rate - 100.0).abs() < 1e-9);
    }
}

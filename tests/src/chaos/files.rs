//! The files of a chaos run: configuration, the issuer's script, the terminals' mix; and what their counts say.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path};

/// Where things listen.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) pos: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) issuer: SocketAddr,
    pub(super) url: String,
}

/// Times are short, so that every deadline passes many times within a run.
pub(super) fn write(dir: &Path, places: &Places) -> anyhow::Result<()> {
    let Places { pos, admin, issuer, url } = places;
    let configuration = format!(
        r#"[node]
id = "chaos"
drain_timeout = "5s"

[store]
url = "{url}"

[card_data]
key_file = "card-data.key"

[admin]
listen = "{admin}"

[[listener]]
name = "pos"
listen = "{pos}"
dialect = "cup-pos"
response_deadline = "4s"
undelivered_grace = "3s"

[[issuer]]
name = "host"
dialect = "iso87-ascii"
endpoints = ["{issuer}"]
connections = 2
timeout = "1s"
idempotent_advices = true
echo_interval = "2s"
reconnect = {{ first = "50ms", factor = 2.0, longest = "500ms" }}
reversal = {{ first = "200ms", factor = 2.0, longest = "2s", attempts = 20, max_in_flight = 100, final_codes = ["00", "25"] }}

[[route]]
prefixes = ["62", "81"]
issuer = "host"
"#
    );
    fs::write(dir.join("interlock.toml"), configuration)?;
    fs::write(dir.join("issuer.toml"), SCRIPT)?;
    fs::write(dir.join("mix.toml"), MIX)?;
    Ok(())
}

/// Each behaviour with a probability that brings it well over 20 times in 2,000 sales.
const SCRIPT: &str = r#"seed = 7

[[rule]]
name = "silent, charged"
on = "request"
do = "silent"
probability = 0.06

[[rule]]
name = "silent, not charged"
on = "request"
do = "silent"
posting = "never"
probability = 0.06

[[rule]]
name = "late"
on = "request"
do = "late"
for = "1500ms"
probability = 0.06

[[rule]]
name = "just in time"
on = "request"
do = "delay"
for = "990ms"
probability = 0.06

[[rule]]
name = "twice"
on = "request"
do = "twice"
probability = 0.06

[[rule]]
name = "other amount"
on = "request"
do = "wrong-amount"
probability = 0.06

[[rule]]
name = "other STAN"
on = "request"
do = "wrong-stan"
probability = 0.06

[[rule]]
name = "malformed"
on = "request"
do = "malformed"
probability = 0.06

[[rule]]
name = "hang up, charged"
on = "request"
do = "hang-up"
probability = 0.06

[[rule]]
name = "hang up, not charged"
on = "request"
do = "hang-up"
posting = "never"
probability = 0.06

[[rule]]
name = "declined"
do = "decline"
code = "51"
probability = 0.06

[[rule]]
name = "unknown code"
on = "request"
do = "decline"
code = "68"
probability = 0.06

[[rule]]
name = "reversal unanswered"
on = "reversal"
do = "silent"
probability = 0.15

[[rule]]
name = "reversal refused"
on = "reversal"
do = "decline"
code = "96"
probability = 0.15
"#;

const MIX: &str = r#"terminals = 200
cards = 100
card_prefixes = ["62123456", "81987654"]
timeout = "6s"

[kinds]
purchase = 60
balance-enquiry = 2
void = 8
refund = 6
pre-authorisation = 6
pre-authorisation-void = 2
completion = 3
completion-void = 1
completion-advice = 2
instalment = 2
instalment-void = 1
points = 1
points-void = 1
offline-sale = 2
offline-upload = 1
offline-refund = 1
tip = 1

[amounts]
least = 100
most = 50000
step = 100

[faults]
patience = "700ms"
away = "2s"
repeat = 0.03
double = 0.03
impatient = 0.03
give_up = 0.03
reverse = 0.03
vanish = 0.03
vanish_repeat = 0.03
reverse_first = 0.02
"#;

/// How often the issuer showed each behaviour: told by it when it ended.
pub(super) fn issuer_faults(dir: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let log = fs::read_to_string(dir.join("issuer.log"))?;
    let told = log.lines().filter_map(|line| {
        let (name, count) = line.rsplit_once(": ")?;
        Some((format!("issuer: {name}"), count.parse().ok()?))
    });
    Ok(told.collect())
}

/// How often terminals misbehaved, and each answer's code came: from the summary of the load.
pub(super) fn terminal_faults(dir: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let text = fs::read_to_string(dir.join("bench.json"))?;
    let summary: serde_json::Value = serde_json::from_str(&text)?;
    let faults = summary.get("faults").and_then(serde_json::Value::as_object);
    let told = faults.into_iter().flatten();
    Ok(told
        .filter_map(|(name, count)| Some((format!("terminal: {name}"), count.as_u64()?)))
        .collect())
}

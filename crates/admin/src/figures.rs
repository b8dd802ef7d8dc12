//! Figures of this process, read from the text of its own metrics: pages and metrics can never disagree.

use std::collections::BTreeMap;

/// One sample: its labels and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Sample {
    /// A label, empty where there is none.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// All samples, by the name of their metric.
#[derive(Debug, Default)]
pub(crate) struct Figures(BTreeMap<String, Vec<Sample>>);

impl Figures {
    /// Reads the text format of Prometheus; lines that are none are left out.
    pub(crate) fn read(text: &str) -> Self {
        let mut figures = BTreeMap::<String, Vec<Sample>>::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, sample)) = sample(line) {
                figures.entry(name).or_default().push(sample);
            }
        }
        Self(figures)
    }

    /// The samples of a metric.
    pub(crate) fn of(&self, name: &str) -> &[Sample] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The sum over all labels.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.of(name).iter().map(|sample| sample.value).sum()
    }

    /// The sum where `label` is `value`.
    pub(crate) fn sum_where(&self, name: &str, label: &str, value: &str) -> f64 {
        let samples = self.of(name).iter().filter(|sample| sample.label(label) == value);
        samples.map(|sample| sample.value).sum()
    }

    /// The bound of the bucket in which the part `quantile` of a histogram lies, seconds.
    pub(crate) fn quantile(&self, name: &str, quantile: f64) -> Option<f64> {
        let mut buckets = BTreeMap::<u64, f64>::new();
        for sample in self.of(&format!("{name}_bucket")) {
            let bound = sample.label("le").parse::<f64>().ok()?;
            *buckets.entry(bound.to_bits()).or_default() += sample.value;
        }
        let all = buckets.get(&f64::INFINITY.to_bits()).copied().filter(|all| *all > 0.0)?;
        let reached = buckets.iter().find(|(_, count)| **count >= all * quantile);
        reached.map(|(bits, _)| f64::from_bits(*bits)).filter(|bound| bound.is_finite())
    }
}

/// `name{label="value",…} 1.5`
fn sample(line: &str) -> Option<(String, Sample)> {
    let (head, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, rest)) = head.split_once('{') else {
        return Some((head.to_owned(), Sample { labels: BTreeMap::new(), value }));
    };
    let mut labels = BTreeMap::new();
    let mut rest = rest.strip_suffix('}')?;
    while let Some((label, after)) = rest.split_once("=\"") {
        let (text, end) = quoted(after)?;
        labels.insert(label.trim_start_matches(',').to_owned(), text);
        rest = after.get(end..)?;
    }
    Some((name.to_owned(), Sample { labels, value }))
}

/// The text up to the closing quote, without its escapes, and where what follows begins.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut plain = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (escaped, c) {
            (false, '\\') => escaped = true,
            (false, '"') => return Some((plain, at + 1)),
            (true, 'n') => {
                plain.push('\n');
                escaped = false;
            }
            (_, c) => {
                plain.push(c);
                escaped = false;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let text =
            "# TYPE a counter\na{x=\"1\",y=\"q\\\"w, z\"} 2\na{x=\"2\"} 3\nb 0.5\nnonsense\n";
        let figures = Figures::read(text);
        assert!((figures.sum("a") - 5.0).abs() < f64::EPSILON);
        assert!((figures.sum_where("a", "x", "2") - 3.0).abs() < f64::EPSILON);
        assert_eq!(figures.of("a")[0].label("y"), "q\"w, z");
        assert!((figures.sum("b") - 0.5).abs() < f64::EPSILON);
        assert!(figures.of("c").is_empty());
    }

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket() {
        let text = "h_bucket{le=\"0.1\"} 5\nh_bucket{le=\"0.5\"} 9\nh_bucket{le=\"+Inf\"} 10\n";
        let text = text.replace("+Inf", "inf");
        let figures = Figures::read(&text);
        assert_eq!(figures.quantile("h", 0.5), Some(0.1));
        assert_eq!(figures.quantile("h", 0.9), Some(0.5));
        assert_eq!(figures.quantile("h", 0.99), None);
        assert_eq!(figures.quantile("other", 0.5), None);
    }
}

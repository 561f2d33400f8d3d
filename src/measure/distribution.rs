//! A latency distribution and its form in JSON: counts, a percentile list, and the whole histogram in HdrHistogram's
//! standard compressed base64 form, from which it is read back without loss.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer as HdrDeserializer, Serializer as _, V2DeflateSerializer};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Distribution;

/// The longest latency that is kept exactly; beyond it samples are clamped and counted.
pub const HIGHEST_NS: u64 = 3_600_000_000_000;

/// The percentiles every report lists.
pub const PERCENTILES: [f64; 12] = [0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999, 100.0];

impl Default for Distribution {
    fn default() -> Self {
        Self { histogram: Histogram::new_with_bounds(1, HIGHEST_NS, 3).expect("constant bounds are valid"), clamped: 0 }
    }
}

impl Distribution {
    /// Records one value, clamping (and counting) what is out of range.
    pub fn record(&mut self, ns: u64) {
        if ns > HIGHEST_NS {
            self.clamped += 1;
        }
        self.histogram.saturating_record(ns.clamp(1, HIGHEST_NS));
    }

    /// Adds another distribution to this one.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("all distributions share their bounds");
        self.clamped += other.clamped;
    }

    /// Samples.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The whole histogram in HdrHistogram's standard form: V2, deflated, base64.
    #[must_use]
    pub fn to_base64(&self) -> Option<String> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.histogram, &mut bytes).ok()?;
        Some(STANDARD.encode(bytes))
    }

    /// The value at a percentile (0..=100) in ns; `None` when there is no sample. At most `max`, never an upper bucket edge
    /// beyond it.
    #[must_use]
    pub fn percentile(&self, p: f64) -> Option<u64> {
        (self.count() > 0).then(|| self.histogram.value_at_percentile(p).min(self.histogram.max()))
    }
}

#[derive(Serialize, Deserialize)]
struct AsJson {
    count: u64,
    min_ns: u64,
    mean_ns: f64,
    stdev_ns: f64,
    max_ns: u64,
    clamped: u64,
    percentiles: Vec<Point>,
    hdr_base64: String,
}

#[derive(Serialize, Deserialize)]
struct Point {
    percentile: f64,
    value_ns: u64,
}

impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hdr_base64 = self.to_base64().ok_or_else(|| S::Error::custom("the histogram cannot be written down"))?;
        AsJson {
            count: self.count(),
            min_ns: self.histogram.min(),
            mean_ns: self.histogram.mean(),
            stdev_ns: self.histogram.stdev(),
            max_ns: self.histogram.max(),
            clamped: self.clamped,
            percentiles: PERCENTILES
                .iter()
                .filter_map(|&percentile| self.percentile(percentile).map(|value_ns| Point { percentile, value_ns }))
                .collect(),
            hdr_base64,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Distribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = AsJson::deserialize(deserializer)?;
        let bytes = STANDARD.decode(&json.hdr_base64).map_err(D::Error::custom)?;
        let histogram = HdrDeserializer::new().deserialize(&mut bytes.as_slice()).map_err(D::Error::custom)?;
        Ok(Self { histogram, clamped: json.clamped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_survives_json() {
        let mut distribution = Distribution::default();
        for ns in [0, 1, 999, 1_000_000, HIGHEST_NS, HIGHEST_NS + 1] {
            distribution.record(ns);
        }
        let json = serde_json::to_string(&distribution).expect("it serialises");
        let back: Distribution = serde_json::from_str(&json).expect("it reads back");
        assert_eq!(back, distribution);
        assert_eq!((back.count(), back.clamped), (6, 1));
    }

    #[test]
    fn what_is_beyond_the_range_is_counted_as_clamped() {
        let mut distribution = Distribution::default();
        [HIGHEST_NS - 1, HIGHEST_NS, HIGHEST_NS + 1, HIGHEST_NS + 2].into_iter().for_each(|ns| distribution.record(ns));
        assert_eq!(distribution.clamped, 2);
        let mut both = distribution.clone();
        both.merge(&distribution);
        assert_eq!((both.clamped, both.count()), (4, 8));
    }

    #[test]
    fn no_sample_no_percentile() {
        assert_eq!(Distribution::default().percentile(50.0), None);
    }

    #[test]
    fn a_distribution_reads_as_its_samples_do() {
        let mut distribution = Distribution::default();
        (1..=1_000).for_each(|ns| distribution.record(ns));
        assert_eq!([0.0, 50.0, 99.0, 100.0].map(|p| distribution.percentile(p)), [Some(1), Some(500), Some(990), Some(1_000)]);
        let json = serde_json::to_value(&distribution).expect("it serialises");
        assert_eq!((&json["count"], &json["min_ns"], &json["max_ns"]), (&1_000.into(), &1.into(), &1_000.into()));
        assert_eq!(json["percentiles"].as_array().map(Vec::len), Some(PERCENTILES.len()));
        let nothing = serde_json::to_value(Distribution::default()).expect("it serialises");
        assert_eq!(
            (&nothing["count"], &nothing["min_ns"], nothing["percentiles"].as_array().map(Vec::len)),
            (&0.into(), &0.into(), Some(0))
        );
    }

    #[test]
    fn clamped_samples_of_two_add_up() {
        let clamped = |n: u64| {
            let mut distribution = Distribution::default();
            (0..n).for_each(|_| distribution.record(HIGHEST_NS + 1));
            distribution
        };
        let mut both = clamped(3);
        both.merge(&clamped(4));
        assert_eq!((both.clamped, both.count()), (7, 7));
    }
}

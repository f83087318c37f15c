//! Many measurements as a few numbers.

use std::time::Duration;

/// What was measured, in one unit.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// One more.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// One more, in milliseconds.
    pub fn push_time(&mut self, time: Duration) {
        self.push(time.as_secs_f64() * 1e3);
    }

    /// How many.
    pub fn n(&self) -> usize {
        self.0.len()
    }

    /// The one in the middle; the mean of two when there are two.
    pub fn median(&self) -> f64 {
        let middle = self.n() / 2;
        if self.n() % 2 == 1 { self.0[middle] } else { (self.0[middle - 1] + self.0[middle]) / 2.0 }
    }

    /// The smallest that is not below 99 of 100 (nearest rank).
    pub fn p99(&self) -> f64 {
        self.0[(self.n() * 99).div_ceil(100) - 1]
    }

    /// The smallest.
    pub fn min(&self) -> f64 {
        self.0[0]
    }

    /// The greatest.
    pub fn max(&self) -> f64 {
        self.0[self.n() - 1]
    }

    /// Median and range, in `unit`.
    pub fn spread(&self, unit: &str) -> String {
        format!("{:.1} {unit} ({:.1} … {:.1})", self.median(), self.min(), self.max())
    }

    /// Median, 99th percentile and greatest, in `unit`.
    pub fn tail(&self, unit: &str) -> String {
        format!("{:.2} {unit}, p99 {:.2}, max {:.2}", self.median(), self.p99(), self.max())
    }
}

/// `a` in terms of `b`.
pub fn ratio(a: f64, b: f64) -> String {
    let ratio = a / b;
    if ratio >= 10.0 { format!("{ratio:.0} ×") } else { format!("{ratio:.2} ×") }
}

//! Heat map: how many requests had which latency, and when.

use std::fmt::Write as _;

use super::{Axis, Frame, as_f64, coordinate, histogram::place, time_labels};
use crate::report::series::Windows;

/// Number of rows.
const ROWS: u8 = 24;

/// Shades of the cells, from few requests to the most.
pub const SHADES: u8 = 5;

/// The number of requests by window of time and by latency on a logarithmic axis.
#[derive(Clone, Debug)]
pub struct HeatMap {
    axis: Axis,
    window_s: u32,
    /// Number of requests, for each window from the lowest latency to the highest.
    pub cells: Vec<Vec<u64>>,
}

impl HeatMap {
    /// Counts the latencies of `windows`; `None` if there are none.
    #[must_use]
    pub fn new(windows: &Windows) -> Option<Self> {
        let latencies = || windows.tallies.iter().map(|tally| &tally.latency);
        let ends = latencies().flat_map(|latency| [latency.min_ms(), latency.max_ms()]).flatten();
        let axis = Axis::log(ends);
        let cells = latencies().map(|latency| {
            let mut column = vec![0; usize::from(ROWS)];
            for (ms, count) in latency.buckets_ms() {
                column[place(axis.share(ms), usize::from(ROWS))] += count;
            }
            column
        });
        let map = Self { axis, window_s: windows.length_s, cells: cells.collect() };
        (map.highest() > 0).then_some(map)
    }

    /// Returns the highest number of requests in a cell.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.cells.iter().flatten().copied().max().unwrap_or_default()
    }

    /// Returns the length of a window in seconds.
    #[must_use]
    pub fn window_s(&self) -> u32 {
        self.window_s
    }

    /// Returns the latencies at both ends of the value axis, in milliseconds.
    #[must_use]
    pub fn range_ms(&self) -> (f64, f64) {
        match self.axis {
            Axis::Log { from, to } => (from, to),
            Axis::Linear { top, .. } => (0.0, top),
        }
    }

    /// Draws the map over `seconds`.
    #[must_use]
    pub fn html(&self, title: &str, seconds: u32) -> String {
        let labels = self.axis.labels().into_iter();
        let columns = f64::from(seconds.max(1)) / f64::from(self.window_s.max(1));
        Frame {
            title: title.to_owned(),
            view_box: (columns, f64::from(ROWS)),
            shapes: (1..=SHADES).map(|shade| self.cells_of(shade, columns)).collect(),
            overlay: String::new(),
            values: labels.map(|(value, label)| (self.axis.share(value), label)).collect(),
            horizontal: time_labels(seconds),
        }
        .html()
    }

    /// Draws the cells with one shade; adjacent ones of a row as one rectangle. The last of the `columns` may
    /// be narrower.
    fn cells_of(&self, shade: u8, columns: f64) -> String {
        let highest = self.highest();
        let mut path = String::new();
        for row in 0..usize::from(ROWS) {
            let mut column = 0;
            while column < self.cells.len() {
                let same = self.cells[column..].iter();
                let width = same.take_while(|cells| shade_of(cells[row], highest) == shade).count();
                if width > 0 {
                    let y = usize::from(ROWS) - 1 - row;
                    let end = columns.min(as_f64((column + width) as u64));
                    let width = coordinate(end - as_f64(column as u64));
                    let _ = write!(path, "M{column} {y}h{width}v1h-{width}z");
                }
                column += width.max(1);
            }
        }
        if path.is_empty() { path } else { format!(r#"<path class="h{shade}" d="{path}"/>"#) }
    }
}

/// Returns the shade of `count`, by its logarithm: single slow requests stay visible beside many fast ones.
fn shade_of(count: u64, highest: u64) -> u8 {
    if count == 0 {
        return 0;
    }
    let share = as_f64(count + 1).ln() / as_f64(highest + 1).ln();
    let shade = (1..SHADES).find(|shade| share <= f64::from(*shade) / f64::from(SHADES));
    shade.unwrap_or(SHADES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn every_request_is_in_one_cell() {
        let outcome = example::outcome();
        let map = HeatMap::new(&Windows::new(&outcome)).unwrap();
        assert_eq!(map.cells.iter().flatten().sum::<u64>(), outcome.tally_all().latency.len());
        assert_eq!(map.cells.len(), 35);
        let html = map.html("x", 35);
        assert!(html.contains(r#"viewBox="0 0 35 24""#) && html.contains("class=\"h5\""), "{html}");
    }

    #[test]
    fn adjacent_cells_of_a_shade_are_one_rectangle() {
        let cells = vec![vec![0; 24], vec![3; 24], vec![3; 24], vec![0; 24], vec![3; 24]];
        let map = HeatMap { axis: Axis::log([1.0, 10.0]), window_s: 1, cells };
        let html = map.html("x", 5);
        assert!(html.contains("M1 0h2v1h-2z") && html.contains("M4 23h1v1h-1z"), "{html}");
        let map = HeatMap { window_s: 2, ..map };
        assert!(map.html("x", 9).contains("M4 23h0.5v1h-0.5z"), "half of the last window");
    }

    #[test]
    fn a_single_request_is_visible_beside_many() {
        assert_eq!(
            [0, 1, 40, 1_000, 1_000_000].map(|count| shade_of(count, 1_000_000)),
            [0, 1, 2, 3, 5]
        );
        assert_eq!(shade_of(1, 1), 5);
    }

    #[test]
    fn without_requests_there_is_no_map() {
        let mut outcome = example::outcome();
        outcome.endpoints.clear();
        assert!(HeatMap::new(&Windows::new(&outcome)).is_none());
    }
}

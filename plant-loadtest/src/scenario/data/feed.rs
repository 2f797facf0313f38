//! Rows of a CSV file as values of variables.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use serde_json::Value;

use super::values::{Slot, Values};

/// The rows of a CSV file, without its header.
#[derive(Debug)]
pub(super) struct Feed {
    /// The variables, one a column.
    pub(super) columns: Vec<Slot>,
    /// The rows, one value a column.
    pub(super) rows: Vec<Vec<Value>>,
    /// Order in which rows are taken.
    pub(super) order: Order,
    /// Number of rows taken so far.
    pub(super) taken: AtomicUsize,
}

/// Order in which rows are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// One after the other, from all users together; after the last row comes the first.
    #[default]
    InOrder,
    /// At random.
    Random,
}

impl Feed {
    /// Takes the next row and sets the variables to its values.
    pub(super) fn take(&self, values: &mut Values) {
        let index = match self.order {
            Order::InOrder => self.taken.fetch_add(1, Relaxed) % self.rows.len().max(1),
            Order::Random => fastrand::usize(..self.rows.len().max(1)),
        };
        let row = self.rows.get(index).into_iter().flatten();
        for (slot, value) in self.columns.iter().zip(row) {
            values.set(*slot, Some(value.clone()));
        }
    }
}

/// Reads the header and the rows of a CSV file. All values are text.
///
/// # Errors
/// Returns a message if the file cannot be read, has no row, or has rows of different lengths.
pub(super) fn read(path: &Path) -> Result<(Vec<String>, Vec<Vec<Value>>), String> {
    let failed = |reason: &dyn ToString| format!("{}: {}", path.display(), reason.to_string());
    let mut reader = csv::Reader::from_path(path).map_err(|error| failed(&error))?;
    let header = reader.headers().map_err(|error| failed(&error))?;
    let columns = header.iter().map(|column| column.trim().to_owned()).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| failed(&error))?;
        rows.push(record.iter().map(Value::from).collect());
    }
    if rows.is_empty() {
        return Err(failed(&"no row after the header"));
    }
    Ok((columns, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(order: Order) -> Feed {
        let rows = ["a", "b", "c"].map(|value| vec![value.into()]).to_vec();
        Feed { columns: vec![Slot(0)], rows, order, taken: AtomicUsize::new(0) }
    }

    fn take(feed: &Feed, count: usize) -> Vec<String> {
        let mut values = Values::new(1, 1);
        let take = |_| {
            feed.take(&mut values);
            values.get(Slot(0)).unwrap().as_str().unwrap().to_owned()
        };
        (0..count).map(take).collect()
    }

    #[test]
    fn rows_are_taken_in_order_and_then_from_the_first_again() {
        assert_eq!(take(&feed(Order::InOrder), 4), ["a", "b", "c", "a"]);
    }

    #[test]
    fn random_rows_are_all_taken() {
        let taken = take(&feed(Order::Random), 300);
        for row in ["a", "b", "c"] {
            assert!(taken.iter().any(|taken| taken == row), "{row}");
        }
    }
}

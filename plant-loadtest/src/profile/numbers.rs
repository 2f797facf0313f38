//! Reads numbers and durations of profiles.

use crate::{
    duration,
    toml_source::{Source, Table},
};

/// Reads a number greater than 0.
pub(super) fn positive_number<'a>(
    source: &mut Source<'a>,
    table: &mut Table<'a>,
    key: &str,
    required: bool,
) -> Option<f64> {
    let at = table.span_of(key);
    let number =
        if required { table.number(source, key) } else { table.optional_number(source, key) };
    if number == Some(0.0) {
        source.add_error(at, format!("`{key}` must be above zero"));
        return None;
    }
    number
}

/// Reads a duration such as `10m`, in seconds.
pub(super) fn duration_s<'a>(
    source: &mut Source<'a>,
    table: &mut Table<'a>,
    key: &str,
    required: bool,
) -> Option<u64> {
    let read =
        if required { table.string(source, key) } else { table.optional_string(source, key) };
    let (text, at) = read?;
    match duration::parse_positive(&text) {
        Ok(duration) => Some(duration.as_secs()),
        Err(message) => {
            source.add_error(at, format!("`{key}`: {message}"));
            None
        }
    }
}

//! Spans of time as people write them: `30s`, `10m`, `1h30m`, `300`.

use std::time::Duration;

/// Reads a span: hours, minutes and seconds in that order, or a bare number of seconds.
///
/// # Errors
/// A sentence that says what is wrong with `text`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time span such as 30s, 10m or 1h30m");
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut rest = text;
    let mut total = 0_u64;
    for (unit, seconds) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            let number: u64 = number.parse().map_err(|_| wrong())?;
            total = number
                .checked_mul(seconds)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(wrong)?;
            rest = after;
        }
    }
    if !rest.is_empty() || text.is_empty() {
        return Err(wrong());
    }
    Ok(Duration::from_secs(total))
}

/// Like [`parse`], and refuses no time at all.
///
/// # Errors
/// A sentence that says what is wrong with `text`.
pub fn parse_positive(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        Duration::ZERO => Err("it must be at least a second".into()),
        span => Ok(span),
    }
}

/// Writes whole seconds the way [`parse`] reads them.
#[must_use]
pub fn display(seconds: u64) -> String {
    let parts = [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let written: String = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    if written.is_empty() { "0s".into() } else { written }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_in_every_documented_spelling() {
        for (text, seconds) in
            [("30s", 30), ("10m", 600), ("24h", 86_400), ("1h30m", 5_400), ("300", 300)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "soon", "5d", "m", "1m1h", "-3s", "1.5m"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for seconds in [0, 1, 59, 60, 3_661, 86_400] {
            assert_eq!(parse(&display(seconds)), Ok(Duration::from_secs(seconds)));
        }
    }
}

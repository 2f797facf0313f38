//! Bodies of up to 1 MiB that are expensive to parse, to check or to report.

/// Size of a body, just below the limit of 1 MiB.
const SIZE: usize = 1_040_000;

/// Returns the bodies with their names.
pub fn all() -> Vec<(&'static str, String)> {
    vec![
        (
            "array under a long key",
            format!("{{\"{}\":[{}0]}}", "k".repeat(SIZE / 2), "0,".repeat(SIZE / 4)),
        ),
        ("unsafe integers", format!("{{\"a\":[{}1]}}", "99999999999999999,".repeat(SIZE / 18))),
        ("duplicate keys", format!("{{{}\"a\":0}}", "\"a\":0,".repeat(SIZE / 6))),
        ("different keys", different_keys()),
        ("NUL characters", format!("{{\"a\":[{}0]}}", "\"\\u0000\",".repeat(SIZE / 9))),
        ("empty arrays", format!("{{\"a\":[{}0]}}", "[],".repeat(SIZE / 3))),
        ("empty objects", format!("{{\"a\":[{}0]}}", "{},".repeat(SIZE / 3))),
        ("nested objects", format!("{{\"a\":[{}0]}}", "{\"a\":{\"b\":{}}},".repeat(SIZE / 16))),
        ("100,000 levels", format!("{{\"a\":{}", "[".repeat(100_000))),
        ("127 levels", format!("{{\"a\":{}{}}}", "[".repeat(126), "]".repeat(126))),
        ("digits", format!("{{\"a\":{}}}", "9".repeat(SIZE))),
        ("fraction digits", format!("{{\"a\":0.{}}}", "1".repeat(SIZE))),
        ("escapes", format!("{{\"a\":\"{}\"}}", "\\u00e9".repeat(SIZE / 6))),
        ("unknown value", format!("{{\"schedule\":\"{}\"}}", "x".repeat(SIZE))),
        ("unknown field", format!("{{\"{}\":0}}", "x".repeat(SIZE))),
    ]
}

/// A body whose every value is a violation under a long path.
pub fn secrets() -> String {
    let tokens = vec!["{\"token\":0}"; 4_000].join(",");
    format!("{{\"settings\":{{\"{}\":[{tokens}]}}}}", "k".repeat(50_000))
}

fn different_keys() -> String {
    let entries: Vec<_> = (0..SIZE / 11).map(|n| format!("\"{n:06}\":0")).collect();
    format!("{{{}}}", entries.join(","))
}

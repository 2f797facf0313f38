//! Texts of changes, with the numbers and names of a finding.

use serde_json::Value;

use crate::performance_agent::analysis::Finding;

/// Replaces `{subject}`, `{statement}`, `{value}`, `{threshold}` and `{evidence.…}`. In SQL the subject is
/// quoted as an identifier; `{statement}` is the subject as it is.
pub(super) fn fill(text: &str, finding: &Finding, is_sql: bool) -> String {
    let subject = finding.subject.as_deref().unwrap_or("the target");
    let rounded = |value: f64| ((value * 1000.0).round() / 1000.0).to_string();
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, end)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            continue;
        };
        match name {
            "subject" if is_sql => filled.push_str(&quoted(subject)),
            "subject" | "statement" => filled.push_str(subject),
            "value" => filled.push_str(&rounded(finding.value)),
            "threshold" => filled.push_str(&rounded(finding.threshold)),
            _ => match name.strip_prefix("evidence.").and_then(|key| finding.evidence.get(key)) {
                Some(Value::String(text)) => filled.push_str(text),
                Some(value) => filled.push_str(&value.to_string()),
                None => filled.push('…'),
            },
        }
        rest = end;
    }
    filled + rest
}

/// Quotes an identifier of PostgreSQL, if it needs quotes.
fn quoted(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts_with_letter = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if starts_with_letter && name.bytes().all(is_plain) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

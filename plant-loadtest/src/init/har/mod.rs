//! Profiles from recorded browser sessions (HAR 1.2): the requests of one origin as one sequence.

mod body;
mod entry;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;

use self::{
    entry::Entry,
    values::{Known, SentTexts},
};
use super::{
    ConvertError,
    draft::{Body, Class, Draft, Expect, RemarkKind, Step, Task, Variable, Wait},
    names::{extracted_name, free_name, variable_name},
    value::Value,
};
use crate::placeholder::escape;

/// Longest think time that is taken from a recording, in milliseconds.
const LONGEST_WAIT_MS: i64 = 30_000;

/// Shorter gaps are no think time: the browser sends such requests by itself.
const SHORTEST_WAIT_MS: i64 = 500;

/// Headers that are copied although they do not start with `X-`.
const COPIED_HEADERS: [&str; 3] = ["accept-language", "if-match", "idempotency-key"];

/// Parts of the names of headers, fields and query parameters that carry credentials.
const CREDENTIAL_WORDS: [&str; 16] = [
    "authorization",
    "cookie",
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "api-key",
    "apikey",
    "api_key",
    "csrf",
    "xsrf",
    "session",
    "credential",
    "signature",
    "passcode",
];

/// Converts the recording `text`, which was read from `file`: the requests to `host`, or to the
/// origin of the first document.
///
/// # Errors
/// Returns an error if the text is not a HAR file or has no request that can be sent.
pub fn convert(file: &str, text: &str, host: Option<&str>) -> Result<Draft, ConvertError> {
    let json = text.trim_start_matches('\u{feff}');
    let root: Value = serde_json::from_str(json)
        .map_err(|error| ConvertError::new(file, format!("not a HAR file: {error}")))?;
    let entries = root.get("log").and_then(|log| log.get("entries"));
    let Some(entries) = entries else {
        return Err(ConvertError::new(file, "not a HAR file: `log.entries` is missing"));
    };
    let mut draft = Draft::default();
    let entries = Entry::read_all(entries.items(), &mut draft);
    let Some(origin) = host.map(str::to_owned).or_else(|| entry::first_origin(&entries)) else {
        return Err(ConvertError::new(file, "the recording has no request over HTTP"));
    };
    let kept = keep(entries, origin.trim_end_matches('/'), &mut draft);
    if kept.is_empty() {
        let message =
            format!("no request to {origin} can be sent; choose another origin with --host");
        return Err(ConvertError::new(file, message));
    }
    draft.description = Some(format!("A recorded session with {} requests.", kept.len()));
    draft.host = Some(origin);
    let class = Recording::default().class(&kept, &mut draft);
    draft.classes.push(class);
    draft.finish();
    Ok(draft)
}

/// The entries of `origin` that are no static files, preflights or failures. The others are listed.
fn keep(entries: Vec<Entry>, origin: &str, draft: &mut Draft) -> Vec<Entry> {
    let mut kept = Vec::new();
    let mut left_out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in entries {
        let reason = if entry.origin != origin {
            Some(format!("requests to {}", entry.origin))
        } else {
            entry.why_not()
        };
        match reason {
            Some(reason) => left_out.entry(reason).or_default().push(entry.path.clone()),
            None => kept.push(entry),
        }
    }
    for (reason, mut paths) in left_out {
        let count = paths.len();
        paths.dedup();
        let shown = paths.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        let more = if paths.len() > 3 { ", …" } else { "" };
        draft.remark(RemarkKind::LeftOut, "", format!("{reason} ({count}): {shown}{more}"));
    }
    kept
}

/// The state of a conversion: what responses gave and what was replaced.
#[derive(Debug, Default)]
struct Recording {
    known: Known,
    sent: SentTexts,
    variables: Vec<(String, Variable)>,
    steps: Vec<Step>,
    to_do: Vec<(String, String)>,
}

impl Recording {
    fn class(mut self, entries: &[Entry], draft: &mut Draft) -> Class {
        for (number, entry) in entries.iter().enumerate() {
            let mut step = self.step(entry, draft);
            step.wait = entries.get(number + 1).and_then(|next| think_time(entry, next));
            self.steps.push(step);
            self.known.add_response(number, entry, &self.sent);
        }
        for (place, text) in self.to_do {
            draft.remark(RemarkKind::ToDo, place, text);
        }
        let mut task = Task { weight: 1, steps: self.steps, ..Task::default() };
        if task.steps.len() > 1 {
            task.name = "recorded session".into();
        }
        Class {
            name: "RecordedUser".into(),
            comment: "The think time between sessions is not part of a recording.".into(),
            weight: 1,
            wait: Some(Wait::seconds(1, 3)),
            variables: self.variables,
            tasks: vec![task],
            ..Class::default()
        }
    }

    fn step(&mut self, entry: &Entry, draft: &mut Draft) -> Step {
        let place = format!("{} {}", entry.method, entry.path);
        let mut step = Step { method: entry.method.clone(), ..Step::default() };
        step.path = self.path(&entry.path);
        let unique = entry
            .query
            .iter()
            .all(|(name, _)| entry.query.iter().filter(|(other, _)| other == name).count() == 1);
        for (name, value) in &entry.query {
            let value = self.replaced(name, value, &place);
            if unique {
                step.query.push((name.clone(), Value::Text(value)));
            } else {
                // A table cannot have a key twice.
                let mark = if step.path.contains('?') { '&' } else { '?' };
                let name = escape(&entry::encode(name));
                step.path.push_str(&format!("{mark}{name}={}", encode_literals(&value)));
            }
        }
        for (name, value) in &entry.headers {
            let lower = name.to_ascii_lowercase();
            let wants_json = lower == "accept" && value.contains("json") && !value.contains("html");
            let copied =
                lower.starts_with("x-") || COPIED_HEADERS.contains(&lower.as_str()) || wants_json;
            if lower == "cookie" {
                let text = "cookies are not copied: each user keeps those that the service sets";
                draft.remark(RemarkKind::Changed, "", text);
            } else if lower == "authorization" {
                let value = self.authorization(value, &place);
                step.headers.push(("Authorization".into(), value));
            } else if copied {
                let value = self.replaced(name, value, &place);
                step.headers.push((name.clone(), value));
            }
        }
        step.body = self.body(entry, &place);
        if let Some(reason) = entry.unusable_body() {
            if let Body::Text { text, .. } = &mut step.body {
                *text = "FILL IN".into();
            }
            step.disabled = Some(reason.clone());
            draft.remark(RemarkKind::LeftOut, place, reason);
        }
        step.expect = Expect { status: vec![entry.expected_status()], ..Expect::default() };
        self.sent.add_request(entry);
        step
    }

    /// The path with a variable for each segment that a response gave.
    fn path(&mut self, path: &str) -> String {
        let segments: Vec<String> = path
            .split('/')
            .map(|segment| {
                let decoded = entry::decode(segment);
                self.variable_for(&decoded).unwrap_or_else(|| escape(segment))
            })
            .collect();
        segments.join("/")
    }

    /// `value`, the placeholder of a variable that a response gave, or that of a credential.
    fn replaced(&mut self, name: &str, value: &str, place: &str) -> String {
        if let Some(placeholder) = self.variable_for(value) {
            return placeholder;
        }
        if is_credential(name) && !value.is_empty() {
            return self.secret(name, place);
        }
        if let Some((step, pointers)) = self.known.ambiguous(value)
            && let Some(step) = self.steps.get(step)
        {
            let text = format!(
                "the value of `{name}` is sent as recorded: it is at {} of the response to {}",
                pointers.join(" and "),
                step.endpoint()
            );
            self.to_do.push((place.to_owned(), text));
        }
        escape(value)
    }

    fn authorization(&mut self, value: &str, place: &str) -> String {
        let (scheme, credentials) = value.split_once(' ').unwrap_or(("", value));
        let credentials = match self.variable_for(credentials) {
            Some(placeholder) => placeholder,
            None => self.secret("authorization", place),
        };
        if scheme.is_empty() { credentials } else { format!("{scheme} {credentials}") }
    }

    /// Makes the earlier step that gave `text` extract it; returns the placeholder.
    fn variable_for(&mut self, text: &str) -> Option<String> {
        let origin = self.known.origin(text)?;
        let step = self.steps.get_mut(origin.step)?;
        if let Some((name, _)) = step.extract.iter().find(|(_, other)| *other == origin.pointer) {
            return Some(format!("{{{name}}}"));
        }
        let wanted = extracted_name(&origin.pointer, &step.path);
        let name = free_name(&wanted, |name| self.is_taken(name));
        let step = self.steps.get_mut(origin.step)?;
        step.extract.push((name.clone(), origin.pointer));
        Some(format!("{{{name}}}"))
    }

    fn is_taken(&self, name: &str) -> bool {
        self.variables.iter().any(|(other, _)| other == name)
            || self.steps.iter().flat_map(|step| &step.extract).any(|(other, _)| other == name)
    }

    /// The placeholder of a credential, which is never copied.
    fn secret(&mut self, name: &str, place: &str) -> String {
        let wanted = variable_name(name);
        let is_extracted = |name: &str| {
            self.steps.iter().flat_map(|step| &step.extract).any(|(other, _)| other == name)
        };
        let name = free_name(&wanted, is_extracted);
        if !self.variables.iter().any(|(other, _)| *other == name) {
            self.variables.push((name.clone(), Variable::Is(Value::from("FILL IN"))));
            let text = format!("replace the value of `{name}`: credentials are not copied");
            self.to_do.push((place.to_owned(), text));
        }
        format!("{{{name}}}")
    }
}

/// Whether a header, a field or a parameter of this name carries a credential.
fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CREDENTIAL_WORDS.iter().any(|word| name.contains(word))
}

/// A template whose literal text is percent-encoded.
fn encode_literals(template: &str) -> String {
    if crate::placeholder::names(template).is_empty() {
        entry::encode(template)
    } else {
        template.into()
    }
}

/// The gap between two requests, rounded: below 5 s to half seconds, above to seconds.
fn think_time(entry: &Entry, next: &Entry) -> Option<Wait> {
    let gap = next.started_ms?.saturating_sub(entry.ended_ms()?);
    if gap < SHORTEST_WAIT_MS {
        return None;
    }
    let unit = if gap < 5000 { 500 } else { 1000 };
    let rounded = (gap.saturating_add(unit / 2) / unit * unit).min(LONGEST_WAIT_MS);
    let rounded = u64::try_from(rounded).ok()?;
    Some(Wait::always(std::time::Duration::from_millis(rounded)))
}

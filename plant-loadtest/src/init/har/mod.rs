//! Profiles from recorded browser sessions (HAR 1.2): the requests of one origin as one sequence.

mod body;
mod credential;
mod entry;
mod multipart;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, HashMap};

use self::{
    credential::{contains_credential, is_credential, looks_like_credential},
    entry::Entry,
    values::{Known, SentTexts},
};
use super::{
    ConvertError, destructive,
    draft::{Class, Draft, Expect, RemarkKind, Step, Task, Variable, Wait},
    names::{Names, extracted_name, variable_name},
    value::Value,
};
use crate::placeholder::{FILL_IN, escape};

/// Longest think time that is taken from a recording, in milliseconds.
const LONGEST_WAIT_MS: i64 = 30_000;

/// Shorter gaps are no think time: the browser sends such requests by itself.
const SHORTEST_WAIT_MS: i64 = 500;

/// Headers that browsers set themselves.
const BROWSER_HEADERS: [&str; 24] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "dnt",
    "host",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "proxy-connection",
    "purpose",
    "range",
    "referer",
    "te",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
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
    draft.or_error(file, "no request can be sent as it was recorded")
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
            Some(reason) => {
                let path = entry::shown_path(&entry.path);
                left_out.entry(reason).or_default().push(path);
            }
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
    /// Names of all variables.
    names: Names,
    /// Variables by the text of a response that they hold.
    extracted: HashMap<String, String>,
    /// Variables by the name of the credential that a person fills in.
    secrets: HashMap<String, String>,
    variables: Vec<(String, Variable)>,
    steps: Vec<Step>,
    to_do: Vec<(String, String)>,
    /// Name of a text of the request at hand in which there may be credentials.
    suspicious: Option<String>,
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
        let place = entry.place();
        let mut step = Step { method: entry.method.clone(), ..Step::default() };
        step.path = self.path(&entry.path, &place);
        let query = entry.query.iter().map(|(name, value)| {
            let value = self.replaced(name, value, &place);
            (name.clone(), Value::Text(value))
        });
        step.set_query(query.collect());
        for (name, value) in &entry.headers {
            self.add_header(name, value, &place, &mut step, draft);
        }
        let (body, mut reason) = self.body(entry, &place);
        step.body = body;
        if let Some(name) = self.suspicious.take() {
            reason = Some(format!("`{name}` may contain credentials, look through it"));
        }
        if destructive::is_destructive(&entry.method, &entry.path, "") {
            reason = Some(destructive::REASON.into());
        }
        if let Some(reason) = reason {
            step.disabled = Some(reason.clone());
            draft.remark(RemarkKind::LeftOut, place, reason);
        }
        step.expect = Expect { status: vec![entry.expected_status()], ..Expect::default() };
        self.sent.add_request(entry);
        step
    }

    /// Adds a header, unless the browser set it by itself.
    fn add_header(
        &mut self,
        name: &str,
        value: &str,
        place: &str,
        step: &mut Step,
        draft: &mut Draft,
    ) {
        let lower = name.to_ascii_lowercase();
        let wants_json = lower == "accept" && value.contains("json") && !value.contains("html");
        let is_own = lower.starts_with("sec-") || BROWSER_HEADERS.contains(&lower.as_str());
        if lower == "cookie" {
            let text = "cookies are not copied: each user keeps those that the service sets";
            draft.remark(RemarkKind::Changed, "", text);
        } else if lower == "authorization" {
            let value = self.authorization(value, place);
            step.headers.push(("Authorization".into(), value));
        } else if wants_json || !is_own {
            let value = self.replaced(name, value, place);
            step.headers.push((name.to_owned(), value));
        }
    }

    /// The path with a variable for each segment that a response gave, and for credentials.
    fn path(&mut self, path: &str, place: &str) -> String {
        let mut segments = Vec::new();
        for segment in path.split('/') {
            let decoded = entry::decode(segment);
            segments.push(match self.variable_for(&decoded) {
                Some(placeholder) => placeholder,
                None if looks_like_credential(&decoded) => self.secret("path_token", place),
                None => escape(segment),
            });
        }
        segments.join("/")
    }

    /// `value`, the placeholder of a variable that a response gave, or that of a credential.
    fn replaced(&mut self, name: &str, value: &str, place: &str) -> String {
        if let Some(placeholder) = self.variable_for(value) {
            return placeholder;
        }
        if (is_credential(name) && !value.is_empty()) || looks_like_credential(value) {
            return self.secret(name, place);
        }
        if contains_credential(value) {
            self.suspicious = Some(name.to_owned());
            return FILL_IN.into();
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
        if let Some(name) = self.extracted.get(text) {
            return Some(format!("{{{name}}}"));
        }
        let origin = self.known.origin(text)?;
        let step = self.steps.get_mut(origin.step)?;
        let name = self.names.take(&extracted_name(&origin.pointer, &step.path));
        step.extract.push((name.clone(), origin.pointer));
        let placeholder = format!("{{{name}}}");
        self.extracted.insert(text.to_owned(), name);
        Some(placeholder)
    }

    /// The placeholder of a credential, which is never copied.
    fn secret(&mut self, name: &str, place: &str) -> String {
        let wanted = variable_name(name);
        if let Some(name) = self.secrets.get(&wanted) {
            return format!("{{{name}}}");
        }
        let name = self.names.take(&wanted);
        self.variables.push((name.clone(), Variable::Is(Value::from(FILL_IN))));
        let text = format!("replace the value of `{name}`: credentials are not copied");
        self.to_do.push((place.to_owned(), text));
        let placeholder = format!("{{{name}}}");
        self.secrets.insert(wanted, name);
        placeholder
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

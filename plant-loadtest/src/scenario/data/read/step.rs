//! Reads a step: its request, what is expected of the response and what is taken from it.

use std::ops::Range;

use reqwest::{Method, header::HeaderValue};
use toml::de::DeValue;

use super::{
    Part, Reader,
    headers::{HeaderDraft, read_headers},
};
use crate::{
    client::Endpoint,
    methods::METHODS,
    placeholder,
    scenario::data::{
        class::Step,
        expect,
        extract::{Extraction, Place},
        names::Scope,
        request::{Header, HeaderText, RequestTemplate, Target},
        template::{Template, encode},
    },
    toml_source::{self, Table},
};

impl<'a> Reader<'_, 'a> {
    /// Reads a step of `part`, which has these `tags` in addition to its own.
    pub(super) fn step(&mut self, mut table: Table<'a>, part: Part, tags: &[String]) -> Step {
        let task = match part {
            Part::Task(task) => Some(task),
            Part::OnStart | Part::OnStop => None,
        };
        let scope = Scope { task, step: Some(self.steps) };
        self.steps += 1;
        let request = table.string(self.source, "request");
        let parsed = request.as_ref().and_then(|(text, at)| self.request_line(text, at));
        let method = parsed.as_ref().map(|(method, _)| method.clone());
        let draws = self.draws(&mut table, scope);
        let target = match (&parsed, &request) {
            (Some((_, path)), Some((_, at))) => self.template(path, at, scope),
            _ => Template::default(),
        };
        let target = self.with_query(&mut table, target, scope);
        let own_headers = self.header_drafts(&mut table);
        let headers = self.headers(&own_headers, part, scope);
        let body = self.body(&mut table, method.as_ref(), scope);
        let name = table.optional_name(self.source, "name");
        let expect = table.table(self.source, "expect");
        let expectation = expect::read(self.source, expect, method.as_ref(), &mut self.names);
        let extractions = self.extractions(&mut table, method.as_ref());
        let wait_at = table.span_of("wait");
        let wait = self.wait(&mut table);
        if wait.is_some() && part == Part::OnStop {
            let message = "`wait` has no effect in on_stop: a user that stops does not wait";
            self.source.add_error(wait_at, message);
        }
        let mut all_tags = self.tags(&mut table);
        all_tags.extend(tags.iter().cloned());
        table.report_unknown_keys(self.source);

        let name = name.or(request).map(|(name, _)| name).unwrap_or_default();
        let target = target.constant().map_or(Target::Template(target), Target::Fixed);
        let method = method.unwrap_or_default();
        let request = RequestTemplate { method, target, headers, body };
        let drawn: Vec<_> = draws.drawn().collect();
        let mut needs = draws.slots();
        needs.extend(request.slots().into_iter().filter(|slot| !drawn.contains(slot)));
        needs.sort_unstable();
        needs.dedup();
        let endpoint = Endpoint {
            name: name.leak(),
            expected_statuses: expectation.statuses,
            shape: expectation.shape,
            tags: all_tags.into_iter().map(|tag| &*tag.leak()).collect::<Vec<_>>().leak(),
        };
        Step { endpoint: Box::leak(Box::new(endpoint)), draws, request, extractions, wait, needs }
    }

    /// Parses `METHOD /path`.
    fn request_line(&mut self, text: &str, at: &Range<usize>) -> Option<(Method, String)> {
        let Some((method, path)) = text.split_once(' ') else {
            self.source.add_error(at.clone(), "`request` must be a method and a path: GET /items");
            return None;
        };
        let known = METHODS.contains(&method);
        let Some(parsed) = method.parse::<Method>().ok().filter(|_| known) else {
            let known = METHODS.join(", ");
            let message = format!("unknown method `{method}`; expected one of: {known}");
            self.source.add_error(at.clone(), message);
            return None;
        };
        let path = path.trim();
        let is_allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '#' && c != '\\';
        if !path.starts_with('/') || path.starts_with("//") || !path.chars().all(is_allowed) {
            let message = format!(
                "`{path}` is not a path: it must start with one `/` and have no spaces, `#` or `\\`"
            );
            self.source.add_error(at.clone(), message);
            return None;
        }
        if let Some(name) = placeholder::misspelt(path) {
            let message = format!(
                "`{{{name}}}` is no placeholder: a name has letters (a to z), digits and `_`, and no \
                 digit first"
            );
            self.source.add_error(at.clone(), message);
            return None;
        }
        Some((parsed, path.to_owned()))
    }

    /// Appends the table `query` to the path.
    fn with_query(
        &mut self,
        table: &mut Table<'a>,
        mut target: Template,
        scope: Scope,
    ) -> Template {
        let Some(query) = table.table(self.source, "query") else { return target };
        let has_query = target.has_text('?');
        for (index, entry) in query.into_entries().into_iter().enumerate() {
            let separator = if index == 0 && !has_query { '?' } else { '&' };
            let key = self.key(&entry.key, entry.key_at);
            let Some(value) = self.scalar(&entry.key, &entry.value, scope) else { continue };
            target.push_text(&format!("{separator}{}=", encode(&key)));
            target.push_encoded(value);
        }
        target
    }

    /// Reads a text, a number or a boolean as a template.
    pub(super) fn scalar(
        &mut self,
        key: &str,
        value: &toml::Spanned<DeValue<'a>>,
        scope: Scope,
    ) -> Option<Template> {
        let at = value.span();
        let text = match value.get_ref() {
            DeValue::String(text) => return Some(self.template(text, &at, scope)),
            DeValue::Array(_) | DeValue::Table(_) => {
                Err(format!("`{key}` must be a text, a number or a boolean"))
            }
            value => toml_source::to_json(value),
        };
        match text {
            Ok(serde_json::Value::String(text)) => Some(self.template(&text, &at, scope)),
            Ok(value) => Some(self.template(&value.to_string(), &at, scope)),
            Err(message) => {
                self.source.add_error(at, message);
                None
            }
        }
    }

    /// Reads the table `headers`.
    pub(super) fn header_drafts(&mut self, table: &mut Table<'a>) -> Vec<HeaderDraft> {
        let headers = table.table(self.source, "headers");
        headers.map_or_else(Vec::new, |headers| read_headers(self.source, headers))
    }

    /// Returns the headers of a step: those of the class, then its own, which replace them.
    fn headers(&mut self, own: &[HeaderDraft], part: Part, scope: Scope) -> Vec<Header> {
        let of_class = self.headers.clone();
        let replaced =
            |header: &HeaderDraft| own.iter().any(|replacing| replacing.name == header.name);
        let of_class = of_class.iter().filter(|header| !replaced(header));
        // A new user has no token yet when it logs in.
        let of_class = of_class.map(|header| (header, part == Part::OnStart));
        let all = of_class.chain(own.iter().map(|header| (header, false)));
        all.map(|(draft, optional)| {
            let template = self.template(&draft.text, &draft.at, scope);
            let fixed = template.constant().and_then(|text| HeaderValue::try_from(text).ok());
            let value = fixed.map_or(HeaderText::Template(template), HeaderText::Fixed);
            Header { name: draft.name.clone(), value, optional }
        })
        .collect()
    }

    fn extractions(&mut self, table: &mut Table<'a>, method: Option<&Method>) -> Vec<Extraction> {
        let Some(table) = table.table(self.source, "extract") else { return Vec::new() };
        let mut extractions = Vec::new();
        for entry in table.into_entries() {
            let key_at = entry.key_at.clone();
            let slot = self.names.declare_extracted(self.source, &entry.key, key_at.clone());
            let place = match entry.value.get_ref() {
                DeValue::String(text) => Place::parse(text),
                _ => Err(format!("the place of `{}` must be a text", entry.key)),
            };
            let place = match place {
                Ok(Place::Body(_)) if method == Some(&Method::HEAD) => {
                    Err("a response to HEAD has no body to extract from".to_owned())
                }
                place => place,
            };
            match (slot, place) {
                (_, Err(message)) => self.source.add_error(entry.value.span(), message),
                (None, _) => {}
                (Some(slot), Ok(place)) => {
                    if !self.extracted_at.iter().any(|(earlier, _)| *earlier == slot) {
                        self.extracted_at.push((slot, key_at));
                    }
                    extractions.push(Extraction { slot, name: entry.key, place });
                }
            }
        }
        extractions
    }
}

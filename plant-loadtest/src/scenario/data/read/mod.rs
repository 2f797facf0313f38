//! Reads the table of a user class. All errors are added to the source, and reading continues after
//! each.

mod body;
mod drawn;
mod headers;
mod step;

use std::{ops::Range, path::Path};

use headers::HeaderDraft;
pub(crate) use headers::read_headers;

use super::{
    class::{Class, Extractor, Step, Task, Wait, mean_wait, needs_of_sequence},
    extractors,
    names::{Names, Scope},
    template::Template,
    values::Slot,
};
use crate::{
    duration, placeholder,
    toml_source::{Source, Table, check_name},
};

/// The keys that only a class defined in the profile has.
pub(super) const KEYS: [&str; 7] =
    ["wait", "headers", "feed", "variables", "on_start", "task", "on_stop"];

/// Reads one class.
struct Reader<'s, 'a> {
    source: &'s mut Source<'a>,
    /// Folder of the profile.
    folder: &'s Path,
    names: Names,
    /// Headers of all requests of the class.
    headers: Vec<HeaderDraft>,
    /// Where each extracted variable is extracted first.
    extracted_at: Vec<(Slot, Range<usize>)>,
    /// Number of steps read so far.
    steps: usize,
}

/// Which steps are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    OnStart,
    Task(usize),
    OnStop,
}

/// Reads the class `name` from the rest of its `table`. Files are relative to `folder`.
pub(super) fn read<'a>(
    source: &mut Source<'a>,
    table: &mut Table<'a>,
    name: &str,
    folder: &Path,
) -> Class {
    let (headers, extracted_at) = (Vec::new(), Vec::new());
    let names = Names::default();
    let mut reader = Reader { source, folder, names, headers, extracted_at, steps: 0 };
    reader.class(table, name)
}

impl<'a> Reader<'_, 'a> {
    fn class(&mut self, table: &mut Table<'a>, name: &str) -> Class {
        let wait = self.wait(table).unwrap_or_default();
        let draws = self.draws(table, Scope::default());
        self.headers = self.header_drafts(table);
        let on_start = self.steps(table, "on_start", Part::OnStart);
        let tasks = self.tasks(table, wait);
        let on_stop = self.steps(table, "on_stop", Part::OnStop);
        let mut class = Class {
            name: name.to_owned(),
            mean_wait: mean_wait(&tasks),
            draws,
            on_start,
            tasks,
            on_stop,
            variables: self.names.count(),
            extractors: Vec::new(),
            session_variables: Vec::new(),
        };
        let extracted = class.on_start.iter().flat_map(|step| &step.extractions);
        class.session_variables = extracted.map(|extraction| extraction.slot).collect();
        self.names.check_uses(self.source);
        match extractors::choose(&class, &self.names) {
            Ok(steps) => {
                let extractors = steps.into_iter().map(|step| {
                    let step = step?;
                    Some(Extractor { step, needs: class.needs_alone(step) })
                });
                class.extractors = extractors.collect();
            }
            Err(unobtainable) => {
                for unobtainable in unobtainable {
                    let at = self.extracted_at.iter().find(|(slot, _)| *slot == unobtainable.slot);
                    // A variable that nothing extracts is reported where it is used.
                    if let Some((_, at)) = at {
                        self.source.add_error(at.clone(), unobtainable.reason);
                    }
                }
            }
        }
        class
    }

    /// Reads the tasks, with the think time of the class for those without their own.
    fn tasks(&mut self, table: &mut Table<'a>, wait: Wait) -> Vec<Task> {
        let at = table.span_of("task");
        let tables = table.tables(self.source, "task");
        if tables.is_empty() {
            self.source.add_error(at, "a user class needs at least one [[class.task]]");
        }
        let tables = tables.into_iter().enumerate();
        tables.map(|(index, table)| self.task(table, index, wait)).collect()
    }

    fn task(&mut self, mut table: Table<'a>, index: usize, wait_of_class: Wait) -> Task {
        let weight = table.optional_positive_integer(self.source, "weight").unwrap_or(1);
        let scope = Scope { task: Some(index), step: None };
        let (name, wait, draws, steps);
        if table.contains_key("step") {
            name = table.optional_name(self.source, "name").map(|(name, _)| name);
            wait = self.wait(&mut table);
            draws = self.draws(&mut table, scope);
            let at = table.span_of("step");
            let tags = self.tags(&mut table);
            steps = self.steps_with_tags(&mut table, "step", Part::Task(index), &tags);
            if steps.is_empty() {
                self.source.add_error(at, "a sequence needs at least one [[class.task.step]]");
            }
            table.report_unknown_keys(self.source);
        } else {
            draws = self.draws(&mut table, scope);
            let mut step = self.step(table, Part::Task(index), &[]);
            // The think time after the only step is that after the task.
            wait = step.wait.take();
            name = None;
            steps = vec![step];
        }
        let name = name.unwrap_or_else(|| {
            steps.first().map_or_else(String::new, |step| step.endpoint.name.to_owned())
        });
        let needs = needs_of_sequence(&draws, &steps);
        let has_own_wait = wait.is_some();
        let wait = wait.unwrap_or(wait_of_class);
        Task { name, weight, draws, wait, has_own_wait, steps, needs }
    }

    fn steps(&mut self, table: &mut Table<'a>, key: &str, part: Part) -> Vec<Step> {
        self.steps_with_tags(table, key, part, &[])
    }

    fn steps_with_tags(
        &mut self,
        table: &mut Table<'a>,
        key: &str,
        part: Part,
        tags: &[String],
    ) -> Vec<Step> {
        let tables = table.tables(self.source, key);
        tables.into_iter().map(|table| self.step(table, part, tags)).collect()
    }

    /// Reads `wait`: one duration, or two with ` to ` between them.
    fn wait(&mut self, table: &mut Table<'a>) -> Option<Wait> {
        let (text, at) = table.optional_string(self.source, "wait")?;
        let (from, to) = text.split_once(" to ").unwrap_or((&text, &text));
        let wait = duration::parse_precise(from)
            .and_then(|from| Ok((from, duration::parse_precise(to)?)))
            .and_then(|(from, to)| match from <= to {
                true => Ok((from, to)),
                false => Err(format!("`{from:?}` is longer than `{to:?}`")),
            });
        wait.map_err(|message| self.source.add_error(at, format!("`wait`: {message}"))).ok()
    }

    fn tags(&mut self, table: &mut Table<'a>) -> Vec<String> {
        let tags = table.string_list(self.source, "tags").unwrap_or_default();
        for (tag, at) in &tags {
            if let Err(message) = check_name(tag) {
                self.source.add_error(at.clone(), format!("a tag {message}"));
            }
        }
        tags.into_iter().map(|(tag, _)| tag).collect()
    }

    /// Returns the text of a key, in which placeholders are not replaced.
    fn key(&mut self, key: &str, at: Range<usize>) -> String {
        match placeholder::literal(key) {
            Ok(text) => text,
            Err(name) => {
                let message = format!(
                    "`{{{name}}}` is not replaced in a key; the text `{{{name}}}` is written \
                     `{{{{{name}}}}}`"
                );
                self.source.add_error(at, message);
                key.to_owned()
            }
        }
    }

    fn template(&mut self, text: &str, at: &Range<usize>, scope: Scope) -> Template {
        Template::compile(text, &mut self.names, scope, at)
    }
}

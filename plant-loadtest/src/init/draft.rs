//! A profile before it is written: what the converters produce.

use std::{collections::BTreeSet, fmt, mem, time::Duration};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    names::free_name,
    template::{self, BUILT_IN},
    value::Value,
};

/// A profile with user classes, and remarks on what could not be converted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// One sentence that describes the load.
    pub description: Option<String>,
    /// Base URL of the service.
    pub host: Option<String>,
    /// The user classes.
    pub classes: Vec<Class>,
    /// What is left to do, what was changed and what was left out.
    pub remarks: Vec<Remark>,
}

/// A user class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Class {
    /// Name, unique in the profile.
    pub name: String,
    /// Comment above the class.
    pub comment: String,
    /// Share of the users.
    pub weight: u32,
    /// Think time after each task.
    pub wait: Option<Wait>,
    /// Headers of every request of the class.
    pub headers: Vec<(String, String)>,
    /// Rows of which each user takes one.
    pub feed: Option<Feed>,
    /// Variables that are drawn once a user.
    pub variables: Vec<(String, Variable)>,
    /// Comment above the steps of `on_start`: an example to fill in.
    pub on_start_example: String,
    /// Steps that each new user runs once.
    pub on_start: Vec<Step>,
    /// What users do, drawn by weight.
    pub tasks: Vec<Task>,
    /// Steps that each user runs at its end.
    pub on_stop: Vec<Step>,
}

/// A task: one request, or several as a sequence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    /// Name of a sequence.
    pub name: String,
    /// Comment above the task.
    pub comment: String,
    /// Share of the tasks.
    pub weight: u32,
    /// Tags that thresholds can name.
    pub tags: Vec<String>,
    /// Rows of which each run of the task takes one.
    pub feed: Option<Feed>,
    /// Variables that are drawn for each run of the task.
    pub variables: Vec<(String, Variable)>,
    /// The requests.
    pub steps: Vec<Step>,
    /// Why the task is written as a comment.
    pub disabled: Option<String>,
}

/// Rows of which each user, or each run of a task, takes one; the columns are variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feed {
    /// Part of the name of the CSV file, after the name of the profile.
    pub name: String,
    /// Whether rows are taken at random, or one after the other.
    pub is_random: bool,
    /// The columns.
    pub columns: Vec<String>,
    /// The rows, with a value for each column.
    pub rows: Vec<Vec<String>>,
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Comment above the step.
    pub comment: String,
    /// HTTP method.
    pub method: String,
    /// Path template, with a query if that is part of the endpoint's name.
    pub path: String,
    /// Name of the endpoint if it is not the method and the path.
    pub name: Option<String>,
    /// Query parameters that are not part of the path.
    pub query: Vec<(String, Value)>,
    /// Headers of this request.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// Variables with the JSON pointer, header or cookie that they are extracted from.
    pub extract: Vec<(String, String)>,
    /// What makes the response a success.
    pub expect: Expect,
    /// Think time after the step.
    pub wait: Option<Wait>,
    /// Why the step is written as a comment.
    pub disabled: Option<String>,
}

/// The body of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Body {
    /// No body.
    #[default]
    None,
    /// JSON.
    Json(Value),
    /// Fields of a form, percent-encoded.
    Form(Vec<(String, Value)>),
    /// Fields and files of a multipart form.
    Multipart(Vec<(String, Part)>),
    /// Text of any content type.
    Text {
        /// The text.
        text: String,
        /// Its content type.
        content_type: String,
    },
}

/// A field of a multipart form.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A text field.
    Text(String),
    /// A file.
    File {
        /// Path, relative to the profile.
        file: String,
        /// Its content type.
        content_type: String,
    },
}

/// What makes a response a success.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// Statuses; empty for 200 to 299.
    pub status: Vec<u16>,
    /// Shape of the JSON body.
    pub shape: Option<Shape>,
    /// Values that the JSON body has at these pointers.
    pub json: Vec<(String, Value)>,
    /// Text that the body contains.
    pub contains: Option<String>,
}

/// Shape of a JSON body.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// An object with these keys.
    Object(Vec<String>),
    /// An array of objects with these keys.
    Array(Vec<String>),
    /// Such an array with at least one item.
    NonEmptyArray(Vec<String>),
}

/// How a variable gets its value.
#[derive(Clone, Debug, PartialEq)]
pub enum Variable {
    /// Always the same value, or a template.
    Is(Value),
    /// One of these values at random.
    OneOf(Vec<Value>),
    /// An integer from the first to the last.
    Integer(i64, i64),
    /// A number between two others.
    Number(f64, f64),
}

/// A think time: a range, or one value twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The shortest.
    pub from: Duration,
    /// The longest.
    pub to: Duration,
}

/// Something that a person should know about a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What kind of remark.
    pub kind: RemarkKind,
    /// Where in the source: a line number, a path or a URL.
    pub place: String,
    /// What it is.
    pub text: String,
}

/// Kinds of remarks, in the order in which they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemarkKind {
    /// Must be filled in by hand.
    ToDo,
    /// Not converted.
    LeftOut,
    /// Converted into something slightly different.
    Changed,
}

impl RemarkKind {
    /// Heading of the remarks of this kind.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::ToDo => "To do",
            Self::LeftOut => "Left out",
            Self::Changed => "Not quite the same",
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            return f.write_str(&self.text);
        }
        write!(f, "{}: {}", self.place, self.text)
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", seconds(self.from))?;
        if self.to != self.from {
            write!(f, " to {}", seconds(self.to))?;
        }
        Ok(())
    }
}

fn seconds(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds == 0 || milliseconds >= 1000 {
        format!("{}s", duration.as_secs_f64())
    } else {
        format!("{milliseconds}ms")
    }
}

impl Wait {
    /// The same think time always.
    #[must_use]
    pub const fn always(duration: Duration) -> Self {
        Self { from: duration, to: duration }
    }

    /// A think time between `from` and `to` seconds.
    #[must_use]
    pub const fn seconds(from: u64, to: u64) -> Self {
        Self { from: Duration::from_secs(from), to: Duration::from_secs(to) }
    }
}

impl Draft {
    /// Adds a remark.
    pub fn remark(&mut self, kind: RemarkKind, place: impl Into<String>, text: impl Into<String>) {
        let remark = Remark { kind, place: place.into(), text: text.into() };
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    /// Renames classes that have the name of one that is `taken`, and adds a remark for each.
    pub fn rename_classes(&mut self, taken: impl Fn(&str) -> bool) {
        for number in 0..self.classes.len() {
            let name = self.classes[number].name.clone();
            if !taken(&name) {
                continue;
            }
            let free = free_name(&name, |name| {
                taken(name) || self.classes.iter().any(|class| class.name == name)
            });
            let text =
                format!("is a user class of the program; the one of this profile is `{free}`");
            self.remark(RemarkKind::Changed, format!("`{name}`"), text);
            self.classes[number].name = free;
        }
    }

    /// Makes the profile valid: brings all steps into the form that profiles have, and disables steps
    /// and tasks with a variable that nothing gives a value, with a remark for each.
    pub fn finish(&mut self) {
        for class in &mut self.classes {
            class.steps_mut().for_each(Step::normalize);
            // Users that stop do not wait.
            class.on_stop.iter_mut().for_each(|step| step.wait = None);
            while let Some(remark) = class.disable_next_incomplete() {
                self.remarks.push(remark);
            }
        }
    }

    /// Returns the rows of all feeds.
    pub fn feeds(&self) -> impl Iterator<Item = &Feed> {
        self.classes.iter().flat_map(|class| {
            class.feed.iter().chain(class.tasks.iter().filter_map(|task| task.feed.as_ref()))
        })
    }

    /// Returns the number of tasks that are not disabled.
    #[must_use]
    pub fn active_tasks(&self) -> usize {
        self.classes.iter().map(|class| class.active_tasks().count()).sum()
    }
}

impl Class {
    /// Returns the tasks that are not disabled.
    pub fn active_tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| task.is_active())
    }

    /// Returns the names that have a value everywhere: variables of the class, and what an active
    /// step extracts.
    fn defined_names(&self) -> BTreeSet<String> {
        let extracted = self.active_steps().flat_map(|step| &step.extract).map(|(name, _)| name);
        let columns = self.feed.iter().flat_map(|feed| &feed.columns);
        let drawn = self.variables.iter().map(|(name, _)| name).chain(columns);
        extracted.chain(drawn).cloned().chain(BUILT_IN.map(str::to_owned)).collect()
    }

    fn steps_mut(&mut self) -> impl Iterator<Item = &mut Step> {
        let tasks = self.tasks.iter_mut().flat_map(|task| &mut task.steps);
        self.on_start.iter_mut().chain(tasks).chain(&mut self.on_stop)
    }

    fn active_steps(&self) -> impl Iterator<Item = &Step> {
        let tasks = self.active_tasks().flat_map(|task| &task.steps);
        let steps = self.on_start.iter().chain(tasks).chain(&self.on_stop);
        steps.filter(|step| step.disabled.is_none())
    }

    fn disable_next_incomplete(&mut self) -> Option<Remark> {
        let defined = self.defined_names();
        let missing = |step: &Step, own: &[(String, Variable)], columns: &[String]| {
            let is_own = |name: &str| {
                own.iter().any(|(other, _)| other == name)
                    || columns.iter().any(|other| other == name)
            };
            let mut names = step.names().into_iter();
            names.find(|name| !defined.contains(*name) && !is_own(name)).map(str::to_owned)
        };
        for step in self.on_start.iter_mut().chain(&mut self.on_stop) {
            if step.disabled.is_none()
                && let Some(name) = missing(step, &[], &[])
            {
                return Some(step.disable(&name));
            }
        }
        for task in self.tasks.iter_mut().filter(|task| task.is_active()) {
            let Task { steps, disabled, variables, feed, .. } = task;
            let columns = feed.as_ref().map_or(&[][..], |feed| &feed.columns);
            for step in steps.iter_mut().filter(|step| step.disabled.is_none()) {
                let Some(name) = missing(step, variables, columns) else { continue };
                let remark = step.disable(&name);
                if steps.len() == 1 {
                    disabled.clone_from(&steps[0].disabled);
                    steps[0].disabled = None;
                }
                return Some(remark);
            }
        }
        None
    }
}

impl Variable {
    /// Whether the values are certainly no strings.
    #[must_use]
    pub fn is_no_text(&self) -> bool {
        match self {
            Self::Is(value) => value.text().is_none(),
            Self::OneOf(values) => values.iter().all(|value| value.text().is_none()),
            Self::Integer(..) | Self::Number(..) => true,
        }
    }
}

impl Task {
    /// Whether the task is not a comment as a whole.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.disabled.is_none() && self.steps.iter().any(|step| step.disabled.is_none())
    }
}

impl Step {
    /// Method and path, or the name of the endpoint.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("{} {}", self.method, self.path))
    }

    /// Returns the names of all placeholders of the step.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut found = template::names(&self.path);
        let mut add = |text| found.extend(template::names(text));
        self.query.iter().for_each(|(_, value)| value.for_each_text(&mut add));
        self.headers.iter().for_each(|(_, text)| add(text));
        self.expect.json.iter().for_each(|(_, value)| value.for_each_text(&mut add));
        match &self.body {
            Body::None => {}
            Body::Json(value) => value.for_each_text(&mut add),
            Body::Form(fields) => {
                fields.iter().for_each(|(_, value)| value.for_each_text(&mut add));
            }
            Body::Text { text, .. } => add(text),
            Body::Multipart(parts) => {
                for (_, part) in parts {
                    if let Part::Text(text) = part {
                        add(text);
                    }
                }
            }
        }
        found
    }

    /// Encodes what a path cannot have, and drops what a request or a response cannot have.
    fn normalize(&mut self) {
        let mut path = String::from("/");
        for next in self.path.trim_start_matches('/').chars() {
            if next.is_whitespace() || next.is_control() || next == '#' || next == '\\' {
                path.extend(utf8_percent_encode(next.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC));
            } else {
                path.push(next);
            }
        }
        self.path = path;
        self.headers.retain(|(name, value)| {
            let own = ["content-length", "transfer-encoding"];
            is_header_name(name)
                && !own.iter().any(|own| name.eq_ignore_ascii_case(own))
                && !value.chars().any(char::is_control)
        });
        if self.method == "HEAD" {
            self.expect =
                Expect { status: mem::take(&mut self.expect.status), ..Expect::default() };
            self.extract.retain(|(_, place)| place.contains(':'));
        }
    }

    fn disable(&mut self, name: &str) -> Remark {
        let reason = format!("nothing gives `{name}` a value");
        self.disabled = Some(reason.clone());
        Remark { kind: RemarkKind::LeftOut, place: self.endpoint(), text: reason }
    }
}

fn is_header_name(name: &str) -> bool {
    let is_token = |next: char| next.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(next);
    !name.is_empty() && name.chars().all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(path: &str) -> Step {
        Step { method: "GET".into(), path: path.into(), ..Step::default() }
    }

    fn task(step: Step) -> Task {
        Task { weight: 1, steps: vec![step], ..Task::default() }
    }

    #[test]
    fn what_depends_on_a_left_out_step_is_left_out_too() {
        let mut list = step("/items?shop={shop}");
        list.extract.push(("item".into(), "/*/id".into()));
        let tasks = vec![task(list), task(step("/items/{item}")), task(step("/health"))];
        let class = Class { tasks, ..Class::default() };
        let mut draft = Draft { classes: vec![class], ..Draft::default() };
        draft.finish();
        assert_eq!(draft.active_tasks(), 1);
        let remarks: Vec<String> = draft.remarks.iter().map(ToString::to_string).collect();
        assert_eq!(
            remarks,
            [
                "GET /items?shop={shop}: nothing gives `shop` a value",
                "GET /items/{item}: nothing gives `item` a value",
            ]
        );
    }

    #[test]
    fn paths_and_headers_get_the_form_that_profiles_have() {
        let mut step = step("//a b#{c}\\ü");
        step.headers = [("X-A", "1"), ("bad name", "1"), ("Content-Length", "1"), ("X-B", "a\nb")]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        step.method = "HEAD".into();
        step.expect.shape = Some(Shape::Object(vec!["id".into()]));
        step.normalize();
        assert_eq!(step.path, "/a%20b%23{c}%5Cü");
        assert_eq!(step.headers, [("X-A".into(), "1".into())]);
        assert_eq!(step.expect, Expect::default());
    }

    #[test]
    fn a_think_time_is_written_with_its_unit() {
        for (from, to, text) in [
            (1000, 3000, "1s to 3s"),
            (500, 1500, "500ms to 1.5s"),
            (2000, 2000, "2s"),
            (0, 0, "0s"),
        ] {
            let wait = Wait { from: Duration::from_millis(from), to: Duration::from_millis(to) };
            assert_eq!(wait.to_string(), text);
        }
    }
}

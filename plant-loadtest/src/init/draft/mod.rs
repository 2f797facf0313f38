//! A profile before it is written: what the converters produce.

mod fields;
mod finish;

use std::{fmt, time::Duration};

use super::{ConvertError, value::Value};

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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Remark {
    /// What kind of remark.
    pub kind: RemarkKind,
    /// Where in the source: a line number, a path or a URL.
    pub place: String,
    /// What it is.
    pub text: String,
}

/// Kinds of remarks, in the order in which they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
        self.remarks.push(Remark { kind, place: place.into(), text: text.into() });
    }

    /// Returns the draft, or an error with `message` and all remarks if no task of it can be sent.
    ///
    /// # Errors
    /// Returns an error if all tasks are disabled.
    pub fn or_error(self, file: &str, message: &str) -> Result<Self, ConvertError> {
        if self.active_tasks() > 0 {
            return Ok(self);
        }
        let remarks: Vec<String> =
            self.remarks.iter().map(|remark| format!("\n  {remark}")).collect();
        Err(ConvertError::new(file, format!("{message}{}", remarks.concat())))
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
}

#[cfg(test)]
mod tests {
    use super::*;

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

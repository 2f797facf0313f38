//! Makes a draft a valid profile.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    mem,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Body, Class, Draft, Expect, Part, Remark, RemarkKind, Step, Task, Variable};
use crate::{
    init::names::free_name,
    placeholder::{self, BUILT_IN, FILL_IN},
};

impl Draft {
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
    /// and tasks with a variable that nothing gives a value, with a remark for each. No remark stays
    /// twice.
    pub fn finish(&mut self) {
        for class in &mut self.classes {
            for step in class.steps_mut() {
                self.remarks.extend(step.normalize());
            }
            // Users that stop do not wait.
            class.on_stop.iter_mut().for_each(|step| step.wait = None);
            self.remarks.extend(class.disable_incomplete());
            class.tasks.iter_mut().for_each(Task::disable_if_empty);
        }
        let mut known = HashSet::new();
        self.remarks.retain(|remark| known.insert(remark.clone()));
    }
}

impl Class {
    /// Returns how many variables, columns of the class and active steps give a name a value.
    fn givers(&self) -> HashMap<String, usize> {
        let extracted = self.active_steps().flat_map(|step| &step.extract).map(|(name, _)| name);
        let columns = self.feed.iter().flat_map(|feed| &feed.columns);
        let drawn = self.variables.iter().map(|(name, _)| name).chain(columns);
        let names = extracted.chain(drawn).cloned().chain(BUILT_IN.map(str::to_owned));
        let mut givers = HashMap::new();
        names.for_each(|name| *givers.entry(name).or_default() += 1);
        givers
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

    /// Disables steps until all others have values for their variables.
    fn disable_incomplete(&mut self) -> Vec<Remark> {
        let mut givers = self.givers();
        let mut remarks = Vec::new();
        loop {
            let before = remarks.len();
            for step in self.on_start.iter_mut().chain(&mut self.on_stop) {
                remarks.extend(step.disable_if_incomplete(&mut givers, &HashSet::new()));
            }
            for task in self.tasks.iter_mut().filter(|task| task.is_active()) {
                remarks.extend(task.disable_incomplete(&mut givers));
            }
            // What was disabled may have given others a value.
            if remarks.len() == before {
                break;
            }
        }
        remarks.extend(self.complete_headers(&givers));
        remarks
    }

    /// Adds a variable to fill in for each one of the headers that nothing gives a value: all
    /// requests have the headers.
    fn complete_headers(&mut self, givers: &HashMap<String, usize>) -> Vec<Remark> {
        let names = self.headers.iter().flat_map(|(_, text)| placeholder::names(text));
        let missing = names.filter(|name| givers.get(*name).is_none_or(|count| *count == 0));
        let missing: BTreeSet<String> = missing.map(str::to_owned).collect();
        let remark = |name: &String| Remark {
            kind: RemarkKind::ToDo,
            place: format!("headers of `{}`", self.name),
            text: format!("replace the value of `{name}`: nothing gives it one"),
        };
        let remarks = missing.iter().map(remark).collect();
        let values = missing.into_iter().map(|name| (name, Variable::Is(FILL_IN.into())));
        self.variables.extend(values);
        remarks
    }
}

impl Task {
    /// Disables a sequence without a step that is sent: a task needs a request.
    fn disable_if_empty(&mut self) {
        if self.disabled.is_none() && !self.is_active() {
            self.disabled = Some("none of its requests can be sent".into());
        }
    }

    fn disable_incomplete(&mut self, givers: &mut HashMap<String, usize>) -> Vec<Remark> {
        let columns = self.feed.iter().flat_map(|feed| &feed.columns);
        let own = self.variables.iter().map(|(name, _)| name).chain(columns);
        let own: HashSet<&str> = own.map(String::as_str).collect();
        let steps = self.steps.iter_mut();
        let remarks: Vec<Remark> =
            steps.filter_map(|step| step.disable_if_incomplete(givers, &own)).collect();
        if let ([step], [_]) = (&mut self.steps[..], &remarks[..]) {
            self.disabled = step.disabled.take();
        }
        remarks
    }
}

impl Step {
    /// Returns the names of all placeholders of the step.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut found = placeholder::names(&self.path);
        let mut add = |text| found.extend(placeholder::names(text));
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

    /// Disables the step if nothing gives one of its variables a value; `own` are those of its task.
    fn disable_if_incomplete(
        &mut self,
        givers: &mut HashMap<String, usize>,
        own: &HashSet<&str>,
    ) -> Option<Remark> {
        if self.disabled.is_some() {
            return None;
        }
        let has_value = |name: &str| own.contains(name) || givers.get(name).is_some_and(|n| *n > 0);
        let missing = self.names().into_iter().find(|name| !has_value(name))?;
        let reason = format!("nothing gives `{missing}` a value");
        for (name, _) in &self.extract {
            givers.entry(name.clone()).and_modify(|count| *count -= 1);
        }
        self.disabled = Some(reason.clone());
        Some(Remark { kind: RemarkKind::LeftOut, place: self.endpoint(), text: reason })
    }

    /// Encodes what a path cannot have, and drops what a request or a response cannot have. Returns
    /// remarks on dropped headers.
    fn normalize(&mut self) -> Vec<Remark> {
        let mut path = String::from("/");
        for next in self.path.trim_start_matches('/').chars() {
            if next.is_whitespace() || next.is_control() || next == '#' || next == '\\' {
                path.extend(utf8_percent_encode(next.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC));
            } else {
                path.push(next);
            }
        }
        self.path = path;
        let remarks = self.normalize_headers();
        if self.method == "HEAD" {
            self.expect =
                Expect { status: mem::take(&mut self.expect.status), ..Expect::default() };
            self.extract.retain(|(_, place)| place.contains(':'));
        }
        remarks
    }

    /// Joins headers of the same name, and drops those that a profile cannot have.
    fn normalize_headers(&mut self) -> Vec<Remark> {
        let place = self.endpoint();
        let mut remarks = Vec::new();
        let mut headers: Vec<(String, String)> = Vec::new();
        for (name, value) in mem::take(&mut self.headers) {
            if ["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str())
            {
                continue;
            }
            if !is_header_name(&name) || value.chars().any(char::is_control) {
                let text = format!("the header `{}` cannot be sent", name.escape_default());
                let place = place.clone();
                remarks.push(Remark { kind: RemarkKind::LeftOut, place, text });
                continue;
            }
            match headers.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(&name)) {
                Some((_, values)) => {
                    let separator = if name.eq_ignore_ascii_case("cookie") { "; " } else { ", " };
                    values.push_str(separator);
                    values.push_str(&value);
                }
                None => headers.push((name, value)),
            }
        }
        self.headers = headers;
        remarks
    }
}

fn is_header_name(name: &str) -> bool {
    let is_token = |next: char| next.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(next);
    !name.is_empty() && name.chars().all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::draft::{Shape, Wait};

    fn step(path: &str) -> Step {
        Step { method: "GET".into(), path: path.into(), ..Step::default() }
    }

    fn task(step: Step) -> Task {
        Task { weight: 1, steps: vec![step], ..Task::default() }
    }

    #[test]
    fn paths_and_headers_get_the_form_that_profiles_have() {
        let mut step = step("//a b#{c}\\ü");
        let headers = [
            ("X-A", "1"),
            ("bad name", "1"),
            ("Content-Length", "1"),
            ("X-B", "a\nb"),
            ("x-a", "2"),
        ];
        step.headers = headers.map(|(name, value)| (name.into(), value.into())).into();
        step.method = "HEAD".into();
        step.expect.shape = Some(Shape::Object(vec!["id".into()]));
        let remarks: Vec<String> = step.normalize().iter().map(ToString::to_string).collect();
        assert_eq!(step.path, "/a%20b%23{c}%5Cü");
        assert_eq!(step.headers, [("X-A".into(), "1, 2".into())]);
        assert!(remarks[0].ends_with("the header `bad name` cannot be sent"), "{remarks:?}");
        assert!(remarks[1].ends_with("the header `X-B` cannot be sent"), "{remarks:?}");
        assert_eq!(step.expect, Expect::default());
    }

    #[test]
    fn a_sequence_without_a_step_that_is_sent_is_left_out() {
        let steps = vec![step("/{a}"), step("/{b}")];
        let tasks = vec![Task { steps, ..Task::default() }, task(step("/c"))];
        let class = Class { tasks, ..Class::default() };
        let mut draft = Draft { classes: vec![class], ..Draft::default() };
        draft.finish();
        assert!(draft.classes[0].tasks[0].disabled.is_some());
        assert_eq!((draft.active_tasks(), draft.remarks.len()), (1, 2));
    }

    #[test]
    fn a_header_of_the_class_has_a_variable_to_fill_in_if_nothing_gives_it() {
        let headers = vec![("A".into(), "{a} {uuid}".into()), ("B".into(), "{a}".into())];
        let class = Class { headers, tasks: vec![task(step("/"))], ..Class::default() };
        let mut draft = Draft { classes: vec![class], ..Draft::default() };
        draft.finish();
        let variables = &draft.classes[0].variables;
        assert_eq!(*variables, [("a".into(), Variable::Is("FILL IN".into()))]);
        assert_eq!(draft.remarks.len(), 1, "{:?}", draft.remarks);
    }

    #[test]
    fn users_that_stop_do_not_wait() {
        let mut last = step("/logout");
        last.wait = Some(Wait::seconds(1, 1));
        let class = Class { on_stop: vec![last.clone()], on_start: vec![last], ..Class::default() };
        let mut draft = Draft { classes: vec![class], ..Draft::default() };
        draft.finish();
        assert_eq!(draft.classes[0].on_stop[0].wait, None);
        assert!(draft.classes[0].on_start[0].wait.is_some());
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
}

//! Makes a draft a valid profile.

use std::{collections::BTreeSet, mem};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Body, Class, Draft, Expect, Part, Remark, RemarkKind, Step, Task, Variable};
use crate::{
    init::names::free_name,
    placeholder::{self, BUILT_IN},
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
}

impl Class {
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

//! A user class that is defined in a profile, compiled.

use std::time::Duration;

use super::{
    extract::Extraction,
    feed::Feed,
    request::RequestTemplate,
    values::{Slot, Values},
    variable::Variable,
};
use crate::client::Endpoint;

/// Minimum and maximum of a think time.
pub(super) type Wait = (Duration, Duration);

/// A user class.
#[derive(Debug)]
pub(super) struct Class {
    /// Name.
    pub(super) name: String,
    /// Mean think time for each request, for reports; each task has its own.
    pub(super) mean_wait: Wait,
    /// What is drawn when a user starts.
    pub(super) draws: Draws,
    /// Steps of a new user.
    pub(super) on_start: Vec<Step>,
    /// Tasks.
    pub(super) tasks: Vec<Task>,
    /// Steps of a user that stops.
    pub(super) on_stop: Vec<Step>,
    /// Number of variables.
    pub(super) variables: usize,
    /// The step that runs for a variable without a value, by slot; `None` if it always has one.
    pub(super) extractors: Vec<Option<Extractor>>,
    /// The variables that `on_start` extracts. They are dropped after a 401.
    pub(super) session_variables: Vec<Slot>,
}

/// What is drawn together.
#[derive(Debug, Default)]
pub(super) struct Draws {
    /// A row of a file.
    pub(super) feed: Option<Feed>,
    /// Variables, in the order of the file.
    pub(super) variables: Vec<Variable>,
}

/// A task: one step, or a sequence of several.
#[derive(Debug)]
pub(super) struct Task {
    /// Name.
    pub(super) name: String,
    /// Weight.
    pub(super) weight: u32,
    /// What is drawn for each run.
    pub(super) draws: Draws,
    /// Think time after it.
    pub(super) wait: Wait,
    /// Whether `wait` is its own, and not that of the class.
    pub(super) has_own_wait: bool,
    /// Steps, at least one.
    pub(super) steps: Vec<Step>,
    /// The variables that must have values before it runs.
    pub(super) needs: Vec<Slot>,
}

/// A request with what is expected of the response and taken from it.
#[derive(Debug)]
pub(super) struct Step {
    /// Endpoint, with the expected status and body.
    pub(super) endpoint: &'static Endpoint,
    /// What is drawn for each run.
    pub(super) draws: Draws,
    /// Request.
    pub(super) request: RequestTemplate,
    /// What is taken from the response.
    pub(super) extractions: Vec<Extraction>,
    /// Think time after it.
    pub(super) wait: Option<Wait>,
    /// The variables that must have values before it runs.
    pub(super) needs: Vec<Slot>,
}

/// A step that runs for a variable without a value.
#[derive(Clone, Debug)]
pub(super) struct Extractor {
    /// The step.
    pub(super) step: StepId,
    /// The variables that must have values before.
    pub(super) needs: Vec<Slot>,
}

/// Identifies a step of `on_start` or of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepId {
    /// A step of `on_start`.
    OnStart(usize),
    /// A step of a task: their indices.
    Task(usize, usize),
}

impl Draws {
    /// Returns the variables that are drawn.
    pub(super) fn drawn(&self) -> impl Iterator<Item = Slot> {
        let columns = self.feed.iter().flat_map(|feed| feed.columns.iter().copied());
        columns.chain(self.variables.iter().map(|variable| variable.slot))
    }

    /// Returns the variables that must have values before, without those that are drawn.
    pub(super) fn slots(&self) -> Vec<Slot> {
        let drawn: Vec<Slot> = self.drawn().collect();
        let needed = self.variables.iter().flat_map(Variable::slots);
        needed.filter(|slot| !drawn.contains(slot)).collect()
    }

    /// Draws all values. A variable whose own variables have no values keeps its value.
    pub(super) fn draw(&self, values: &mut Values) {
        if let Some(feed) = &self.feed {
            feed.take(values);
        }
        for variable in &self.variables {
            // The needed variables were checked before, so this does not fail.
            let _ = variable.draw(values);
        }
    }
}

impl Class {
    /// Returns a step, and what is drawn before it.
    pub(super) fn step(&self, id: StepId) -> Option<(&Step, Option<&Draws>)> {
        match id {
            StepId::OnStart(index) => Some((self.on_start.get(index)?, None)),
            StepId::Task(task, step) => {
                let task = self.tasks.get(task)?;
                Some((task.steps.get(step)?, Some(&task.draws)))
            }
        }
    }

    /// Returns the variables that must have values before a step runs on its own.
    pub(super) fn needs_alone(&self, id: StepId) -> Vec<Slot> {
        let Some((step, draws)) = self.step(id) else { return Vec::new() };
        let Some(draws) = draws else { return step.needs.clone() };
        let drawn: Vec<Slot> = draws.drawn().collect();
        let needed = draws.slots().into_iter().chain(step.needs.iter().copied());
        needed.filter(|slot| !drawn.contains(slot)).collect()
    }

    /// Returns all steps of `on_start` and of the tasks, in order.
    pub(super) fn step_ids(&self) -> Vec<StepId> {
        let tasks = self.tasks.iter().enumerate();
        let in_tasks = tasks.flat_map(|(task, steps)| {
            (0..steps.steps.len()).map(move |step| StepId::Task(task, step))
        });
        (0..self.on_start.len()).map(StepId::OnStart).chain(in_tasks).collect()
    }

    /// Returns all steps, those of `on_stop` included.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.on_start.iter().chain(self.task_steps()).chain(&self.on_stop)
    }

    /// Returns the steps of the tasks.
    pub(super) fn task_steps(&self) -> impl Iterator<Item = &Step> {
        self.tasks.iter().flat_map(|task| &task.steps)
    }
}

/// Returns the variables that must have values before these steps run one after the other.
pub(super) fn needs_of_sequence(draws: &Draws, steps: &[Step]) -> Vec<Slot> {
    let mut given: Vec<Slot> = draws.drawn().collect();
    let mut needs = draws.slots();
    for step in steps {
        needs.extend(step.needs.iter().filter(|slot| !given.contains(slot)));
        given.extend(step.extractions.iter().map(|extraction| extraction.slot));
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// Returns the mean think time for each request of users who run these tasks by weight.
pub(super) fn mean_wait(tasks: &[Task]) -> Wait {
    let (mut total, mut requests) = ((Duration::ZERO, Duration::ZERO), 0);
    for task in tasks {
        let in_steps = task.steps.iter().filter_map(|step| step.wait);
        for (from, to) in in_steps.chain([task.wait]) {
            total.0 += from.saturating_mul(task.weight);
            total.1 += to.saturating_mul(task.weight);
        }
        requests += task.weight as usize * task.steps.len();
    }
    let requests = u32::try_from(requests).unwrap_or(u32::MAX).max(1);
    (total.0 / requests, total.1 / requests)
}

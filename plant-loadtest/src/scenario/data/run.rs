//! Runs a class: its Goose scenario, and what a user does in a task.

use goose::{
    GooseError,
    goose::{GooseUser, Scenario},
};
use reqwest::StatusCode;
use tokio::time::sleep;

use super::{
    class::{Class, Step, Wait},
    extract::extract,
    request::BuildError,
    values::{Slot, Values},
};
use crate::{
    client::Client,
    scenario::{ClassThinkTime, Saturate, Session, TaskFuture, ThinkTime, pick_wait, transaction},
};

/// Returns the scenario of `class`.
pub(super) fn scenario(class: &'static Class) -> Result<Scenario, GooseError> {
    let mut scenario = Scenario::new(&class.name)
        .set_wait_time(class.mean_wait.0, class.mean_wait.1)?
        .register_transaction(
            transaction(move |user| start(class, user)).set_name("on_start").set_on_start(),
        );
    for (index, task) in class.tasks.iter().enumerate() {
        let transaction =
            transaction(move |user| run_task(class, index, user)).set_name(&task.name);
        scenario = scenario.register_transaction(transaction.set_weight(task.weight as usize)?);
    }
    if !class.on_stop.is_empty() {
        let transaction = transaction(move |user| stop(class, user)).set_name("on_stop");
        scenario = scenario.register_transaction(transaction.set_on_stop());
    }
    Ok(scenario)
}

/// Draws the variables of a new user and runs the steps of `on_start`. A step is left out if a
/// variable that it needs has no value; the tasks that need its result run it later.
fn start<'u>(class: &'static Class, user: &'u mut GooseUser) -> TaskFuture<'u> {
    Box::pin(async move {
        let number = user.weighted_users_index.wrapping_add(1);
        let mut values = Values::new(number, class.variables);
        class.draws.draw(&mut values);
        let session = Session::get(user)?;
        session.extensions.insert(values);
        let Some(mut user) = User::of(class, session) else { return Ok(()) };
        for step in &class.on_start {
            if user.values.first_missing(&step.needs).is_none() {
                user.send(step).await;
                user.wait(step.wait).await;
            }
        }
        Ok(())
    })
}

/// Runs a task, or instead of it the step that extracts a variable that has no value yet.
fn run_task<'u>(class: &'static Class, index: usize, user: &'u mut GooseUser) -> TaskFuture<'u> {
    Box::pin(async move {
        let session = Session::get(user)?;
        let Some(task) = class.tasks.get(index) else { return Ok(()) };
        let wait = pick_wait(task.wait);
        if task.has_own_wait {
            session.extensions.insert(ThinkTime(wait));
        } else {
            session.extensions.insert(ClassThinkTime(wait));
        }
        let Some(mut user) = User::of(class, session) else { return Ok(()) };
        if let Some(slot) = user.values.first_missing(&task.needs) {
            if !user.extract_first(slot).await
                && let Some(step) = task.steps.first()
            {
                user.client.count_skipped(step.endpoint);
            }
            return Ok(());
        }
        task.draws.draw(user.values);
        for step in &task.steps {
            if user.values.first_missing(&step.needs).is_some() {
                // An earlier step of the sequence found nothing to extract.
                user.client.count_skipped(step.endpoint);
                break;
            }
            if !user.send(step).await {
                break;
            }
            user.wait(step.wait).await;
        }
        Ok(())
    })
}

/// Runs the steps of `on_stop` whose variables have values.
fn stop<'u>(class: &'static Class, user: &'u mut GooseUser) -> TaskFuture<'u> {
    Box::pin(async move {
        let Some(mut user) = User::of(class, Session::get(user)?) else { return Ok(()) };
        for step in &class.on_stop {
            if user.values.first_missing(&step.needs).is_none() {
                user.send(step).await;
            }
        }
        Ok(())
    })
}

/// A user of a class, with what its session keeps.
struct User<'u> {
    class: &'static Class,
    client: &'u Client,
    values: &'u mut Values,
    /// Whether it waits between the steps of a sequence.
    waits: bool,
}

impl<'u> User<'u> {
    /// Returns the user of `session`; `None` if it was not started.
    fn of(class: &'static Class, session: &'u mut Session) -> Option<Self> {
        let waits = session.extensions.get::<Saturate>().is_none();
        let Session { client, extensions, .. } = session;
        Some(Self { class, client, values: extensions.get_mut()?, waits })
    }

    /// Sends the request of a step and keeps what it extracts from the response. Returns whether the
    /// response was the expected one.
    async fn send(&mut self, step: &Step) -> bool {
        step.draws.draw(self.values);
        let request = match step.request.build(step.endpoint, self.values) {
            Ok(request) => request,
            Err(BuildError::Missing(_)) => return false,
            Err(BuildError::Header(name)) => {
                let message = format!("request not sent: the value of `{name}` is not allowed");
                self.client.record_unsent(step.endpoint, message);
                return false;
            }
        };
        let extractions = &step.extractions;
        match self.client.send_and_read(request, |response| extract(extractions, response)).await {
            Ok(extracted) => {
                for (slot, value) in extracted {
                    self.values.set(slot, Some(value));
                }
                true
            }
            Err(status) => {
                if status == Some(StatusCode::UNAUTHORIZED.as_u16()) {
                    // The next task runs the step of `on_start` that extracts the token again.
                    for slot in &self.class.session_variables {
                        self.values.set(*slot, None);
                    }
                }
                false
            }
        }
    }

    /// Runs the step that extracts the variable `slot`. If that needs another one, runs the step that
    /// extracts that one. Returns `false` if an expected response did not contain the value.
    async fn extract_first(&mut self, mut slot: Slot) -> bool {
        // There is no circle, so no variable comes twice.
        for _ in 0..self.class.variables {
            let Some(extractor) = self.class.extractors.get(slot.0).and_then(Option::as_ref) else {
                return true;
            };
            if let Some(missing) = self.values.first_missing(&extractor.needs) {
                slot = missing;
                continue;
            }
            if let Some((step, draws)) = self.class.step(extractor.step) {
                if let Some(draws) = draws {
                    draws.draw(self.values);
                }
                let is_expected = self.send(step).await;
                return !is_expected || self.values.first_missing(&[slot]).is_none();
            }
            return true;
        }
        true
    }

    async fn wait(&self, wait: Option<Wait>) {
        if let Some(wait) = wait.filter(|_| self.waits) {
            sleep(pick_wait(wait)).await;
        }
    }
}

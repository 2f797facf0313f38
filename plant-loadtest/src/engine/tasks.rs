//! The tasks of a user class, as both engines run them.
//!
//! A class is a Goose scenario, but its tasks are not scheduled by Goose: that allocates them to one
//! sequence that all users follow, so that a short run would not reach rare tasks and all users would
//! run the same task at the same time. Here each user picks a random task by weight each time, as in
//! Locust. What else a scenario can set is honoured as Goose does: on-start and on-stop tasks,
//! sequences, wait times. A scenario with a setting that has no effect here is refused.

use std::{collections::BTreeMap, time::Duration};

use goose::goose::{GooseUser, Scenario, Transaction, TransactionFunction};

use super::EngineError;
use crate::{
    scenario::{ClassThinkTime, Session, ThinkTime, UserClass, pick_wait},
    turns::{Turns, gcd},
};

/// Tasks of a user class.
pub(super) struct Tasks {
    on_start: Vec<TransactionFunction>,
    on_stop: Vec<TransactionFunction>,
    order: Order,
    /// Minimum and maximum think time between two tasks.
    wait: (Duration, Duration),
}

/// Order of the tasks that are neither on-start nor on-stop tasks.
enum Order {
    /// Random by weight.
    Weighted { tasks: Vec<Transaction>, total_weight: usize, turns: Turns },
    /// One after the other, again and again: some tasks are sequenced.
    Cycle(Vec<TransactionFunction>),
}

/// Position of a user in the cycle of its tasks, kept in its session.
#[derive(Clone, Copy, Default)]
struct CyclePosition(usize);

impl Tasks {
    /// Returns the tasks of `class`.
    ///
    /// # Errors
    /// When Goose rejects the scenario, or it has a setting that has no effect.
    pub(super) fn new(class: &UserClass) -> Result<Self, EngineError> {
        let scenario = (class.scenario)()?;
        check(class, &scenario)
            .map_err(|reason| EngineError::Class { class: class.name, reason })?;
        let divisor = scenario.transactions.iter().map(|task| task.weight).fold(0, gcd).max(1);
        let functions = |tasks: Vec<&Transaction>| {
            scheduled(&tasks, divisor).into_iter().map(|task| task.function.clone()).collect()
        };
        let all = || scenario.transactions.iter();
        let on_start = functions(all().filter(|task| task.on_start).collect());
        let on_stop = functions(all().filter(|task| task.on_stop).collect());
        let tasks: Vec<&Transaction> =
            all().filter(|task| !task.on_start && !task.on_stop).collect();
        let order = if tasks.iter().any(|task| task.sequence > 0) {
            Order::Cycle(functions(tasks))
        } else {
            let weights: Vec<usize> = tasks.iter().map(|task| task.weight).collect();
            Order::Weighted {
                turns: Turns::new(&weights),
                total_weight: weights.iter().sum(),
                tasks: tasks.into_iter().cloned().collect(),
            }
        };
        Ok(Self { on_start, on_stop, order, wait: scenario.transaction_wait.unwrap_or(class.wait) })
    }

    /// Picks the next task of the user with this `session`.
    pub(super) fn pick(&self, session: &mut Session) -> &TransactionFunction {
        match &self.order {
            Order::Weighted { tasks, total_weight, .. } => {
                let weights = tasks.iter().map(|task| task.weight);
                &tasks[pick_by_weight(weights, *total_weight)].function
            }
            Order::Cycle(tasks) => next_in_cycle(tasks, session),
        }
    }

    /// Returns the task whose turn it is after the class has had `number` turns. Turns follow the weights,
    /// without chance; sequenced tasks follow each other for each user.
    pub(super) fn take_turn(&self, session: &mut Session, number: usize) -> &TransactionFunction {
        match &self.order {
            Order::Weighted { tasks, turns, .. } => &tasks[turns.at(number).0].function,
            Order::Cycle(tasks) => next_in_cycle(tasks, session),
        }
    }

    /// Returns the think time after a task: that which the task has set, or a random one of the class.
    pub(super) fn take_think_time(&self, session: &mut Session) -> Duration {
        let of_task = session.extensions.remove::<ThinkTime>().map(|ThinkTime(wait)| wait);
        let of_class =
            session.extensions.remove::<ClassThinkTime>().map(|ClassThinkTime(wait)| wait);
        of_task.or(of_class).unwrap_or_else(|| pick_wait(self.wait))
    }

    /// Runs the on-start tasks of the class. A task that fails does not prevent the next ones: its
    /// requests are recorded.
    pub(super) async fn run_on_start(&self, user: &mut GooseUser) {
        run_all(&self.on_start, user).await;
    }

    /// Runs the on-stop tasks of the class.
    pub(super) async fn run_on_stop(&self, user: &mut GooseUser) {
        run_all(&self.on_stop, user).await;
    }

    /// Returns whether the class has on-stop tasks.
    pub(super) fn has_on_stop(&self) -> bool {
        !self.on_stop.is_empty()
    }
}

fn next_in_cycle<'t>(
    tasks: &'t [TransactionFunction],
    session: &mut Session,
) -> &'t TransactionFunction {
    let position = session.extensions.get_or_insert_default::<CyclePosition>();
    let task = &tasks[position.0 % tasks.len()];
    position.0 = (position.0 + 1) % tasks.len();
    task
}

/// Picks a random index by `weights`, whose sum is `total`.
pub(super) fn pick_by_weight(weights: impl Iterator<Item = usize>, total: usize) -> usize {
    let mut point = fastrand::usize(..total);
    for (index, weight) in weights.enumerate() {
        if point < weight {
            return index;
        }
        point -= weight;
    }
    unreachable!("the point is below the sum of all weights")
}

async fn run_all(tasks: &[TransactionFunction], user: &mut GooseUser) {
    for task in tasks {
        let _ = task(user).await;
    }
}

/// Checks that everything that the scenario sets has an effect.
fn check(class: &UserClass, scenario: &Scenario) -> Result<(), String> {
    if !scenario.transactions.iter().any(|task| !task.on_start && !task.on_stop) {
        return Err("it has no task besides on-start and on-stop tasks".into());
    }
    if scenario.weight != 1 {
        return Err(
            "its scenario sets a weight; the weight of a class is set in the profile".into()
        );
    }
    if scenario.host.is_some() {
        return Err(
            "its scenario sets a host; the host is set with --host or in the profile".into()
        );
    }
    match scenario.transaction_wait {
        Some(wait) if wait != class.wait => Err(format!(
            "its scenario has a wait time of {:?} to {:?}, and the class one of {:?} to {:?}",
            wait.0, wait.1, class.wait.0, class.wait.1
        )),
        _ => Ok(()),
    }
}

/// Returns tasks in the order in which Goose runs them: sequenced ones first, by their number; then
/// the others. Within each, a task comes as often as its weight divided by `divisor`, round robin.
fn scheduled<'t>(tasks: &[&'t Transaction], divisor: usize) -> Vec<&'t Transaction> {
    let mut groups: BTreeMap<usize, Vec<(&Transaction, usize)>> = BTreeMap::new();
    for task in tasks {
        // 0 stands for no number.
        let number = if task.sequence == 0 { usize::MAX } else { task.sequence };
        groups.entry(number).or_default().push((task, task.weight / divisor));
    }
    let mut scheduled = Vec::new();
    for group in groups.values() {
        let rounds = group.iter().map(|(_, count)| *count).max().unwrap_or_default();
        for round in 0..rounds {
            scheduled
                .extend(group.iter().filter(|(_, count)| round < *count).map(|(task, _)| *task));
        }
    }
    scheduled
}

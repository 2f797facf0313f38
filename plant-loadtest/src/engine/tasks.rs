//! The tasks of a user class, as both engines run them.

use std::sync::Arc;

use goose::goose::{GooseUser, Transaction, TransactionFunction};

use crate::scenario::UserClass;

/// Tasks of a user class: those that run once at the start, and those picked by weight.
pub(super) struct Tasks {
    on_start: Arc<[TransactionFunction]>,
    tasks: Vec<Transaction>,
    total_weight: usize,
}

impl Tasks {
    /// Returns the tasks of `class`.
    pub(super) fn new(class: &UserClass) -> Result<Self, goose::GooseError> {
        let (on_start, tasks): (Vec<_>, Vec<_>) =
            (class.scenario)()?.transactions.into_iter().partition(|task| task.on_start);
        let total_weight = tasks.iter().map(|task| task.weight).sum();
        Ok(Self {
            on_start: on_start.into_iter().map(|task| task.function).collect(),
            tasks,
            total_weight,
        })
    }

    /// Picks a random task by weight.
    pub(super) fn pick(&self) -> &TransactionFunction {
        let mut point = fastrand::usize(..self.total_weight);
        for task in &self.tasks {
            if point < task.weight {
                return &task.function;
            }
            point -= task.weight;
        }
        unreachable!("the point is below the sum of all weights")
    }

    /// Runs the on-start tasks of the class.
    pub(super) async fn run_on_start(
        &self,
        user: &mut GooseUser,
    ) -> goose::goose::TransactionResult {
        for task in self.on_start.iter() {
            task(user).await?;
        }
        Ok(())
    }
}

//! What both engines make of a user class: its tasks drawn by weight, its users made ready.

use std::sync::Arc;

use goose::goose::{GooseUser, Transaction, TransactionFunction};

use crate::scenarios::UserClass;

/// A user class taken apart: what its users do first, and what they do from then on.
pub(super) struct Tasks {
    pub(super) on_start: Arc<[TransactionFunction]>,
    tasks: Vec<Transaction>,
    total_weight: usize,
}

impl Tasks {
    /// The tasks of `class`.
    pub(super) fn of(class: &UserClass) -> Result<Self, goose::GooseError> {
        let (on_start, tasks): (Vec<_>, Vec<_>) =
            (class.scenario)()?.transactions.into_iter().partition(|task| task.on_start);
        let total_weight = tasks.iter().map(|task| task.weight).sum();
        Ok(Self {
            on_start: on_start.into_iter().map(|task| task.function).collect(),
            tasks,
            total_weight,
        })
    }

    /// One of the tasks, chosen by weight.
    pub(super) fn draw(&self) -> &TransactionFunction {
        let mut ticket = fastrand::usize(..self.total_weight);
        for task in &self.tasks {
            if ticket < task.weight {
                return &task.function;
            }
            ticket -= task.weight;
        }
        unreachable!("the ticket is below the sum of all weights")
    }

    /// Does what users of the class do first.
    pub(super) async fn start(&self, user: &mut GooseUser) -> goose::goose::TransactionResult {
        for step in self.on_start.iter() {
            step(user).await?;
        }
        Ok(())
    }
}

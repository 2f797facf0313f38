//! Orders of users: checks the service, starts a test, changes its users and ends it.

use std::{sync::Arc, time::Duration};

use super::{Leaving, MAX_STOP_TIMEOUT, MIN_STOP_TIMEOUT, Preparing, Session};
use crate::{
    outcome::Ended,
    worker::{
        WorkerError,
        message::{SpawnOrder, State, ToMaster},
        test_run::{ReadyTarget, TestRun},
    },
};

impl Session {
    pub(super) async fn order(&mut self, order: SpawnOrder) {
        if order.timestamp <= self.last_order {
            self.log("discarded an order that is not newer than the last one".into());
            return;
        }
        self.last_order = order.timestamp;
        self.all_ordered = false;
        if self.leaving.is_some() {
            return;
        }
        let stop_timeout = Duration::try_from_secs_f64(order.stop_timeout.unwrap_or_default());
        self.stop_timeout =
            stop_timeout.unwrap_or(MAX_STOP_TIMEOUT).clamp(MIN_STOP_TIMEOUT, MAX_STOP_TIMEOUT);
        if self.run.as_ref().is_some_and(TestRun::is_stopping) {
            self.pending = Some(order);
            return;
        }
        self.begin(order).await;
    }

    pub(super) async fn begin(&mut self, order: SpawnOrder) {
        self.state = State::Spawning;
        self.send(ToMaster::Spawning).await;
        if self.run.is_some() {
            self.apply(order).await;
            return;
        }
        if let Some(preparing) = &mut self.preparing {
            // The order may be of the next test: a master does not stop a worker without users.
            preparing.test = order.timestamp;
        } else {
            let host = order.host.clone().filter(|host| !host.is_empty());
            let host = host.unwrap_or_else(|| self.settings.host.clone());
            let task = ReadyTarget::check(Arc::clone(&self.settings), host, self.index);
            self.preparing = Some(Preparing { task: tokio::spawn(task), test: order.timestamp });
        }
        self.pending = Some(order);
    }

    /// Starts the test after the checks.
    pub(super) async fn prepared(&mut self, target: Result<ReadyTarget, String>) {
        let Some(Preparing { test, .. }) = self.preparing.take() else { return };
        let started =
            target.and_then(|target| TestRun::start(&self.settings, target, &self.node_id, test));
        match started {
            Ok(mut run) => {
                let line = run.first_line();
                self.run = Some(run);
                self.send_line(ToMaster::OutcomeLine(line)).await;
                if let Some(order) = self.pending.take() {
                    self.apply(order).await;
                }
            }
            Err(reason) => {
                self.pending = None;
                self.state = State::Ready;
                self.report_problem(format!("the users cannot be started: {reason}")).await;
            }
        }
    }

    pub(super) async fn apply(&mut self, order: SpawnOrder) {
        let Some(run) = &mut self.run else { return };
        let problems = run.order(&order.user_classes_count, self.stop_timeout);
        for problem in problems {
            self.report_problem(problem).await;
        }
        self.start_users().await;
    }

    /// Starts the users whose time has come, and reports when all have started.
    pub(super) async fn start_users(&mut self) {
        let Some(run) = &mut self.run else { return };
        if let Err(problem) = run.start_users() {
            self.report_problem(problem).await;
        }
        let Some(run) = &self.run else { return };
        if self.state == State::Spawning && run.next_start().is_none() && !run.is_stopping() {
            let users = run.users();
            self.state = State::Running;
            self.send(ToMaster::SpawningComplete(users)).await;
            self.complete();
        }
    }

    /// Records that all users are ordered and have started. The message of the master may come before: it does
    /// not wait for the checks of the service.
    pub(super) fn complete(&mut self) {
        if self.all_ordered
            && self.state == State::Running
            && let Some(run) = &mut self.run
        {
            run.complete();
        }
    }

    pub(super) async fn user_ended(&mut self, panic: Option<String>) {
        if let Some(message) = panic {
            self.report_problem(format!("a user panicked: {message}")).await;
        }
    }

    pub(super) async fn stop(&mut self) {
        if let Some(Preparing { task, .. }) = self.preparing.take() {
            task.abort();
        }
        self.pending = None;
        match &mut self.run {
            Some(run) => run.stop(self.stop_timeout, Ended::AsPlanned),
            None => self.report_stopped().await,
        }
    }

    /// Reports that no users run any more, and that others can be ordered.
    pub(super) async fn report_stopped(&mut self) {
        self.state = State::Ready;
        self.send(ToMaster::ClientStopped).await;
        self.send(ToMaster::ClientReady).await;
    }

    pub(super) async fn finish_run(&mut self) -> Result<(), WorkerError> {
        self.report_stats().await;
        let Some(mut run) = self.run.take() else { return Ok(()) };
        let measured = run.check_requests();
        if measured.is_err() {
            run.fail();
        }
        if let Some(line) = run.last_line() {
            self.send_line(ToMaster::OutcomeLine(line)).await;
        }
        run.end();
        if let Err(problem) = measured {
            self.report_problem(problem.clone()).await;
            self.say_goodbye(Leaving::Interrupted).await;
            return Err(WorkerError::NotMeasured(problem));
        }
        self.state = State::Ready;
        if self.leaving.is_some() {
            return Ok(());
        }
        if self.link.is_joined() {
            self.report_stopped().await;
        }
        if let Some(order) = self.pending.take() {
            self.begin(order).await;
        }
        Ok(())
    }
}

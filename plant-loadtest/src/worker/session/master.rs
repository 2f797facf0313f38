//! The link to the master: joins it, and notices when it is gone.
//!
//! What a master sends while a connection is lost never arrives, an order to stop the users included. So a worker
//! whose connection was lost stops its users and joins as a new one, whether or not the master still knows it.

use std::time::Instant;

use super::{ATTEMPTS_PER_CONNECTION, Leaving, Phase, Preparing, REPLY_TIMEOUT, Session};
use crate::{
    outcome::Ended,
    worker::{
        Settings, WorkerError,
        link::{Link, LinkEvent},
        message::{FromMaster, State, ToMaster},
    },
};

impl Session {
    pub(super) async fn link_changed(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Connected(connection) => {
                self.outbox.reset_heartbeats();
                self.link = Link::Open(connection, Phase::Joining(Instant::now()));
                self.join_when_stopped().await;
            }
            LinkEvent::NotConnected => self.connect(),
            LinkEvent::Disconnected => {
                self.leave_master("connection to the master lost; the users are stopped".into());
            }
            LinkEvent::Message(Ok(message)) => {
                self.heard_at = Instant::now();
                self.handle(message).await;
            }
            LinkEvent::Message(Err(reason)) => {
                self.log(format!("the master sent something that is no message: {reason}"));
            }
        }
    }

    pub(super) fn connect(&mut self) {
        if let Link::Connecting(task) = &self.link {
            task.abort();
        }
        self.link = Link::connect(&self.settings, &self.node_id);
    }

    /// Registers with a master once the users of the last one have stopped.
    async fn join_when_stopped(&mut self) {
        if self.run.is_none() {
            self.join().await;
        } else {
            self.link.set_phase(Phase::Joining(overdue()));
        }
    }

    /// Registers with a master that does not know this worker.
    pub(super) async fn join(&mut self) {
        self.was_joined = false;
        self.collects_outcomes = false;
        self.last_order = 0.0;
        self.link.set_phase(Phase::Joining(Instant::now()));
        self.link.send(&ToMaster::ClientReady).await;
    }

    pub(super) async fn handle(&mut self, message: FromMaster) {
        match message {
            FromMaster::Ack { index } => {
                if !self.was_joined {
                    self.log(format!("the master at {} is ready", self.settings.master));
                }
                self.index = index;
                self.was_joined = true;
                self.logs_changed = true;
                self.link.set_phase(Phase::Joined);
            }
            FromMaster::Heartbeat => self.outbox.reply_received(),
            FromMaster::CollectOutcomes => {
                self.collects_outcomes = true;
                self.resend_lines().await;
            }
            FromMaster::Spawn(order) => self.order(order).await,
            FromMaster::SpawningComplete => {
                self.all_ordered = true;
                self.complete();
            }
            FromMaster::Stop => self.stop().await,
            FromMaster::Quit => {
                self.log("the master has ended this worker".into());
                self.leave(Leaving::Ordered).await;
            }
            FromMaster::Reconnect => {
                self.leave_master("the master asks for a new connection".into());
            }
            FromMaster::Other(_) => {}
        }
    }

    /// Checks that the master is there, and looks for another one if not.
    pub(super) async fn check_master(&mut self) -> Result<(), WorkerError> {
        let silence = self.heard_at.elapsed();
        let Settings { master, master_timeout, search_timeout, .. } = &*self.settings;
        let limit =
            if self.was_joined { search_timeout.max(master_timeout) } else { search_timeout };
        if silence > *limit {
            return Err(WorkerError::NoMaster(master.clone(), search_timeout.as_secs()));
        }
        if silence > *master_timeout && self.was_joined {
            let seconds = master_timeout.as_secs();
            self.leave_master(format!(
                "no message from the master for {seconds} s; the users are stopped"
            ));
            return Ok(());
        }
        match self.link.phase() {
            // The users of the last master stop first.
            Some(Phase::Joining(since))
                if since.elapsed() > REPLY_TIMEOUT && self.run.is_none() =>
            {
                self.join_attempts += 1;
                if self.join_attempts.is_multiple_of(ATTEMPTS_PER_CONNECTION) {
                    self.renew_connection();
                } else {
                    self.join().await;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Connects with another node id: a master that has not noticed the end of a connection refuses a second
    /// one with the same node id.
    pub(super) fn renew_connection(&mut self) {
        self.node_ids += 1;
        self.node_id = format!("{}-{}", self.settings.node_id, self.node_ids);
        self.connect();
    }

    /// Stops the users of a master that may not control them any more, and connects as a new worker.
    fn leave_master(&mut self, reason: String) {
        self.log(reason);
        self.was_joined = false;
        self.index = None;
        if let Some(Preparing { task, .. }) = self.preparing.take() {
            task.abort();
        }
        self.pending = None;
        self.state = State::Ready;
        if let Some(run) = &mut self.run {
            run.stop(self.stop_timeout, Ended::Interrupted);
        }
        self.renew_connection();
    }
}

/// Returns a time so long ago that an attempt to join that was made then is repeated at once.
fn overdue() -> Instant {
    Instant::now().checked_sub(REPLY_TIMEOUT).unwrap_or_else(Instant::now)
}

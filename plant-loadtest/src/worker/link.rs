//! The link to a master, connected or not.

use std::time::{Duration, Instant};

use tokio::{task::JoinHandle, time::sleep};
use zeromq::ZmqError;

use super::{
    Settings,
    connection::{Connection, Event},
    message::{FromMaster, ToMaster},
};

/// Pause after a failed attempt to connect.
const CONNECT_PAUSE: Duration = Duration::from_millis(500);

/// The connection to a master.
pub(super) enum Link {
    Connecting(JoinHandle<Result<Connection, ZmqError>>),
    Open(Connection, Phase),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// `client_ready` was sent at this time.
    Joining(Instant),
    /// The master knows this worker.
    Joined,
}

/// What happened to a link.
pub(super) enum LinkEvent {
    Connected(Connection),
    NotConnected,
    Message(Result<FromMaster, String>),
    Disconnected,
}

impl Link {
    pub(super) fn connect(settings: &Settings, node_id: &str) -> Self {
        let (master, node_id) = (settings.master.clone(), node_id.to_owned());
        Self::Connecting(tokio::spawn(async move {
            let connection = Connection::open(master, node_id).await;
            if connection.is_err() {
                // Some errors come at once, such as that of an unknown host name.
                sleep(CONNECT_PAUSE).await;
            }
            connection
        }))
    }

    pub(super) async fn event(&mut self) -> LinkEvent {
        match self {
            Self::Connecting(task) => match task.await {
                Ok(Ok(connection)) => LinkEvent::Connected(connection),
                _ => LinkEvent::NotConnected,
            },
            Self::Open(connection, _) => match connection.next().await {
                Event::Message(message) => LinkEvent::Message(message),
                Event::Disconnected => LinkEvent::Disconnected,
            },
        }
    }

    pub(super) fn phase(&self) -> Option<Phase> {
        match self {
            Self::Connecting(_) => None,
            Self::Open(_, phase) => Some(*phase),
        }
    }

    pub(super) fn set_phase(&mut self, new: Phase) {
        if let Self::Open(_, phase) = self {
            *phase = new;
        }
    }

    pub(super) fn is_joined(&self) -> bool {
        self.phase() == Some(Phase::Joined)
    }

    pub(super) async fn send(&mut self, message: &ToMaster) {
        if let Self::Open(connection, _) = self {
            connection.send(message).await;
        }
    }
}

//! A connection to a master: ZeroMQ, as a DEALER whose identity is the node id.

use std::time::Duration;

use futures::StreamExt as _;
use tokio::{sync::mpsc, task::JoinHandle};
use zeromq::{
    DealerRecvHalf, DealerSendHalf, DealerSocket, Socket as _, SocketEvent, SocketOptions,
    SocketRecv as _, SocketSend as _, ZmqError, util::PeerIdentity,
};

use super::message::{FromMaster, ToMaster};

/// How long to try to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Number of messages that wait to be handled.
const QUEUED_EVENTS: usize = 64;

/// What a connection reports.
#[derive(Debug)]
pub enum Event {
    /// The master sent a message; or something else, described by the error.
    Message(Result<FromMaster, String>),
    /// The connection has ended.
    Disconnected,
}

/// A connection to a master. It ends when this value is dropped.
pub struct Connection {
    sender: DealerSendHalf,
    events: mpsc::Receiver<Event>,
    receive: JoinHandle<()>,
    node_id: String,
}

impl Connection {
    /// Connects to the master at `address`, `host:port`, as the worker with this node id.
    ///
    /// # Errors
    /// When no master listens there.
    pub async fn open(address: String, node_id: String) -> Result<Self, ZmqError> {
        let mut options = SocketOptions::default();
        options.connect_timeout(CONNECT_TIMEOUT);
        options.peer_identity(PeerIdentity::try_from(node_id.as_bytes())?);
        let mut socket = DealerSocket::with_options(options);
        let monitor = socket.monitor();
        socket.connect(&format!("tcp://{address}")).await?;
        let (sender, receiver) = socket.split();
        let (event_sender, events) = mpsc::channel(QUEUED_EVENTS);
        let receive = tokio::spawn(receive(receiver, monitor, event_sender));
        Ok(Self { sender, events, receive, node_id })
    }

    /// Sends a message. It is lost if the connection ends before it has left this machine.
    pub async fn send(&mut self, message: &ToMaster) {
        // The end of the connection is an event of its own.
        let _ = self.sender.send(message.encode(&self.node_id).into()).await;
    }

    /// Waits for the next event.
    pub async fn next(&mut self) -> Event {
        self.events.recv().await.unwrap_or(Event::Disconnected)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.receive.abort();
    }
}

async fn receive(
    mut receiver: DealerRecvHalf,
    mut monitor: futures::channel::mpsc::Receiver<SocketEvent>,
    events: mpsc::Sender<Event>,
) {
    loop {
        let event = tokio::select! {
            biased;
            message = receiver.recv() => match message {
                Ok(message) => {
                    let last = message.into_vec().pop().unwrap_or_default();
                    Event::Message(FromMaster::decode(&last))
                }
                Err(_) => Event::Disconnected,
            },
            change = monitor.next() => match change {
                Some(SocketEvent::Disconnected(_)) | None => Event::Disconnected,
                Some(_) => continue,
            },
        };
        let ended = matches!(event, Event::Disconnected);
        if events.send(event).await.is_err() || ended {
            return;
        }
    }
}

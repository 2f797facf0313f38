//! A master that sends what a test orders: Locust's own never sends most of it.

use std::time::{Duration, Instant};

use rmpv::Value;
use tokio::time::{sleep, timeout};
use zeromq::{RouterSocket, Socket as _, SocketRecv as _, SocketSend as _, ZmqMessage};

const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// A master, and what it has received.
pub struct FakeMaster {
    socket: RouterSocket,
    pub port: u16,
    /// Node id of the worker that sent the last message.
    pub node: String,
    /// Whether it replies to heartbeats, as one that knows the worker.
    pub replies: bool,
    pub requests: u64,
    pub failures: u64,
    /// Lines of outcomes, with the time stamp of the first order of their test.
    pub lines: Vec<(f64, String)>,
    /// Types of all messages.
    pub received: Vec<String>,
    orders: u32,
}

impl FakeMaster {
    pub async fn start() -> Self {
        Self::start_at(0).await
    }

    /// Starts a master on the port of one that was just dropped.
    pub async fn start_at(port: u16) -> Self {
        let started = Instant::now();
        loop {
            let mut socket = RouterSocket::new();
            match socket.bind(&format!("tcp://127.0.0.1:{port}")).await {
                Ok(endpoint) => {
                    let text = endpoint.to_string();
                    let port = text.rsplit(':').next().unwrap().parse().unwrap();
                    return Self {
                        socket,
                        port,
                        node: String::new(),
                        replies: true,
                        requests: 0,
                        failures: 0,
                        lines: Vec::new(),
                        received: Vec::new(),
                        orders: 0,
                    };
                }
                Err(error) => assert!(started.elapsed() < WAIT_TIMEOUT, "port {port}: {error}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for the next message: its type and data.
    pub async fn next(&mut self) -> (String, Value) {
        let message = timeout(WAIT_TIMEOUT, self.socket.recv()).await.expect("a message").unwrap();
        let frames = message.into_vec();
        let (kind, data, node): (String, Value, String) =
            rmp_serde::from_slice(&frames[1]).unwrap();
        assert_eq!(frames[0], node.as_bytes(), "the identity is the node id");
        self.node = node;
        self.received.push(kind.clone());
        match kind.as_str() {
            "heartbeat" if self.replies => self.send("heartbeat", Value::Nil).await,
            "stats" => {
                let total = field(&data, "stats_total");
                self.requests += number(field(total, "num_requests"));
                self.failures += number(field(total, "num_failures"));
            }
            "outcome_line" => {
                let line = field(&data, "line").as_str().unwrap().to_owned();
                let test = field(&data, "test").as_f64().unwrap();
                self.lines.push((test, line));
            }
            _ => {}
        }
        (kind, data)
    }

    /// Waits for a message of this type, and returns its data.
    pub async fn until(&mut self, kind: &str) -> Value {
        let started = Instant::now();
        loop {
            let (received, data) = self.next().await;
            if received == kind {
                return data;
            }
            assert!(started.elapsed() < WAIT_TIMEOUT, "no {kind} in {:?}", self.received);
        }
    }

    /// Waits until the worker joins, and acknowledges it.
    pub async fn join(&mut self) {
        self.join_as(0).await;
    }

    /// Waits until the worker joins, and gives it this number.
    pub async fn join_as(&mut self, index: u32) {
        assert_eq!(self.until("client_ready").await, Value::from(-1));
        self.send("ack", map(&[("index", index.into())])).await;
        self.send("collect_outcomes", Value::Nil).await;
    }

    pub async fn send(&mut self, kind: &str, data: Value) {
        let bytes = rmp_serde::to_vec(&(kind, data, &self.node)).unwrap();
        self.send_bytes(bytes).await;
    }

    pub async fn send_bytes(&mut self, bytes: Vec<u8>) {
        let mut message = ZmqMessage::from(bytes);
        message.push_front(self.node.clone().into_bytes().into());
        self.socket.send(message).await.unwrap();
    }

    /// Orders users, later than all orders before.
    pub async fn order(&mut self, users: &[(&str, u64)], stop_timeout: f64) {
        self.orders += 1;
        self.order_at(f64::from(self.orders), users, stop_timeout).await;
    }

    /// Orders users with this time stamp.
    pub async fn order_at(&mut self, timestamp: f64, users: &[(&str, u64)], stop_timeout: f64) {
        let users: Vec<(&str, Value)> =
            users.iter().map(|(class, count)| (*class, (*count).into())).collect();
        let order = map(&[
            ("timestamp", timestamp.into()),
            ("user_classes_count", map(&users)),
            ("host", Value::Nil),
            ("stop_timeout", stop_timeout.into()),
            ("parsed_options", map(&[("users", 3.into())])),
        ]);
        self.send("spawn", order).await;
    }

    /// Waits until the worker has as many users of the class as ordered.
    pub async fn until_users(&mut self, class: &str, count: u64) {
        let data = self.until("spawning_complete").await;
        assert_eq!(number(field(field(&data, "user_classes_count"), class)), count);
    }

    /// Returns the lines of the outcome of the last test as text.
    pub fn journal(&self) -> String {
        let last = self.lines.iter().map(|(test, _)| *test).fold(0.0, f64::max);
        let lines = self.lines.iter().filter(|(test, _)| test.to_bits() == last.to_bits());
        lines.map(|(_, line)| line.clone() + "\n").collect()
    }
}

pub fn map(fields: &[(&str, Value)]) -> Value {
    Value::Map(fields.iter().map(|(key, value)| ((*key).into(), value.clone())).collect())
}

pub fn field<'v>(value: &'v Value, name: &str) -> &'v Value {
    let fields = value.as_map().unwrap_or_else(|| panic!("{value} is no map"));
    let found = fields.iter().find(|(key, _)| key.as_str() == Some(name));
    &found.unwrap_or_else(|| panic!("{value} has no {name}")).1
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

//! Messages between Locust's master and a worker: MessagePack arrays `[type, data, node id]`.

use std::collections::BTreeMap;

use rmpv::Value;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap as _};

/// Type of the message by which a master announces that it writes lines of outcomes to files. Not Locust's
/// own: the locustfile of [`crate::worker::locustfile`] registers it.
pub const COLLECT_OUTCOMES: &str = "collect_outcomes";

/// Type of the message with a line of an outcome.
pub const OUTCOME_LINE: &str = "outcome_line";

/// The version in `client_ready` that no master compares with its own.
const ANY_VERSION: i8 = -1;

/// State of a worker, as Locust names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for an order.
    Ready,
    /// Starts users.
    Spawning,
    /// Runs the ordered users.
    Running,
}

/// Number of users by class.
pub type UserCounts = BTreeMap<String, u32>;

/// A message to the master.
#[derive(Clone, Debug, PartialEq)]
pub enum ToMaster {
    /// The worker can run users.
    ClientReady,
    /// The worker starts users.
    Spawning,
    /// The worker has as many users as ordered.
    SpawningComplete(UserReport),
    /// The worker is alive.
    Heartbeat(Heartbeat),
    /// Statistics since the last report.
    Stats(Box<StatsReport>),
    /// An exception of a user.
    Exception(Exception),
    /// What the worker has logged.
    Logs(Logs),
    /// The users have stopped.
    ClientStopped,
    /// The worker ends.
    Quit,
    /// A line of an outcome.
    OutcomeLine(OutcomeLine),
}

/// The users of a worker.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UserReport {
    /// By class.
    pub user_classes_count: UserCounts,
    /// In all.
    pub user_count: u32,
}

/// State and resource usage of a worker.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Heartbeat {
    /// The state.
    pub state: State,
    /// CPU usage in percent of all CPUs. Above 90 the master warns.
    pub current_cpu_usage: f64,
    /// Resident memory, in bytes.
    pub current_memory_usage: u64,
}

/// Statistics since the last report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatsReport {
    /// By endpoint.
    pub stats: Vec<StatsEntry>,
    /// Of all endpoints.
    pub stats_total: StatsEntry,
    /// By a hash of what identifies the error.
    pub errors: BTreeMap<String, StatsError>,
    /// The users.
    #[serde(flatten)]
    pub users: UserReport,
}

/// Statistics of one endpoint. Times are in milliseconds, moments in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatsEntry {
    /// Name without the method.
    pub name: String,
    /// Method.
    pub method: String,
    /// End of the last request; `None` without requests.
    pub last_request_timestamp: Option<f64>,
    /// Start of the interval.
    pub start_time: f64,
    /// Number of requests.
    pub num_requests: u64,
    /// Number of requests without a response time: always 0.
    pub num_none_requests: u64,
    /// Number of failures.
    pub num_failures: u64,
    /// Sum of all response times.
    pub total_response_time: f64,
    /// Longest response time.
    pub max_response_time: f64,
    /// Shortest response time; `None` without requests.
    pub min_response_time: Option<f64>,
    /// Size of all bodies, in bytes.
    pub total_content_length: u64,
    /// Number of requests by response time.
    pub response_times: ResponseTimes,
    /// Number of requests by second.
    pub num_reqs_per_sec: BTreeMap<u64, u64>,
    /// Number of failures by second.
    pub num_fail_per_sec: BTreeMap<u64, u64>,
}

/// Number of requests by response time in milliseconds: a map whose keys are numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseTimes(pub Vec<(f64, u64)>);

impl Serialize for ResponseTimes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (millis, count) in &self.0 {
            map.serialize_entry(millis, count)?;
        }
        map.end()
    }
}

/// Occurrences of an error.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatsError {
    /// Name of the endpoint without the method.
    pub name: String,
    /// Method.
    pub method: String,
    /// Description.
    pub error: String,
    /// Number of occurrences.
    pub occurrences: u64,
    /// First occurrence, in seconds since 1970.
    pub first_seen: f64,
    /// Last occurrence, in seconds since 1970.
    pub last_seen: f64,
}

/// An exception of a user.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exception {
    /// Message.
    pub msg: String,
    /// Where it happened.
    pub traceback: String,
}

/// All that the worker has logged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Logs {
    /// Node id of the worker.
    pub worker_id: String,
    /// The lines.
    pub logs: Vec<String>,
}

/// A line of the outcome of a worker.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutcomeLine {
    /// Node id of the worker at the start of the test: it may have joined again before the line was sent.
    pub node_id: String,
    /// Time stamp of an order of the test, by the clock of the master.
    pub test: f64,
    /// Number of the line, from 0.
    pub number: u64,
    /// The line.
    pub line: String,
}

impl ToMaster {
    /// Returns the bytes of the message from the worker with this node id.
    #[must_use]
    pub fn encode(&self, node_id: &str) -> Vec<u8> {
        match self {
            Self::ClientReady => encode("client_ready", ANY_VERSION, node_id),
            Self::Spawning => encode("spawning", (), node_id),
            Self::SpawningComplete(users) => encode("spawning_complete", users, node_id),
            Self::Heartbeat(heartbeat) => encode("heartbeat", heartbeat, node_id),
            Self::Stats(stats) => encode("stats", stats, node_id),
            Self::Exception(exception) => encode("exception", exception, node_id),
            Self::Logs(logs) => encode("logs", logs, node_id),
            Self::ClientStopped => encode("client_stopped", (), node_id),
            Self::Quit => encode("quit", (), node_id),
            Self::OutcomeLine(line) => encode(OUTCOME_LINE, line, node_id),
        }
    }
}

fn encode(kind: &str, data: impl Serialize, node_id: &str) -> Vec<u8> {
    rmp_serde::to_vec_named(&(kind, data, node_id)).expect("all values have a MessagePack form")
}

/// Maximum depth of nested data in a message: reading uses the stack.
const MAX_DEPTH: usize = 32;

/// A message from the master.
#[derive(Clone, Debug, PartialEq)]
pub enum FromMaster {
    /// The worker is registered.
    Ack {
        /// Its number, from 0; `None` from an old master.
        index: Option<u32>,
    },
    /// Run as many users.
    Spawn(SpawnOrder),
    /// The master has ordered all users.
    SpawningComplete,
    /// Stop all users.
    Stop,
    /// Stop all users and end.
    Quit,
    /// Connect again.
    Reconnect,
    /// Reply to a heartbeat.
    Heartbeat,
    /// The master collects outcomes.
    CollectOutcomes,
    /// A message of another type, which has no effect.
    Other(String),
}

/// An order of users.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct SpawnOrder {
    /// When it was given, in seconds since 1970 by the clock of the master.
    pub timestamp: f64,
    /// Number of users that shall run, by class.
    pub user_classes_count: UserCounts,
    /// Base URL of the service; `None` if the locustfile sets it.
    #[serde(default)]
    pub host: Option<String>,
    /// Seconds that a user that is stopped may take to finish.
    #[serde(default)]
    pub stop_timeout: Option<f64>,
}

impl FromMaster {
    /// Reads a message.
    ///
    /// # Errors
    /// Returns a message if it is not one of Locust's master.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut message = rmp_serde::Deserializer::from_read_ref(bytes);
        message.set_max_depth(MAX_DEPTH);
        let (kind, data, _) = <(String, Value, Value)>::deserialize(&mut message)
            .map_err(|error| error.to_string())?;
        Ok(match kind.as_str() {
            "ack" => Self::Ack { index: index(&data) },
            "spawn" => Self::Spawn(spawn_order(data)?),
            "spawning_complete" => Self::SpawningComplete,
            "stop" => Self::Stop,
            "quit" => Self::Quit,
            "reconnect" => Self::Reconnect,
            "heartbeat" => Self::Heartbeat,
            COLLECT_OUTCOMES => Self::CollectOutcomes,
            _ => Self::Other(kind),
        })
    }
}

fn index(data: &Value) -> Option<u32> {
    let fields = data.as_map()?;
    let (_, index) = fields.iter().find(|(key, _)| key.as_str() == Some("index"))?;
    index.as_u64().and_then(|index| u32::try_from(index).ok())
}

fn spawn_order(data: Value) -> Result<SpawnOrder, String> {
    let order: SpawnOrder =
        rmpv::ext::from_value(data).map_err(|error| format!("spawn: {error}"))?;
    let is_valid = |number: f64| number.is_finite() && number >= 0.0;
    match is_valid(order.timestamp) && order.stop_timeout.is_none_or(is_valid) {
        true => Ok(order),
        false => Err("spawn: a time is not a positive number".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the bytes that `text` has in hexadecimal. Those of these tests are what Locust 2.47 packs.
    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text.replace(char::is_whitespace, "")).unwrap()
    }

    #[test]
    fn messages_without_data_are_packed_as_by_locust() {
        // msgpack.dumps(("spawning", None, "w1"))
        assert_eq!(ToMaster::Spawning.encode("w1"), bytes("93 a8737061776e696e67 c0 a27731"));
        assert_eq!(
            ToMaster::ClientStopped.encode("w1"),
            bytes("93 ae636c69656e745f73746f70706564 c0 a27731")
        );
        assert_eq!(ToMaster::Quit.encode("w1"), bytes("93 a471756974 c0 a27731"));
        // The version that is never compared.
        assert_eq!(
            ToMaster::ClientReady.encode("w1"),
            bytes("93 ac636c69656e745f7265616479 ff a27731")
        );
    }

    #[test]
    fn data_is_packed_as_maps_and_floats_stay_floats() {
        let heartbeat = Heartbeat {
            state: State::Running,
            current_cpu_usage: 12.5,
            current_memory_usage: 4096,
        };
        // msgpack.dumps(("heartbeat", {"state": "running", "current_cpu_usage": 12.5,
        //   "current_memory_usage": 4096}, "w1"))
        assert_eq!(
            ToMaster::Heartbeat(heartbeat).encode("w1"),
            bytes(
                "93 a9686561727462656174 83 a57374617465 a772756e6e696e67
                 b163757272656e745f6370755f7573616765 cb4029000000000000
                 b463757272656e745f6d656d6f72795f7573616765 cd1000 a27731"
            )
        );
        let users = UserReport { user_classes_count: [("A".to_owned(), 3)].into(), user_count: 3 };
        // msgpack.dumps(("spawning_complete", {"user_classes_count": {"A": 3}, "user_count": 3}, "w1"))
        assert_eq!(
            ToMaster::SpawningComplete(users).encode("w1"),
            bytes(
                "93 b1737061776e696e675f636f6d706c657465 82
                 b2757365725f636c61737365735f636f756e74 81 a141 03 aa757365725f636f756e74 03 a27731"
            )
        );
    }

    #[test]
    fn statistics_have_numbers_as_keys_and_the_users_beside_them() {
        let entry = StatsEntry {
            name: "/x".into(),
            method: "GET".into(),
            last_request_timestamp: Some(2.5),
            start_time: 1.0,
            num_requests: 2,
            num_none_requests: 0,
            num_failures: 1,
            total_response_time: 3.5,
            max_response_time: 2.0,
            min_response_time: Some(1.5),
            total_content_length: 14,
            response_times: ResponseTimes(vec![(1.5, 1), (2.0, 1)]),
            num_reqs_per_sec: [(2, 2)].into(),
            num_fail_per_sec: [(2, 1)].into(),
        };
        let report = StatsReport {
            stats: vec![entry.clone()],
            stats_total: StatsEntry { name: "Aggregated".into(), method: String::new(), ..entry },
            errors: BTreeMap::new(),
            users: UserReport { user_classes_count: UserCounts::new(), user_count: 0 },
        };
        let packed = ToMaster::Stats(Box::new(report)).encode("w1");
        let (_, data, _) = rmp_serde::from_slice::<(String, Value, Value)>(&packed).unwrap();
        let data = data.as_map().unwrap();
        let keys: Vec<&str> = data.iter().filter_map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["stats", "stats_total", "errors", "user_classes_count", "user_count"]);
        let entry = data[0].1.as_array().unwrap()[0].as_map().unwrap();
        let keys: Vec<&str> = entry.iter().filter_map(|(key, _)| key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "name",
                "method",
                "last_request_timestamp",
                "start_time",
                "num_requests",
                "num_none_requests",
                "num_failures",
                "total_response_time",
                "max_response_time",
                "min_response_time",
                "total_content_length",
                "response_times",
                "num_reqs_per_sec",
                "num_fail_per_sec"
            ]
        );
        let times = entry[11].1.as_map().unwrap();
        assert_eq!(times[0], (Value::F64(1.5), Value::from(1)));
        assert_eq!(entry[12].1.as_map().unwrap()[0], (Value::from(2), Value::from(2)));
    }

    #[test]
    fn orders_are_read_with_their_exact_time() {
        // msgpack.dumps(("spawn", {"timestamp": 1764460320.25, "user_classes_count": {"A": 3, "B": 0},
        //   "host": None, "stop_timeout": 0.0, "parsed_options": {"users": 3}}, "w1"))
        let packed = bytes(
            "93 a5737061776e 85 a974696d657374616d70 cb41da4ae1c8100000
             b2757365725f636c61737365735f636f756e74 82 a141 03 a142 00 a4686f7374 c0
             ac73746f705f74696d656f7574 cb0000000000000000
             ae7061727365645f6f7074696f6e73 81 a57573657273 03 a27731",
        );
        let order = SpawnOrder {
            timestamp: 1_764_460_320.25,
            user_classes_count: [("A".to_owned(), 3), ("B".to_owned(), 0)].into(),
            host: None,
            stop_timeout: Some(0.0),
        };
        assert_eq!(FromMaster::decode(&packed), Ok(FromMaster::Spawn(order)));
    }

    #[test]
    fn other_messages_of_the_master_are_read() {
        let packed = |kind: &str, data: Value| rmp_serde::to_vec(&(kind, data, "w1")).unwrap();
        let index = Value::Map(vec![("index".into(), 4.into())]);
        assert_eq!(
            FromMaster::decode(&packed("ack", index)),
            Ok(FromMaster::Ack { index: Some(4) })
        );
        let ack = FromMaster::Ack { index: None };
        assert_eq!(FromMaster::decode(&packed("ack", Value::Nil)), Ok(ack));
        let cases = [
            ("stop", FromMaster::Stop),
            ("quit", FromMaster::Quit),
            ("reconnect", FromMaster::Reconnect),
            ("heartbeat", FromMaster::Heartbeat),
            ("spawning_complete", FromMaster::SpawningComplete),
            ("collect_outcomes", FromMaster::CollectOutcomes),
            ("update_user_class", FromMaster::Other("update_user_class".into())),
        ];
        for (kind, expected) in cases {
            assert_eq!(FromMaster::decode(&packed(kind, Value::Nil)), Ok(expected));
        }
    }

    #[test]
    fn garbage_is_an_error_and_no_panic() {
        let spawn = |data: Value| rmp_serde::to_vec(&("spawn", data, "w1")).unwrap();
        let order = |timestamp: Value, counts: Value| {
            Value::Map(vec![("timestamp".into(), timestamp), ("user_classes_count".into(), counts)])
        };
        let negative = Value::Map(vec![("A".into(), (-1).into())]);
        let huge = Value::Map(vec![("A".into(), u64::MAX.into())]);
        for packed in [
            Vec::new(),
            bytes("c1"),
            bytes("93"),
            bytes("dd ffffffff"),
            b"GET / HTTP/1.1".to_vec(),
            spawn(Value::Nil),
            spawn(order(Value::Nil, Value::Map(Vec::new()))),
            spawn(order(f64::NAN.into(), Value::Map(Vec::new()))),
            spawn(order(1.0.into(), negative)),
            spawn(order(1.0.into(), huge)),
        ] {
            assert!(FromMaster::decode(&packed).is_err(), "{packed:?}");
        }
    }
}

//! Workers that a master drives, and what a master that misbehaves can do to them.
//! `scripts/check_locust.sh` has the same against Locust's own master.

mod fake_master;
#[expect(dead_code, reason = "these tests use a part of it")]
#[path = "harness/mod.rs"]
mod harness;
#[path = "served/mod.rs"]
mod served;

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant, SystemTime},
};

use axum::{Router, extract::Request, http::StatusCode, response::IntoResponse as _};
use chrono::{DateTime, Utc};
use plant_loadtest::{
    journal,
    outcome::{Ended, Outcome},
};
use rmpv::Value;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{sleep, timeout};

use fake_master::{FakeMaster, field, map, number};
use harness::{loadtest, new_test_folder};
use served::Served;

const PROFILE: &str = r#"
name = "ordered"
description = "Users that a master orders."
users = 1
spawn_rate = 1
run_time = "10s"
thresholds = ["errors < 60%", "p99 < 20s"]

[[class]]
name = "Reader"
wait = "20ms to 40ms"

[[class.task]]
request = "GET /items"

[[class.task]]
request = "GET /missing"

[[class]]
name = "Waiter"
wait = "10ms"

[[class.task]]
request = "GET /slow"
"#;

/// A service, and the number of requests that it has received.
struct Service {
    served: Served,
    received: Arc<AtomicU64>,
    /// Number of slow ones in progress.
    in_progress: Arc<AtomicU64>,
    /// Number of times that its metrics were requested.
    sampled: Arc<AtomicU64>,
    /// Whether other requests than those of the users wait.
    holds_checks: Arc<AtomicBool>,
}

impl Service {
    fn start() -> Self {
        let received = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&received);
        let in_progress = Arc::new(AtomicU64::new(0));
        let slow = Arc::clone(&in_progress);
        let sampled = Arc::new(AtomicU64::new(0));
        let metrics = Arc::clone(&sampled);
        let holds_checks = Arc::new(AtomicBool::new(false));
        let held = Arc::clone(&holds_checks);
        let router = Router::new().fallback(async move |request: Request| {
            let path = request.uri().path();
            if !["/", "/health", "/metrics"].contains(&path) {
                counted.fetch_add(1, SeqCst);
            } else {
                while held.load(SeqCst) {
                    sleep(Duration::from_millis(10)).await;
                }
            }
            match path {
                // Not always: an endpoint without any success is a failure of the service.
                "/missing" if counted.load(SeqCst).is_multiple_of(3) => {
                    StatusCode::NOT_FOUND.into_response()
                }
                "/metrics" => {
                    metrics.fetch_add(1, SeqCst);
                    "".into_response()
                }
                "/slow" => {
                    slow.fetch_add(1, SeqCst);
                    sleep(Duration::from_secs(3)).await;
                    slow.fetch_sub(1, SeqCst);
                    "{}".into_response()
                }
                _ => "{}".into_response(),
            }
        });
        Self { served: Served::start(router), received, in_progress, sampled, holds_checks }
    }
}

/// A worker process; killed when it is dropped.
struct Worker(Child);

impl Worker {
    fn start(folder: &Path, service: &Service, master: &FakeMaster) -> Self {
        Self::start_with(folder, service, master, &[])
    }

    fn start_with(
        folder: &Path,
        service: &Service,
        master: &FakeMaster,
        arguments: &[&str],
    ) -> Self {
        std::fs::write(folder.join("ordered.toml"), PROFILE).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
            .args(["worker", "ordered.toml", "--host", &service.served.host()])
            .args(["--master-port", &master.port.to_string()])
            .args(arguments)
            .current_dir(folder)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self(child)
    }

    async fn exit_code(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < Duration::from_secs(30), "the worker does not end");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn outcome(master: &FakeMaster) -> Outcome {
    journal::read_outcome(&master.journal()).expect("a journal").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_runs_what_is_ordered_and_every_request_is_reported_once() {
    let folder = new_test_folder("worker-orders");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let mut worker = Worker::start(&folder, &service, &master);
    master.join().await;
    master.order(&[("Reader", 3), ("Waiter", 0)], 30.0).await;
    assert_eq!(master.until("spawning").await, Value::Nil);
    master.until_users("Reader", 3).await;
    master.send("spawning_complete", map(&[("user_count", 3.into())])).await;
    let heartbeat = master.until("heartbeat").await;
    assert_eq!(field(&heartbeat, "state").as_str(), Some("running"));
    assert!(field(&heartbeat, "current_cpu_usage").as_f64().is_some());
    assert!(number(field(&heartbeat, "current_memory_usage")) > 1 << 20);
    let stats = master.until("stats").await;
    assert_eq!(number(field(&stats, "user_count")), 3);
    // A whole second with a constant number of users, which is judged.
    while !master.journal().contains("\"hold-1\"") {
        master.next().await;
    }
    // Up, then down.
    master.order(&[("Reader", 8), ("Waiter", 0)], 30.0).await;
    master.until_users("Reader", 8).await;
    master.order(&[("Reader", 2), ("Waiter", 0)], 30.0).await;
    master.until_users("Reader", 2).await;
    master.until("stats").await;
    master.send("stop", Value::Nil).await;
    master.until("client_stopped").await;
    let sent = service.received.load(SeqCst);
    assert_eq!(master.requests, sent, "as many as the service has received");
    assert!(master.failures > 0 && master.failures < sent);
    let outcome = outcome(&master);
    let counts = outcome.counts_all();
    assert_eq!((counts.sent, counts.errors(), counts.lost), (sent, master.failures, 0));
    assert_eq!(outcome.ended, Ended::AsPlanned);
    assert!(outcome.load.stages.iter().any(|stage| stage.judged && stage.to_users == 3));
    // A second test counts from zero.
    master.join().await;
    (master.requests, master.failures) = (0, 0);
    master.order(&[("Reader", 1), ("Waiter", 0)], 30.0).await;
    master.until_users("Reader", 1).await;
    master.until("stats").await;
    master.send("quit", Value::Nil).await;
    while worker.0.try_wait().unwrap().is_none() {
        let _ = timeout(Duration::from_millis(50), master.next()).await;
    }
    assert_eq!(worker.exit_code().await, Some(0));
    while timeout(Duration::from_millis(50), master.next()).await.is_ok() {}
    let second = service.received.load(SeqCst) - sent;
    let counts = self::outcome(&master).counts_all();
    // A master that ends waits for a moment only, so requests may be lost.
    assert_eq!((counts.sent, master.requests + counts.lost), (second, second));
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_are_old_or_wrong_have_no_effect_on_the_users() {
    let folder = new_test_folder("worker-wrong-orders");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let _worker = Worker::start(&folder, &service, &master);
    master.join().await;
    master.order_at(100.5, &[("Reader", 2)], 30.0).await;
    master.until_users("Reader", 2).await;
    for timestamp in [100.5, 100.4, 7.0] {
        master.order_at(timestamp, &[("Reader", 9)], 30.0).await;
    }
    for bytes in [&b""[..], b"\xc1", b"\x93", b"GET / HTTP/1.1\r\n\r\n", b"\xdd\xff\xff\xff\xff"] {
        master.send_bytes(bytes.to_vec()).await;
    }
    master.order_at(f64::NAN, &[("Reader", 9)], 30.0).await;
    // The second report of these is later than the orders.
    for _ in 0..2 {
        let stats = master.until("stats").await;
        assert_eq!(number(field(&stats, "user_count")), 2);
    }
    master.order_at(101.0, &[("Reader", 9)], -1.0).await;
    master
        .send("spawn", map(&[("timestamp", 102.0.into()), ("user_classes_count", 7.into())]))
        .await;
    master.send("unknown", Value::Nil).await;
    master.send("update_user_class", map(&[("user_class_name", "Reader".into())])).await;
    // A class that the worker does not know: the others run.
    master.order_at(200.0, &[("Reader", 3), ("Stranger", 5)], 30.0).await;
    let exception = master.until("exception").await;
    let message = field(&exception, "msg").as_str().unwrap().to_owned();
    assert_eq!(message, "there is no user class Stranger; this worker runs Reader, Waiter");
    let data = master.until("spawning_complete").await;
    assert_eq!(number(field(&data, "user_count")), 3, "none of the other orders");
    // More than a process can run.
    master.order_at(201.0, &[("Reader", u32::MAX.into()), ("Waiter", u32::MAX.into())], 30.0).await;
    let exception = master.until("exception").await;
    assert!(field(&exception, "msg").as_str().unwrap().contains("start more workers"));
    // No users at all.
    master.order_at(202.0, &[("Reader", 0), ("Waiter", 0)], 30.0).await;
    // The others may all have started before.
    while number(field(&master.until("spawning_complete").await, "user_count")) > 0 {}
    let stats = master.until("stats").await;
    assert!(number(field(&stats, "user_count")) == 0);
    master.send("stop", Value::Nil).await;
    master.until("client_stopped").await;
    assert_eq!(outcome(&master).ended, Ended::Interrupted, "not all users were run as ordered");
    // A second stop is answered, too.
    master.join().await;
    master.send("stop", Value::Nil).await;
    master.until("client_stopped").await;
    master.join().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_are_stopped_finish_their_request_within_the_timeout_or_lose_it() {
    let folder = new_test_folder("worker-stop");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let _worker = Worker::start(&folder, &service, &master);
    master.join().await;
    let in_flight = async |count| {
        while service.received.load(SeqCst) < count {
            sleep(Duration::from_millis(10)).await;
        }
    };
    master.order(&[("Waiter", 4)], 0.0).await;
    master.until_users("Waiter", 4).await;
    in_flight(4).await;
    master.send("stop", Value::Nil).await;
    master.until("client_stopped").await;
    let counts = outcome(&master).counts_all();
    assert_eq!((counts.sent, counts.succeeded, counts.lost, master.requests), (4, 0, 4, 0));
    assert!(counts.is_consistent());
    master.join().await;
    master.order(&[("Waiter", 4)], 30.0).await;
    master.until_users("Waiter", 4).await;
    in_flight(8).await;
    master.send("stop", Value::Nil).await;
    master.until("client_stopped").await;
    let counts = outcome(&master).counts_all();
    assert_eq!((counts.sent, counts.succeeded, counts.lost, master.requests), (4, 4, 0, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_joins_a_master_that_was_restarted_and_its_outcome_is_complete() {
    let folder = new_test_folder("worker-restart");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let port = master.port;
    let _worker = Worker::start(&folder, &service, &master);
    master.join().await;
    master.order(&[("Reader", 3)], 30.0).await;
    master.until_users("Reader", 3).await;
    master.until("stats").await;
    let lines = std::mem::take(&mut master.lines);
    drop(master);
    let mut master = FakeMaster::start_at(port).await;
    assert_eq!(master.until("client_ready").await, Value::from(-1));
    assert_eq!(master.received, ["client_ready"], "nothing of a test that it does not know");
    master.send("ack", map(&[("index", 0.into())])).await;
    master.send("collect_outcomes", Value::Nil).await;
    let last = |master: &FakeMaster| {
        master.lines.iter().any(|(_, line)| line.contains("\"ended\":\"interrupted\""))
    };
    while !last(&master) {
        master.next().await;
    }
    // The lines that the first master has not received, after those that it has.
    let mut all = lines;
    all.append(&mut master.lines);
    let text: String = all.iter().map(|(_, line)| line.clone() + "\n").collect();
    let outcome = journal::read_outcome(&text).unwrap().unwrap();
    assert_eq!(outcome.ended, Ended::Interrupted);
    assert_eq!(outcome.counts_all().sent, service.received.load(SeqCst));
    // It takes new orders, whatever their time.
    master.order_at(0.5, &[("Reader", 2)], 30.0).await;
    master.until_users("Reader", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stops_its_users_when_the_master_is_silent_and_ends_without_another_one() {
    let folder = new_test_folder("worker-silence");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let limits = ["--master-timeout", "3s", "--wait-for-master", "8s"];
    let mut worker = Worker::start_with(&folder, &service, &master, &limits);
    master.join().await;
    master.order(&[("Reader", 3)], 30.0).await;
    master.until_users("Reader", 3).await;
    let node = master.node.clone();
    master.replies = false;
    // As a new worker: the master may believe that the old one is still connected.
    assert_eq!(master.until("client_ready").await, Value::from(-1));
    assert_ne!(master.node, node);
    let sent = service.received.load(SeqCst);
    while worker.0.try_wait().unwrap().is_none() {
        let _ = timeout(Duration::from_millis(50), master.next()).await;
    }
    assert_eq!(worker.exit_code().await, Some(3));
    assert_eq!(service.received.load(SeqCst), sent, "the users were stopped before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_connection_was_lost_stops_its_users_and_joins_as_a_new_one() {
    let folder = new_test_folder("worker-reconnect");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let port = master.port;
    let _worker = Worker::start(&folder, &service, &master);
    master.join().await;
    master.order(&[("Reader", 3)], 30.0).await;
    master.until_users("Reader", 3).await;
    let (node, lines) = (master.node.clone(), std::mem::take(&mut master.lines));
    drop(master);
    // A new socket, and the same memory. An order to stop would have been lost meanwhile.
    let mut master = FakeMaster::start_at(port).await;
    master.lines = lines;
    master.join().await;
    assert_ne!(master.node, node, "the master may believe that the old one is still connected");
    let sent = service.received.load(SeqCst);
    let last =
        |master: &FakeMaster| master.lines.iter().any(|(_, line)| line.contains("interrupted"));
    while !last(&master) {
        let (kind, data) = master.next().await;
        assert!(kind != "outcome_line" || field(&data, "node_id").as_str() == Some(node.as_str()));
    }
    assert_eq!(outcome(&master).counts_all().sent, sent);
    // The master itself can order a new connection.
    master.order_at(1e9, &[("Reader", 4)], 30.0).await;
    master.until_users("Reader", 4).await;
    master.send("reconnect", Value::Nil).await;
    master.join().await;
    while outcome(&master).ended != Ended::Interrupted {
        master.next().await;
    }
    assert_eq!(outcome(&master).counts_all().sent + sent, service.received.load(SeqCst));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_joins_again_when_its_users_have_finished_their_requests() {
    let folder = new_test_folder("worker-joins-again");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let port = master.port;
    let _worker = Worker::start(&folder, &service, &master);
    master.join().await;
    master.order(&[("Waiter", 3)], 30.0).await;
    master.until_users("Waiter", 3).await;
    while service.in_progress.load(SeqCst) < 3 {
        sleep(Duration::from_millis(10)).await;
    }
    drop(master);
    let mut master = FakeMaster::start_at(port).await;
    master.until("client_ready").await;
    assert_eq!(service.in_progress.load(SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_worker_leaves_with_its_last_reports() {
    let folder = new_test_folder("worker-interrupted");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let mut worker = Worker::start(&folder, &service, &master);
    master.join().await;
    master.order(&[("Reader", 3)], 30.0).await;
    master.until_users("Reader", 3).await;
    kill_process(Pid::from_child(&worker.0), Signal::TERM).unwrap();
    master.until("quit").await;
    assert_eq!(worker.exit_code().await, Some(0));
    let sent = service.received.load(SeqCst);
    assert_eq!((master.requests, outcome(&master).counts_all().sent), (sent, sent));
    assert_eq!(outcome(&master).ended, Ended::Interrupted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_users_start_stops_all_of_them() {
    let folder = new_test_folder("worker-stop-spawning");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let _worker = Worker::start(&folder, &service, &master);
    master.join().await;
    // Before the checks have ended.
    master.order(&[("Reader", 50)], 30.0).await;
    master.send("stop", Value::Nil).await;
    master.until("client_stopped").await;
    master.join().await;
    // While users start.
    master.order(&[("Reader", 50)], 30.0).await;
    master.until("spawning").await;
    while service.received.load(SeqCst) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    master.send("stop", Value::Nil).await;
    master.until("client_stopped").await;
    let sent = service.received.load(SeqCst);
    master.join().await;
    master.until("heartbeat").await;
    assert_eq!((master.requests, service.received.load(SeqCst)), (sent, sent));
    // And a new order right after a stop.
    master.order(&[("Reader", 2)], 30.0).await;
    master.until_users("Reader", 2).await;
    master.send("stop", Value::Nil).await;
    master.order(&[("Reader", 5)], 30.0).await;
    master.until("client_stopped").await;
    master.join().await;
    master.until_users("Reader", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_sixteen_workers_sample_the_service() {
    let folder = new_test_folder("worker-samples");
    let service = Service::start();
    for (index, samples) in [(2, false), (17, true)] {
        let mut master = FakeMaster::start().await;
        let _worker = Worker::start(&folder, &service, &master);
        master.join_as(index).await;
        master.order(&[("Reader", 1)], 30.0).await;
        master.until_users("Reader", 1).await;
        master.until("stats").await;
        assert_eq!(service.sampled.load(SeqCst) > 0, samples, "worker {index}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_start_one_after_the_other() {
    let folder = new_test_folder("worker-spread");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let _worker = Worker::start(&folder, &service, &master);
    master.join().await;
    master.order(&[("Reader", 1)], 30.0).await;
    master.until_users("Reader", 1).await;
    let ordered = Instant::now();
    master.order(&[("Reader", 41)], 30.0).await;
    master.until_users("Reader", 41).await;
    // The last of 40 starts 487 ms after the first.
    assert!(ordered.elapsed() > Duration::from_millis(480), "{:?}", ordered.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_is_an_exception_of_the_test() {
    let folder = new_test_folder("worker-no-service");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let _worker = Worker::start(&folder, &service, &master);
    master.join().await;
    let order = |host: &str, timestamp: f64| {
        map(&[
            ("timestamp", timestamp.into()),
            ("user_classes_count", map(&[("Reader", 1.into())])),
            ("host", host.into()),
            ("stop_timeout", Value::Nil),
        ])
    };
    // Not of this machine.
    master.send("spawn", order("http://192.0.2.1", 1.0)).await;
    let exception = master.until("exception").await;
    let message = field(&exception, "msg").as_str().unwrap().to_owned();
    assert!(message.contains("--allow-remote"), "{message}");
    master.send("spawn", order("nonsense", 2.0)).await;
    let exception = master.until("exception").await;
    let message = field(&exception, "msg").as_str().unwrap().to_owned();
    assert!(message.contains("nonsense"), "{message}");
    let heartbeat = master.until("heartbeat").await;
    assert_eq!(field(&heartbeat, "state").as_str(), Some("ready"));
    master.send("spawn", order(&service.served.host(), 3.0)).await;
    master.until_users("Reader", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_had_sent_is_counted_and_it_is_named() {
    let folder = new_test_folder("worker-killed");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let mut worker = Worker::start(&folder, &service, &master);
    master.join().await;
    master.order(&[("Reader", 3), ("Waiter", 2)], 30.0).await;
    master.until_users("Reader", 3).await;
    master.send("spawning_complete", map(&[("user_count", 5.into())])).await;
    for _ in 0..2 {
        master.until("outcome_line").await;
    }
    worker.0.kill().unwrap();
    worker.0.wait().unwrap();
    while timeout(Duration::from_millis(200), master.next()).await.is_ok() {}
    std::fs::write(folder.join("lost.json"), master.journal()).unwrap();
    std::fs::write(folder.join("silent.json"), "").unwrap();
    let output = loadtest(&folder, &["merge", "lost.json", "silent.json", "--json", "out.json"]);
    assert_eq!(output.exit_code, 4, "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.contains("the load generator lost was lost"), "{}", output.stdout);
    assert!(output.stdout.contains("the load generator silent was lost"), "{}", output.stdout);
    let counts = output.outcome.unwrap().counts_all();
    assert!(counts.is_consistent() && counts.succeeded > 0 && counts.lost > 0, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_start_after_the_message_that_all_are_ordered_are_judged() {
    let folder = new_test_folder("worker-slow-checks");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let _worker = Worker::start(&folder, &service, &master);
    master.join().await;
    // A master waits one second for the workers, whose checks may take longer.
    master.order(&[("Reader", 3)], 30.0).await;
    master.send("spawning_complete", map(&[("user_count", 3.into())])).await;
    master.until_users("Reader", 3).await;
    while !master.journal().contains("\"hold-1\"") {
        master.next().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_during_the_checks_is_of_the_next_test() {
    let folder = new_test_folder("worker-two-orders");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let _worker = Worker::start(&folder, &service, &master);
    master.join().await;
    service.holds_checks.store(true, SeqCst);
    for timestamp in [1.5, 2.5] {
        // A master does not stop a worker that has no users yet.
        master.order_at(timestamp, &[("Reader", 2)], 30.0).await;
        master.until("spawning").await;
    }
    service.holds_checks.store(false, SeqCst);
    master.until_users("Reader", 2).await;
    let tests: Vec<f64> = master.lines.iter().map(|(test, _)| *test).collect();
    assert_eq!(tests, [2.5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_not_judged_before_all_are_ordered() {
    let folder = new_test_folder("worker-not-all-ordered");
    let (service, mut master) = (Service::start(), FakeMaster::start().await);
    let _worker = Worker::start(&folder, &service, &master);
    master.join().await;
    // The first of several orders: a master starts users at a rate.
    master.order(&[("Reader", 3)], 30.0).await;
    master.until_users("Reader", 3).await;
    while outcome_seconds(&master) < 3.0 {
        master.next().await;
    }
    master.send("stop", Value::Nil).await;
    master.until("client_stopped").await;
    let stages = outcome(&master).load.stages;
    assert!(!stages.is_empty() && stages.iter().all(|stage| !stage.judged), "{stages:?}");
}

/// Returns the duration of the outcome so far, in seconds.
fn outcome_seconds(master: &FakeMaster) -> f64 {
    journal::read_outcome(&master.journal()).map_or(0.0, |outcome| outcome.unwrap().duration_s)
}

/// Starts three runs that begin at the same second. Returns that second, how many requests the service had received
/// before, and what the runs have printed.
fn run_together(
    service: &Service,
    start_runs: impl Fn(&str) -> [Child; 3],
) -> (DateTime<Utc>, u64, [Output; 3]) {
    // A machine that is busy may need longer for the checks.
    let found = [4, 16, 64].into_iter().find_map(|seconds| {
        let now = DateTime::<Utc>::from(SystemTime::now()).timestamp();
        let start = DateTime::from_timestamp(now + seconds, 0).unwrap();
        let sent_before = service.received.load(SeqCst);
        let outputs = start_runs(&start.to_rfc3339()).map(|run| run.wait_with_output().unwrap());
        let have_started = outputs.iter().all(|output| output.status.code() != Some(3));
        have_started.then_some((start, sent_before, outputs))
    });
    found.expect("three runs that have started")
}

#[test]
fn shares_of_a_load_are_merged() {
    let folder = new_test_folder("shares");
    let service = Service::start();
    let profile =
        PROFILE.replace("name = \"Waiter\"", "name = \"Unused\"").replace("/slow", "/items");
    std::fs::write(folder.join("ordered.toml"), profile).unwrap();
    let (_, sent_before, outputs) = run_together(&service, |start| {
        let run = |share: &str| {
            let json = format!("{}.json", share.replace('/', "-of-"));
            Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
                .args(["run", "ordered.toml", "--host", &service.served.host(), "--json", &json])
                .args(["-u", "5", "-r", "5", "-t", "4s", "--quiet", "--share", share])
                .args(["--start-at", start])
                .current_dir(&folder)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        };
        ["0/3", "1/3", "2/3"].map(run)
    });
    for output in outputs {
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("No verdict: plant-loadtest merge"), "{text}");
    }
    let parts = ["0-of-3.json", "1-of-3.json", "2-of-3.json"];
    let read = |name: &str| plant_loadtest::report::json::read(&folder.join(name)).unwrap();
    assert_eq!(parts.map(|part| read(part).load.users), [2, 2, 1]);
    let command = read(parts[0]).load.command;
    assert!(command.windows(2).any(|words| words == ["--share", "0/3"]), "{command:?}");
    let output = loadtest(&folder, &["merge", parts[0], parts[1], parts[2], "--json", "out.json"]);
    let outcome = output.outcome.expect("a merged outcome");
    assert_eq!(outcome.load.users, 5);
    // In turns, as in one process.
    let users: Vec<u32> = outcome.load.classes.iter().map(|class| class.users).collect();
    assert_eq!(users, [3, 2]);
    assert_eq!(outcome.counts_all().sent, service.received.load(SeqCst) - sent_before);
    let output = loadtest(&folder, &["merge", parts[0], parts[2]]);
    assert_eq!(output.exit_code, 4);
    assert!(
        output.stdout.contains("the load generator of share 1/3 was lost"),
        "{}",
        output.stdout
    );
    let output = loadtest(&folder, &["merge", parts[0], "out.json"]);
    assert_eq!(output.exit_code, 2);
}

#[test]
fn a_share_without_users_at_first_has_the_seconds_of_the_others() {
    let folder = new_test_folder("share-without-users");
    let service = Service::start();
    let profile = PROFILE
        .replace("users = 1\nspawn_rate = 1\nrun_time = \"10s\"\n", "")
        .replace("/slow", "/items")
        .replacen(
            "[[class]]",
            "[[stage]]\nname = \"one\"\nusers = 1\nlasts = \"2s\"\n\
             [[stage]]\nname = \"four\"\nusers = 4\nlasts = \"2s\"\n\n[[class]]",
            1,
        );
    std::fs::write(folder.join("staged.toml"), profile).unwrap();
    let host = service.served.host();
    let arguments =
        ["run", "staged.toml", "--host", &host, "--share", "1/2", "--json", "out.json", "--quiet"];
    let output = loadtest(&folder, &arguments);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    let outcome = output.outcome.expect("an outcome");
    assert_eq!((outcome.load.users, outcome.ended), (2, Ended::AsPlanned));
    let cells = outcome.endpoints.iter().flat_map(|endpoint| &endpoint.cells);
    assert!(cells.map(|cell| cell.second).min() >= Some(2));
}

#[test]
fn generators_that_start_at_an_agreed_time_are_merged() {
    let folder = new_test_folder("start-at");
    let service = Service::start();
    let profile =
        PROFILE.replace("name = \"Waiter\"", "name = \"Unused\"").replace("/slow", "/items");
    std::fs::write(folder.join("ordered.toml"), profile).unwrap();
    let (start, sent_before, _) = run_together(&service, |start| {
        ["one.json", "two.json", "three.json"].map(|json| {
            Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
                .args(["run", "ordered.toml", "--host", &service.served.host(), "--json", json])
                .args(["--start-at", start, "-u", "2", "-r", "2", "-t", "5s"])
                .args(["--html", "run.html", "--quiet"])
                .current_dir(&folder)
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
    });
    let output =
        loadtest(&folder, &["merge", "one.json", "two.json", "three.json", "--json", "out.json"]);
    let outcome = output.outcome.expect("a merged outcome");
    assert_eq!(outcome.started_at, start);
    assert_eq!((outcome.load.users, outcome.workers.len()), (6, 3));
    assert!(outcome.workers.iter().all(|worker| worker.from_s == 0));
    assert_eq!(outcome.counts_all().sent, service.received.load(SeqCst) - sent_before);
    assert!(outcome.counts_all().is_consistent());
    let past = loadtest(
        &folder,
        &[
            "run",
            "ordered.toml",
            "--host",
            &service.served.host(),
            "--start-at",
            "2020-01-01T00:00:00Z",
        ],
    );
    assert_eq!(past.exit_code, 3);
    assert!(past.stderr.contains("choose a later time"), "{}", past.stderr);
}

//! What a Goose scenario written in Rust can set is honoured in both load models, or refused.

mod fake_master;
mod recording_server;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};
use plant_loadtest::{
    class_options::ClassOptions,
    client::{Endpoint, Request, Shape},
    harness::Harness,
    journal,
    outcome::{Ended, Outcome},
    profile::{Overrides, Plan, Profile},
    run::{self, RunError, Settings},
    scenario::{Session, UserClass},
    service::Service,
    sla::Sla,
    worker::{self, WorkerError},
};
use recording_server::{Reply, Server};
use rmpv::Value;
use tokio::{
    runtime::Runtime,
    task::JoinHandle,
    time::{sleep, timeout},
};

use fake_master::{FakeMaster, field};

/// Goose has one killswitch for all runs of a process, so the runs follow each other.
static ONE_RUN: Mutex<()> = Mutex::new(());

const CLOSED: &str = "users = 1\nspawn_rate = 100\nrun_time = \"2s\"";
const OPEN: &str = "model = \"open\"\nusers = 1\nrate = 10\nrun_time = \"2s\"";

const fn endpoint(name: &'static str) -> Endpoint {
    Endpoint { name, expected_statuses: &[200], shape: Shape::Any, tags: &[] }
}

static START: Endpoint = endpoint("GET /start");
static A: Endpoint = endpoint("GET /a");
static B: Endpoint = endpoint("GET /b");
static C: Endpoint = endpoint("GET /c");
static STOP: Endpoint = endpoint("GET /stop");

static ENDPOINTS: &[&Endpoint] = &[&START, &A, &B, &C, &STOP];

const fn class(scenario: &'static (dyn Fn() -> Result<Scenario, GooseError> + Sync)) -> UserClass {
    UserClass {
        description: "a test",
        wait: (Duration::from_millis(10), Duration::from_millis(10)),
        ..UserClass::new("Tester", ENDPOINTS, scenario)
    }
}

fn run(class: &'static UserClass, server: &Server, load: &str) -> Result<Outcome, RunError> {
    let _one_run = ONE_RUN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let settings = Settings::new(plan(class, load), Sla::empty(), server.host());
    Runtime::new().unwrap().block_on(run::run(&settings))
}

fn plan(class: &'static UserClass, load: &str) -> Plan {
    let text = format!(
        "name = \"t\"\n{load}\nthresholds = [\"p95 < 1s\"]\n[[class]]\nname = \"{}\"\n",
        class.name
    );
    let profile = Profile::parse(&Harness::new("test").class(class), "t.toml", &text).unwrap();
    let mut plan = Plan::new(&profile, &Overrides::default()).unwrap();
    plan.timeout = Duration::from_secs(5);
    plan
}

async fn get(user: &mut GooseUser, endpoint: &'static Endpoint) -> TransactionResult {
    let path = endpoint.name.split_once(' ').unwrap().1;
    Session::get(user)?.client.send(Request::get(endpoint, path)).await;
    Ok(())
}

async fn start(user: &mut GooseUser) -> TransactionResult {
    get(user, &START).await
}

async fn a(user: &mut GooseUser) -> TransactionResult {
    get(user, &A).await
}

async fn b(user: &mut GooseUser) -> TransactionResult {
    get(user, &B).await
}

async fn c(user: &mut GooseUser) -> TransactionResult {
    get(user, &C).await
}

async fn stop(user: &mut GooseUser) -> TransactionResult {
    get(user, &STOP).await
}

async fn sleep_long(user: &mut GooseUser) -> TransactionResult {
    get(user, &A).await?;
    sleep(Duration::from_secs(300)).await;
    get(user, &B).await
}

async fn get_with_goose(user: &mut GooseUser) -> TransactionResult {
    // The result is ignored, so only the client can detect it.
    let _ = user.get("/past").await;
    Ok(())
}

fn server() -> Server {
    Server::start(|_| Reply::new(200, "{}").header("content-type", "application/json"))
}

fn lines(server: &Server) -> Vec<String> {
    let received = server.received();
    assert!(
        received
            .iter()
            .all(|request| request.body.is_empty() && request.header("cookie").is_empty())
    );
    received.into_iter().map(|request| request.line).collect()
}

#[test]
fn on_start_and_on_stop_tasks_run_once_for_each_user() {
    static CLASS: UserClass = class(&|| {
        Ok(Scenario::new("Tester")
            .register_transaction(transaction!(start).set_on_start())
            .register_transaction(transaction!(a))
            .register_transaction(transaction!(stop).set_on_stop()))
    });
    for load in [CLOSED, OPEN] {
        let server = server();
        run(&CLASS, &server, load).unwrap();
        let lines = lines(&server);
        assert_eq!(lines.first().unwrap(), "GET /start", "{load}");
        assert_eq!(lines.last().unwrap(), "GET /stop", "{load}");
        let tasks = &lines[1..lines.len() - 1];
        assert!(tasks.len() > 5 && tasks.iter().all(|line| line == "GET /a"), "{load}: {lines:?}");
    }
}

#[test]
fn sequenced_tasks_run_in_their_order_and_as_often_as_their_weights() {
    static CLASS: UserClass = class(&|| {
        Ok(Scenario::new("Tester")
            .register_transaction(transaction!(c))
            .register_transaction(transaction!(b).set_sequence(2))
            .register_transaction(transaction!(a).set_sequence(1).set_weight(2)?))
    });
    for load in [CLOSED, OPEN] {
        let server = server();
        run(&CLASS, &server, load).unwrap();
        let expected = ["GET /a", "GET /a", "GET /b", "GET /c"].repeat(2);
        assert_eq!(lines(&server)[..8], expected, "{load}");
    }
}

#[test]
fn tasks_are_picked_by_weight() {
    static CLASS: UserClass = class(&|| {
        Ok(Scenario::new("Tester")
            .register_transaction(transaction!(a).set_weight(9)?)
            .register_transaction(transaction!(b)))
    });
    let server = server();
    run(&CLASS, &server, "model = \"open\"\nusers = 5\nrate = 400\nrun_time = \"2s\"").unwrap();
    let of_b = server.received_at("GET /b").len();
    // 80 of 800 expected with a standard deviation of 8.5; the bounds are six of them away.
    assert!((29..=131).contains(&of_b), "{of_b}");
}

#[test]
fn a_task_that_sleeps_is_ended_with_the_run() {
    static CLASS: UserClass =
        class(&|| Ok(Scenario::new("Tester").register_transaction(transaction!(sleep_long))));
    for load in [CLOSED, OPEN] {
        let server = server();
        let started = Instant::now();
        let outcome = run(&CLASS, &server, load).unwrap();
        assert!(started.elapsed() < Duration::from_secs(60), "{load}: {:?}", started.elapsed());
        assert_eq!(outcome.ended, Ended::AsPlanned);
        assert_eq!(lines(&server)[0], "GET /a");
        assert!(server.received_at("GET /b").is_empty());
    }
}

#[test]
fn a_setting_without_effect_is_refused_before_the_first_request() {
    static WEIGHT: UserClass =
        class(&|| Scenario::new("Tester").register_transaction(transaction!(a)).set_weight(2));
    static HOST: UserClass = class(&|| {
        Ok(Scenario::new("Tester").register_transaction(transaction!(a)).set_host("http://x.test"))
    });
    static WAIT: UserClass = class(&|| {
        let wait = Duration::from_secs(1);
        Scenario::new("Tester").register_transaction(transaction!(a)).set_wait_time(wait, wait)
    });
    static EMPTY: UserClass =
        class(&|| Ok(Scenario::new("Tester").register_transaction(transaction!(a).set_on_start())));
    let server = server();
    for (class, reason) in
        [(&WEIGHT, "weight"), (&HOST, "host"), (&WAIT, "wait time"), (&EMPTY, "no task")]
    {
        for load in [CLOSED, OPEN] {
            let error = run(class, &server, load).unwrap_err().to_string();
            assert!(error.contains("Tester") && error.contains(reason), "{error}");
        }
    }
    assert!(server.received().is_empty());
}

#[test]
fn a_request_with_the_client_of_goose_is_an_error_and_never_arrives() {
    static CLASS: UserClass =
        class(&|| Ok(Scenario::new("Tester").register_transaction(transaction!(get_with_goose))));
    for load in [CLOSED, OPEN] {
        let server = server();
        let error = run(&CLASS, &server, load).unwrap_err().to_string();
        assert!(error.contains(&server.host()) && error.contains("not measured"), "{error}");
        assert!(server.received().is_empty(), "{load}");
    }
}

/// Starts a worker in this process, which has joined a master.
async fn start_worker(
    class: &'static UserClass,
    server: &Server,
) -> (JoinHandle<Result<(), WorkerError>>, FakeMaster) {
    let mut master = FakeMaster::start().await;
    let worker = tokio::spawn(worker::run(worker::Settings {
        plan: plan(class, CLOSED),
        sla: Sla::empty(),
        service: Service::default(),
        host: server.host(),
        allow_remote: false,
        password: None,
        options: ClassOptions::default(),
        master: format!("127.0.0.1:{}", master.port),
        master_timeout: Duration::from_secs(60),
        search_timeout: Duration::from_secs(60),
        node_id: "worker".into(),
    }));
    master.join().await;
    (worker, master)
}

#[test]
fn a_worker_replaces_a_user_that_panicked() {
    static CLASS: UserClass =
        class(&|| Ok(Scenario::new("Tester").register_transaction(transaction!(panic_once))));
    let _one_run = ONE_RUN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let server = server();
    Runtime::new().unwrap().block_on(async {
        let (worker, mut master) = start_worker(&CLASS, &server).await;
        master.order(&[("Tester", 1)], 30.0).await;
        let exception = master.until("exception").await;
        assert_eq!(field(&exception, "msg").as_str(), Some("a user panicked: boom"));
        let is_replaced = || server.received().iter().any(|request| request.line == "GET /a");
        let began = Instant::now();
        while !is_replaced() {
            let _ = timeout(Duration::from_millis(50), master.next()).await;
            assert!(began.elapsed() < Duration::from_secs(60), "no other user was started");
        }
        worker.abort();
    });
}

async fn panic_once(user: &mut GooseUser) -> TransactionResult {
    static HAS_PANICKED: AtomicBool = AtomicBool::new(false);
    assert!(HAS_PANICKED.swap(true, SeqCst), "boom");
    get(user, &A).await
}

#[test]
fn a_worker_that_has_not_measured_all_requests_ends_with_an_incomplete_outcome() {
    static CLASS: UserClass = class(&|| {
        Ok(Scenario::new("Tester")
            .register_transaction(transaction!(a))
            .register_transaction(transaction!(get_with_goose)))
    });
    let _one_run = ONE_RUN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let server = server();
    Runtime::new().unwrap().block_on(async {
        let (worker, mut master) = start_worker(&CLASS, &server).await;
        master.order(&[("Tester", 1)], 30.0).await;
        master.until_users("Tester", 1).await;
        while server.received().iter().filter(|request| request.line == "GET /a").count() < 20 {
            sleep(Duration::from_millis(10)).await;
        }
        master.send("stop", Value::Nil).await;
        while !worker.is_finished() {
            let _ = timeout(Duration::from_millis(50), master.next()).await;
        }
        let error = worker.await.unwrap().unwrap_err();
        assert!(matches!(error, WorkerError::NotMeasured(_)), "{error}");
        while timeout(Duration::from_millis(50), master.next()).await.is_ok() {}
        let outcome = journal::read_outcome(&master.journal()).unwrap().unwrap();
        assert_eq!(outcome.ended, Ended::Interrupted);
    });
}

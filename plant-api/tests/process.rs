//! Tests of the `plant-api` binary: invalid settings, migrations, SIGTERM, SIGKILL.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

fn plant_api() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plant-api"));
    for name in [
        "DATABASE_URL",
        "REDIS_URL",
        "PLANT_LISTEN",
        "PLANT_ACCESS",
        "PLANT_ADMIN_KEY",
        "JWT_SECRET",
        "ENVIRONMENT",
        "LOG_FILE",
    ] {
        command.env_remove(name);
    }
    command.env("LOG_LEVEL", "info")
}

/// Sets environment variables by value, for chains that end in a `Command`.
trait CommandExt {
    fn env(self, name: &str, value: &str) -> Command;
}

impl CommandExt for Command {
    fn env(mut self, name: &str, value: &str) -> Command {
        Command::env(&mut self, name, value);
        self
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn url(pool: &PgPool) -> String {
    use sqlx::ConnectOptions;
    let options: &PgConnectOptions = &pool.connect_options();
    options.to_url_lossy().to_string()
}

/// Maximum duration of a test; nothing that waits for the service waits longer.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A running service; killed when dropped, or after [`TIMEOUT`].
struct Service {
    child: Child,
    address: String,
    /// The log until the address.
    start_log: String,
    log: BufReader<ChildStderr>,
    _timeout: Sender<()>,
}

impl Service {
    fn start(database: &str) -> Self {
        Self::start_with(database, &[])
    }

    fn start_with(database: &str, arguments: &[&str]) -> Self {
        let mut command = plant_api();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--database-url", database])
            .args(arguments)
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let timeout = kill_after_timeout(child.id());
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut start_log = String::new();
        while !start_log.contains("listening") {
            assert_ne!(log.read_line(&mut start_log).unwrap(), 0, "the service exited early");
        }
        let address = start_log.trim().rsplit('=').next().unwrap().to_owned();
        Self { child, address, start_log, log, _timeout: timeout }
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn get(&self, path: &str) -> String {
        let mut response = String::new();
        let request = format!("GET {path} HTTP/1.1\r\nhost: plant\r\nconnection: close\r\n\r\n");
        self.send(&request).read_to_string(&mut response).unwrap();
        response
    }

    fn signal(&self, name: &str) {
        assert!(kill(name, self.child.id()));
    }

    fn wait_for_log(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "`{text}` was never logged");
        }
    }
}

/// Sends a signal; returns whether the process existed.
fn kill(signal: &str, pid: u32) -> bool {
    Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success()
}

/// Kills a process after [`TIMEOUT`], unless the result is dropped before.
fn kill_after_timeout(pid: u32) -> Sender<()> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        if receiver.recv_timeout(TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            kill("-KILL", pid);
        }
    });
    sender
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn all_invalid_settings_are_listed_at_once() {
    let output = plant_api()
        .env("PLANT_LISTEN", "nowhere")
        .env("ENVIRONMENT", "production")
        .args(["serve"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = stderr(&output);
    for name in ["PLANT_LISTEN", "DATABASE_URL", "PLANT_ACCESS", "JWT_SECRET"] {
        assert!(stderr.contains(name), "{stderr}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_database_without_schema_is_rejected_with_a_hint(pool: PgPool) {
    let output = plant_api()
        .args(["serve", "--listen", "127.0.0.1:0", "--database-url", &url(&pool)])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("plant-api migrate"), "{}", stderr(&output));
}

/// Starts a port that closes all connections, and from `is_open` on forwards them to the server of `pool`.
/// Returns the number of the port.
fn start_forwarding(pool: &PgPool, is_open: Arc<AtomicBool>) -> u16 {
    let options = pool.connect_options();
    let server = format!("{}:{}", options.get_host(), options.get_port());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            if !is_open.load(Ordering::SeqCst) {
                continue;
            }
            let mut server = TcpStream::connect(&server).unwrap();
            let (mut requests, mut to_server) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut requests, &mut to_server));
            std::thread::spawn(move || std::io::copy(&mut server, &mut client));
        }
    });
    port
}

#[sqlx::test(migrations = false)]
async fn a_service_that_starts_without_its_database_recovers(pool: PgPool) {
    use sqlx::ConnectOptions;
    let is_open = Arc::new(AtomicBool::new(false));
    let port = start_forwarding(&pool, is_open.clone());
    let options = (*pool.connect_options()).clone().host("127.0.0.1").port(port);
    let mut service = Service::start(options.to_url_lossy().as_str());
    assert!(service.get("/readyz").starts_with("HTTP/1.1 503"));
    assert!(service.get("/livez").starts_with("HTTP/1.1 200"));
    let health = service.get("/health");
    assert!(health.starts_with("HTTP/1.1 503") && health.contains("\"unhealthy\""), "{health}");
    assert!(service.get("/api/v1/skills").starts_with("HTTP/1.1 503"));

    // It is not ready with a database that has no tables either.
    is_open.store(true, Ordering::SeqCst);
    service.wait_for_log("plant-api migrate");
    assert!(service.get("/readyz").starts_with("HTTP/1.1 503"));

    let migrated = plant_api().args(["migrate", "--database-url", &url(&pool)]).status().unwrap();
    assert!(migrated.success());
    service.wait_for_log("database connection restored");
    assert!(service.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(service.get("/api/v1/skills").starts_with("HTTP/1.1 200"));
}

#[sqlx::test(migrations = false)]
async fn what_is_only_for_development_is_logged_at_the_start(pool: PgPool) {
    let url = url(&pool);
    assert!(plant_api().args(["migrate", "--database-url", &url]).status().unwrap().success());
    let settings = ["--jwt-secret=test-secret-key", "--redis-url=redis://127.0.0.1:1"];
    let mut service = Service::start_with(&url, &settings);
    assert!(service.start_log.contains("PLANT_ACCESS=open"), "{}", service.start_log);
    assert!(service.start_log.contains("JWT_SECRET is short"), "{}", service.start_log);
    if !service.start_log.contains("Redis unavailable") {
        service.wait_for_log("Redis unavailable");
    }
    assert!(service.get("/health").contains("\"degraded\""));
}

#[sqlx::test(migrations = false)]
async fn concurrent_and_repeated_migrations_succeed(pool: PgPool) {
    let url = url(&pool);
    for _ in 0..2 {
        let children: Vec<_> = (0..3)
            .map(|_| plant_api().args(["migrate", "--database-url", &url]).spawn().unwrap())
            .collect();
        for child in children {
            assert!(child.wait_with_output().unwrap().status.success());
        }
    }
    let service = Service::start(&url);
    assert!(service.get("/health").contains("\"status\":\"healthy\""));
}

#[sqlx::test(migrations = false)]
async fn the_error_for_an_address_in_use_contains_the_address(pool: PgPool) {
    let url = url(&pool);
    assert!(plant_api().args(["migrate", "--database-url", &url]).status().unwrap().success());
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let other_listener = std::net::TcpListener::bind(address).unwrap();
    let output = plant_api()
        .args(["serve", "--listen", &address.to_string(), "--database-url", &url])
        .output()
        .unwrap();
    drop(other_listener);
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    assert!(error.contains(&format!("cannot listen on {address}")), "{error}");
}

#[sqlx::test(migrations = false)]
async fn a_running_request_outlives_sigterm(pool: PgPool) {
    let url = url(&pool);
    assert!(plant_api().args(["migrate", "--database-url", &url]).status().unwrap().success());
    let mut service = Service::start_with(&url, &["--shutdown-grace=0"]);
    let body = r#"{"name":"Sales"}"#;
    let head = format!(
        "POST /api/v1/industries HTTP/1.1\r\nhost: plant\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = service.send(&head);
    // After this response the handler waits for the body.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100"));
    service.signal("-TERM");
    service.wait_for_log("listeners closed");
    assert!(TcpStream::connect(&service.address).is_err());
    stream.write_all(body.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 201"), "{response}");
    assert!(response.contains("\r\nconnection: close\r\n"), "{response}");
    assert!(service.child.wait().unwrap().success());
}

/// Waits until a transaction waits for an advisory lock in this database.
async fn wait_for_lock(pool: &PgPool) {
    let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted
        and database = (select oid from pg_database where datname = current_database())";
    let wait = async {
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(pool).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, wait).await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn a_stop_waits_for_a_commit_whose_client_is_gone(pool: PgPool) {
    let url = url(&pool);
    assert!(plant_api().args(["migrate", "--database-url", &url]).status().unwrap().success());
    // The commit waits until this test releases the lock.
    sqlx::raw_sql(
        "create function wait() returns trigger language plpgsql as
             'begin perform pg_advisory_xact_lock_shared(1); return null; end';
         create constraint trigger wait after insert on industry
             deferrable initially deferred for each row execute function wait();",
    )
    .execute(&pool)
    .await
    .unwrap();
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(1)").execute(&mut *lock).await.unwrap();
    let mut service = Service::start_with(&url, &["--shutdown-grace=0"]);
    let client = service.send(&create_industry());
    wait_for_lock(&pool).await;
    drop(client);
    service.signal("-TERM");
    service.wait_for_log("connections drained");
    // The lock is kept, so that the time limit of the wait shows that there is one.
    service.wait_for_log("stopping with commits in progress");
    lock.rollback().await.unwrap();
    assert!(service.child.wait().unwrap().success());
    let created = sqlx::query_scalar::<_, i64>("select count(*) from industry").fetch_one(&pool);
    assert_eq!(created.await.unwrap(), 1);
}

/// Returns a request that creates the industry `Sales`.
fn create_industry() -> String {
    let body = r#"{"name":"Sales"}"#;
    format!(
        "POST /api/v1/industries HTTP/1.1\r\nhost: plant\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[sqlx::test(migrations = false)]
async fn acknowledged_writes_survive_sigkill(pool: PgPool) {
    let url = url(&pool);
    assert!(plant_api().args(["migrate", "--database-url", &url]).status().unwrap().success());
    let service = Service::start(&url);
    let mut response = String::new();
    service.send(&create_industry()).read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 201"), "{response}");
    service.signal("-KILL");
    drop(service);
    assert!(Service::start(&url).get("/api/v1/industries").contains("\"Sales\""));
}

#[sqlx::test(migrations = false)]
async fn after_sigterm_requests_are_served_but_readyz_is_503(pool: PgPool) {
    let url = url(&pool);
    assert!(plant_api().args(["migrate", "--database-url", &url]).status().unwrap().success());
    let mut service = Service::start_with(&url, &["--shutdown-grace=600"]);
    assert!(service.get("/readyz").starts_with("HTTP/1.1 200"));
    service.signal("-TERM");
    service.wait_for_log("stopping");
    assert!(service.get("/readyz").starts_with("HTTP/1.1 503"));
    assert!(service.get("/api/v1/industries").starts_with("HTTP/1.1 200"));
    // The second signal does not wait for the grace period.
    service.signal("-TERM");
    assert_eq!(service.child.wait().unwrap().code(), Some(130));
}

/// Sends requests on kept connections until new ones are refused. Returns the numbers of responses
/// and of connections that ended without announcement.
fn send_requests(address: &str) -> (usize, usize) {
    let (mut responses, mut lost) = (0, 0);
    while let Ok(mut stream) = TcpStream::connect(address) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let sent = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: plant\r\n\r\n");
            let (mut line, mut announced) = (String::new(), false);
            while sent.is_ok()
                && !line.ends_with("live\n")
                && reader.read_line(&mut line).unwrap_or(0) > 0
            {
                announced |= line.ends_with("connection: close\r\n");
            }
            let complete = line.ends_with("live\n");
            responses += usize::from(complete);
            lost += usize::from(!complete);
            if announced || !complete {
                break;
            }
        }
    }
    (responses, lost)
}

#[sqlx::test(migrations = false)]
async fn a_stop_under_load_loses_no_request(pool: PgPool) {
    let url = url(&pool);
    assert!(plant_api().args(["migrate", "--database-url", &url]).status().unwrap().success());
    for _ in 0..2 {
        let mut service = Service::start_with(&url, &["--shutdown-grace=1"]);
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let address = service.address.clone();
                std::thread::spawn(move || send_requests(&address))
            })
            .collect();
        service.signal("-TERM");
        service.wait_for_log("connections drained");
        for client in clients {
            let (responses, lost) = client.join().unwrap();
            assert!(responses > 0 && lost == 0, "{responses} responses, {lost} lost");
        }
        assert!(service.child.wait().unwrap().success());
    }
}

/// Sends a POST with a JSON body and returns the response.
fn post(service: &Service, path: &str, token: &str, body: &str) -> String {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: plant\r\nconnection: close\r\nauthorization: {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut response = String::new();
    service.send(&request).read_to_string(&mut response).unwrap();
    response
}

#[sqlx::test(migrations = false)]
async fn a_payment_ends_although_the_service_is_killed(pool: PgPool) {
    let url = url(&pool);
    assert!(plant_api().args(["migrate", "--database-url", &url]).status().unwrap().success());
    let service = Service::start_with(&url, &["--payment-delay-ms=2000"]);
    let credentials = r#"{"email":"asha@lotus.example","password":"eleven apples"}"#;
    // Registration and login ignore an empty header, as they need no token.
    assert!(post(&service, "/api/v1/auth/register", "", credentials).contains("\"id\""));
    let login = post(&service, "/api/v1/auth/login", "", credentials);
    let token = login.split("\"access_token\":\"").nth(1).unwrap().split('"').next().unwrap();
    let payment = r#"{"plan_id":"pro","currency":"EUR"}"#;
    let token = format!("Bearer {token}");
    let created = post(&service, "/api/v1/payments/create", &token, payment);
    assert!(created.starts_with("HTTP/1.1 201"), "{created}");
    service.signal("-KILL");
    drop(service);

    let _service = Service::start_with(&url, &["--payment-delay-ms=0"]);
    let ended =
        "select count(*) from payment where status not in ('pending', 'waiting_for_capture')";
    let wait = async {
        while sqlx::query_scalar::<_, i64>(ended).fetch_one(&pool).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, wait).await.unwrap();
}

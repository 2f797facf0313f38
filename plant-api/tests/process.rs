//! The real binary: bad settings, migrations, SIGTERM, SIGKILL.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

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

trait Then {
    fn env(self, name: &str, value: &str) -> Command;
}

impl Then for Command {
    fn env(mut self, name: &str, value: &str) -> Command {
        Command::env(&mut self, name, value);
        self
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn url(pool: &PgPool) -> String {
    use sqlx::ConnectOptions;
    let options: &PgConnectOptions = &pool.connect_options();
    options.to_url_lossy().to_string()
}

/// A running service; killed when dropped.
struct Service {
    child: Child,
    address: String,
    log: BufReader<ChildStderr>,
}

impl Service {
    fn start(database: &str) -> Self {
        let mut command = plant_api();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--database-url", database])
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "the service ended early");
        }
        let address = line.trim().rsplit('=').next().unwrap().to_owned();
        Self { child, address, log }
    }

    fn ask(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn get(&self, path: &str) -> String {
        let mut answer = String::new();
        let request = format!("GET {path} HTTP/1.1\r\nhost: plant\r\nconnection: close\r\n\r\n");
        self.ask(&request).read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    fn wait_for(&mut self, words: &str) {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "never said `{words}`");
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn bad_settings_are_listed_all_at_once() {
    let output = plant_api()
        .env("PLANT_LISTEN", "nowhere")
        .env("ENVIRONMENT", "production")
        .args(["serve"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = text(&output);
    for name in ["PLANT_LISTEN", "DATABASE_URL", "PLANT_ACCESS", "JWT_SECRET"] {
        assert!(text.contains(name), "{text}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_database_without_schema_is_refused_with_advice(pool: PgPool) {
    let output = plant_api()
        .args(["serve", "--listen", "127.0.0.1:0", "--database-url", &url(&pool)])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("plant-api migrate"), "{}", text(&output));
}

#[sqlx::test(migrations = false)]
async fn several_may_migrate_at_once_and_again(pool: PgPool) {
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
async fn a_taken_address_is_named(pool: PgPool) {
    let url = url(&pool);
    assert!(plant_api().args(["migrate", "--database-url", &url]).status().unwrap().success());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let holder = std::net::TcpListener::bind(taken).unwrap();
    let output = plant_api()
        .args(["serve", "--listen", &taken.to_string(), "--database-url", &url])
        .output()
        .unwrap();
    drop(holder);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains(&format!("cannot listen on {taken}")), "{}", text(&output));
}

#[sqlx::test(migrations = false)]
async fn a_running_request_outlives_sigterm(pool: PgPool) {
    let url = url(&pool);
    assert!(plant_api().args(["migrate", "--database-url", &url]).status().unwrap().success());
    let mut service = Service::start(&url);
    let body = r#"{"name":"Sales"}"#;
    let head = format!(
        "POST /api/v1/industries HTTP/1.1\r\nhost: plant\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = service.ask(&head);
    // The handler waits for the body once it has said so.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"));
    service.signal("-TERM");
    service.wait_for("stopping");
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(service.child.wait().unwrap().success());
}

#[sqlx::test(migrations = false)]
async fn what_was_acknowledged_outlives_sigkill(pool: PgPool) {
    let url = url(&pool);
    assert!(plant_api().args(["migrate", "--database-url", &url]).status().unwrap().success());
    let service = Service::start(&url);
    let body = r#"{"name":"Sales"}"#;
    let request = format!(
        "POST /api/v1/industries HTTP/1.1\r\nhost: plant\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = String::new();
    service.ask(&request).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    service.signal("-KILL");
    drop(service);
    assert!(Service::start(&url).get("/api/v1/industries").contains("\"Sales\""));
}

//! The service under test as profiles describe it: its address, how requests reach it, its health check
//! and its metrics.

mod harness;
mod served;

use std::{
    convert::Infallible,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use axum::{Router, extract::Request, http::StatusCode, response::IntoResponse};
use bytes::Bytes;
use harness::{ProgramOutput, first_line, loadtest, new_test_folder};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use served::Served;
use tokio::{net::TcpListener, runtime::Runtime};

const HEAD: &str = "name = \"test\"\nusers = 2\nspawn_rate = 100\nrun_time = \"2s\"\n";

const CLASS: &str =
    "[[class]]\nname = \"A\"\nwait = \"20ms\"\n[[class.task]]\nrequest = \"GET /items\"\n";

/// Runs a profile with these `thresholds` and this table `[target]`, with further `options`.
fn run(test: &str, thresholds: &str, target: &str, options: &[&str]) -> ProgramOutput {
    let folder = new_test_folder(test);
    let profile = format!("{HEAD}thresholds = {thresholds}\n[target]\n{target}\n{CLASS}");
    fs::write(folder.join("test.toml"), profile).unwrap();
    let mut arguments = vec!["run", "test.toml", "--json", "out.json", "--quiet"];
    arguments.extend(options);
    loadtest(&folder, &arguments)
}

#[test]
fn an_address_to_which_no_path_can_be_appended_is_refused_everywhere() {
    let folder = new_test_folder("address");
    let profile = format!("{HEAD}thresholds = [\"p95 < 1s\"]\n{CLASS}");
    fs::write(folder.join("test.toml"), &profile).unwrap();
    for (host, message) in [
        ("http://127.0.0.1:1/?x=1", "no query"),
        ("http://127.0.0.1:1/#x", "no fragment"),
        ("http://me:s3cret@127.0.0.1:1", "no user and password"),
    ] {
        let in_profile = format!("{profile}[target]\nhost = \"{host}\"\n");
        fs::write(folder.join("host.toml"), in_profile).unwrap();
        for arguments in [
            &["run", "test.toml", "--host", host][..],
            &["run", "test.toml", "--dry-run", "--host", host],
            &["capacity", "test.toml", "--host", host],
            &["locustfile", "test.toml", "--host", host],
            &["run", "host.toml"],
            &["validate", "host.toml"],
        ] {
            let output = loadtest(&folder, arguments);
            assert_eq!(output.exit_code, 2, "{arguments:?}: {}", output.stderr);
            assert!(output.stderr.contains(message), "{arguments:?}: {}", output.stderr);
            assert!(!output.stderr.contains("s3cret"), "{}", output.stderr);
            if arguments[1] == "host.toml" {
                assert!(output.stderr.contains("host.toml:12:8: `host`"), "{}", output.stderr);
            }
        }
    }
}

#[test]
fn headers_of_the_target_reach_health_check_and_metrics() {
    let server = Served::start(Router::new().fallback(async |request: Request| {
        if request.headers().get("x-api-key").is_none_or(|key| key != "k") {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        match request.uri().path() {
            "/metrics" => "jobs 1\n".into_response(),
            _ => "{}".into_response(),
        }
    }));
    let target = "health = \"/up\"\nheaders = { \"X-Api-Key\" = \"k\" }\nmetrics = { queue_depth = \"jobs\" }";
    let thresholds = "[\"errors <= 0%\", \"healthy_after < 5s\", \"queue_depth < 5\"]";
    let output = run("target-headers", thresholds, target, &["--host", &server.host()]);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    let without = run("no-target-headers", thresholds, "", &["--host", &server.host()]);
    assert_eq!(without.exit_code, 2, "the metrics are not mapped: {}", without.stderr);
}

/// A server that knows HTTP/2 only.
fn start_http2() -> (Runtime, String, Arc<AtomicUsize>) {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loads);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
                let _: &hyper::body::Incoming = request.body();
                if request.uri().path() == "/items" {
                    counted.fetch_add(1, SeqCst);
                }
                let body = Full::new(Bytes::from_static(b"jobs 1\n"));
                async { Ok::<_, Infallible>(hyper::Response::new(body)) }
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    (runtime, host, loads)
}

#[test]
fn http2_is_used_for_load_health_check_and_metrics_if_the_profile_says_so() {
    let (_runtime, host, loads) = start_http2();
    let target = "http2 = true\nmetrics = { queue_depth = \"jobs\" }";
    let thresholds = "[\"errors <= 0%\", \"healthy_after < 5s\", \"queue_depth < 5\"]";
    let output = run("http2", thresholds, target, &["--host", &host]);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    assert!(loads.load(SeqCst) > 2);
    let sent = loads.swap(0, SeqCst);
    let http1 = run("http1", "[\"errors <= 0%\"]", "health = false", &["--host", &host]);
    assert_eq!(http1.exit_code, 1, "{sent}: {}", http1.stdout);
    assert_eq!(loads.load(SeqCst), 0);
}

#[test]
fn a_metric_that_can_never_be_measured_is_a_mistake_of_the_file() {
    let folder = new_test_folder("never-measured");
    let sla = "name = \"x\"\n[[threshold]]\nfail = [\"redis_connections < 5\"]\n\
               [[threshold]]\nfail = [\"database_connections < 5\"]\noptional = true\n";
    fs::write(folder.join("x.sla.toml"), sla).unwrap();
    let thresholds = "[\n\"queue_depth < 5\",\n\"healthy_after < 5s\",\n\"p95 < 1s\"]";
    let text = |target: &str| {
        format!(
            "{HEAD}sla = \"x.sla.toml\"\nthresholds = {thresholds}\n[target]\n{target}\n{CLASS}"
        )
    };
    fs::write(folder.join("test.toml"), text("metrics = false\nhealth = false")).unwrap();
    let output = loadtest(&folder, &["validate", "test.toml"]);
    assert_eq!(output.exit_code, 2);
    let expected = [
        "x.sla.toml:3:9: `redis_connections` cannot be measured: the profile has no metrics",
        "test.toml:7:1: `queue_depth < 5`: `queue_depth` cannot be measured: the profile has no metrics",
        "test.toml:8:1: `healthy_after < 5s`: `healthy_after` cannot be measured: the profile has no health",
    ];
    // Each with the offending line, and a mark below it.
    assert_eq!(output.stderr.lines().count(), 3 * expected.len(), "{}", output.stderr);
    for (line, expected) in output.stderr.lines().step_by(3).zip(expected) {
        assert!(line.contains(expected), "{line}\n{expected}");
    }
    let mapped = "metrics = { queue_depth = \"jobs\", redis_connections = \"redis\" }";
    fs::write(folder.join("test.toml"), text(mapped)).unwrap();
    let output = loadtest(&folder, &["validate", "test.toml"]);
    assert_eq!(output.exit_code, 0, "{}", output.stderr);
}

#[test]
fn a_metric_that_the_service_does_not_export_stops_the_run_before_the_load() {
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loads);
    let server = Served::start(Router::new().fallback(async move |request: Request| {
        if request.uri().path() == "/items" {
            counted.fetch_add(1, SeqCst);
        }
        "jobs{queue=\"mail\"} 1\nredis NaN\n"
    }));
    let target = "metrics = { queue_depth = 'jobs{queue=\"sms\"}', redis_connections = \"redis\" }";
    let options = ["--host", &server.host(), "--threshold", "redis_connections < 5"];
    let thresholds = "[\"p95 < 1s\",\n\"queue_depth < 5\", \"cpu < 100%\"]";
    let output = run("not-exported", thresholds, target, &options);
    assert_eq!((output.exit_code, loads.load(SeqCst)), (2, 0), "{}", output.stderr);
    let expected = "test.toml:6:1: `queue_depth < 5`: `queue_depth` cannot be measured: the response of \
                    GET /metrics has no number for the series `jobs{queue=\"sms\"}`";
    assert!(output.stderr.contains(expected), "{}", output.stderr);
    assert!(!output.stderr.contains("`cpu`"), "the process is on this machine: {}", output.stderr);
    assert!(output.outcome.is_none(), "there was no run");
    let output = run("not-exported-2", "[\"p95 < 1s\"]", target, &options);
    assert_eq!((output.exit_code, loads.load(SeqCst)), (2, 0), "{}", output.stderr);
    let expected = "--threshold `redis_connections < 5`: `redis_connections` cannot be measured";
    assert!(output.stderr.contains(expected), "{}", output.stderr);

    let folder = harness::test_folder("not-exported");
    let sla = "name = \"x\"\noptional = [\"queue_depth\"]\n\
               [[threshold]]\nfail = [\"queue_depth < 5\", \"errors < 50%\"]\n";
    fs::write(folder.join("x.sla.toml"), sla).unwrap();
    let host = server.host();
    let optional = ["run", "test.toml", "--quiet", "--sla", "x.sla.toml", "--host", &host];
    let output = loadtest(&folder, &optional);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    assert!(loads.load(SeqCst) > 0);
}

#[test]
fn an_sla_file_is_relative_to_its_profile() {
    let folder = new_test_folder("relative-sla");
    fs::create_dir_all(folder.join("profiles/sla")).unwrap();
    let sla = "name = \"x\"\n[[threshold]]\nfail = [\"p95 < 1s\"]\n";
    fs::write(folder.join("profiles/sla/x.toml"), sla).unwrap();
    let profile = format!("{HEAD}sla = \"sla/x.toml\"\n{CLASS}");
    fs::write(folder.join("profiles/test.toml"), &profile).unwrap();
    let output = loadtest(&folder, &["validate", "profiles/test.toml"]);
    assert_eq!(output.exit_code, 0, "{}", output.stderr);
    assert!(output.stdout.contains("1 thresholds from profiles/sla/x.toml"), "{}", output.stdout);
    fs::write(folder.join("test.toml"), &profile).unwrap();
    let output = loadtest(&folder, &["validate", "test.toml"]);
    assert_eq!(output.exit_code, 2);
    let expected = "test.toml:5:7: `sla/x.toml` is neither a built-in SLA nor a file";
    assert!(output.stderr.contains(expected), "{}", output.stderr);
}

#[test]
fn the_tags_of_steps_of_one_name_are_judged_together() {
    let server =
        Served::start(Router::new().fallback(
            async |request: Request| match request.uri().path() {
                "/items/2" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                _ => "{}".into_response(),
            },
        ));
    let folder = new_test_folder("tags-of-one-name");
    let task = |item: u8, tags: &str| {
        format!(
            "[[class.task]]\nrequest = \"GET /items/{item}\"\nname = \"GET /items/{{id}}\"\n{tags}"
        )
    };
    let classes = task(1, "") + &task(2, "tags = [\"critical\"]\n");
    let profile = format!(
        "{HEAD}thresholds = [\"tag critical: errors < 5%\"]\n[[class]]\nname = \"A\"\nwait = \"20ms\"\n\
         {classes}"
    );
    fs::write(folder.join("test.toml"), profile).unwrap();
    let arguments = ["run", "test.toml", "--quiet", "--verbose", "--host", &server.host()];
    let output = loadtest(&folder, &arguments);
    assert_eq!(output.exit_code, 1, "{}{}", output.stdout, output.stderr);
    assert!(first_line(&output).starts_with("FAIL: tag critical: errors"), "{}", output.stdout);
}

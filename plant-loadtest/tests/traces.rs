//! The traces of requests, from what a service receives to the reports.

#[expect(dead_code, reason = "these tests use a part of it")]
mod harness;
#[expect(dead_code, reason = "these tests use a part of it")]
mod recording_server;

use std::{collections::BTreeMap, fs};

use harness::{ProgramOutput, loadtest, new_test_folder, test_folder};
use recording_server::{Received, Reply, Server};

/// Runs a profile against a server, with this table `[target]`, these headers of its requests and these
/// options. Returns the requests to `/items` that the server received.
fn run(
    test: &str,
    target: &str,
    headers: &str,
    options: &[&str],
) -> (ProgramOutput, Vec<Received>) {
    let server = Server::start(|_| Reply::new(200, "[]").header("x-request-id", "r-1"));
    let folder = new_test_folder(test);
    let profile = format!(
        "name = \"test\"\nusers = 2\nspawn_rate = 100\nrun_time = \"2s\"\nthresholds = [\"p95 < 1s\"]\n\
         [target]\nhost = \"{}\"\n{target}\n[[class]]\nname = \"A\"\nwait = \"20ms\"\n\
         [[class.task]]\nrequest = \"GET /items\"\n{headers}\n",
        server.host()
    );
    fs::write(folder.join("test.toml"), profile).unwrap();
    let mut arguments = vec!["run", "test.toml", "--json", "out.json", "--html", "out.html"];
    arguments.extend(["--quiet", "--verbose"]);
    arguments.extend(options);
    let output = loadtest(&folder, &arguments);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    let received = server.received_at("GET /items");
    assert!(!received.is_empty());
    (output, received)
}

/// Returns trace ids with their flags.
fn traces(received: &[Received]) -> BTreeMap<String, String> {
    let parts = received.iter().map(|request| {
        let parts: Vec<&str> = request.header("traceparent").split('-').collect();
        let [version, trace, span, flags] = parts[..] else { panic!("{request:?}") };
        assert_eq!((version, trace.len(), span.len()), ("00", 32, 16), "{request:?}");
        (trace.to_owned(), flags.to_owned())
    });
    parts.collect()
}

#[test]
fn the_reports_name_the_traces_of_the_slowest_requests() {
    let test = "traces-slowest";
    let (output, received) = run(test, "traces = 1", "", &[]);
    let sent = traces(&received);
    assert_eq!(sent.len(), received.len(), "each request has a trace of its own");
    assert!(sent.values().all(|flags| flags == "01"));
    let slowest = &output.outcome.as_ref().unwrap().endpoints[0].slowest;
    assert_eq!(slowest.len(), 5);
    assert!(slowest.is_sorted_by(|slower, faster| slower.latency_ms >= faster.latency_ms));
    assert!(slowest.iter().all(|request| request.sampled && request.status == Some(200)));
    assert!(slowest.iter().all(|request| sent.contains_key(&request.trace_id)));
    assert!(output.stdout.contains(&slowest[0].trace_id), "{}", output.stdout);
    let html = fs::read_to_string(test_folder(test).join("out.html")).unwrap();
    assert!(slowest.iter().all(|request| html.contains(&request.trace_id)));
}

#[test]
fn the_share_of_sampled_requests_can_be_given_on_the_command_line() {
    let (output, received) = run("traces-none-sampled", "traces = 1", "", &["--traces", "0"]);
    assert!(traces(&received).values().all(|flags| flags == "00"));
    let slowest = &output.outcome.as_ref().unwrap().endpoints[0].slowest;
    assert!(slowest.len() == 5 && slowest.iter().all(|request| !request.sampled));
}

/// Checks that the slowest requests have the id of their responses, and no trace.
fn assert_found_by_request_id(output: &ProgramOutput) {
    let slowest = &output.outcome.as_ref().unwrap().endpoints[0].slowest;
    assert_eq!(slowest.len(), 5);
    for request in slowest {
        assert_eq!((request.trace_id.as_str(), request.request_id.as_deref()), ("", Some("r-1")));
    }
}

#[test]
fn a_service_that_must_not_get_traces_gets_none() {
    for (test, target, options) in
        [("traces-off", "traces = false", &[][..]), ("traces-off-option", "", &["--traces", "off"])]
    {
        let (output, received) = run(test, target, "", options);
        assert!(received.iter().all(|request| request.header("traceparent").is_empty()));
        assert_found_by_request_id(&output);
        assert!(!output.stdout.contains("trace"), "{}", output.stdout);
    }
}

#[test]
fn a_header_of_the_profile_takes_precedence() {
    let header = "headers = { traceparent = \"mine\" }";
    for (test, target, step) in [("traces-target", header, ""), ("traces-step", "", header)] {
        let (output, received) = run(test, target, step, &[]);
        assert!(received.iter().all(|request| request.header("traceparent") == "mine"));
        assert_found_by_request_id(&output);
    }
}

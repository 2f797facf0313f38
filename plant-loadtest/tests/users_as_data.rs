//! User classes that are defined in a profile, against a server that keeps what it received.

mod harness;
mod recording_server;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::{Duration, Instant},
};

use harness::{ProgramOutput, first_line, loadtest, new_test_folder};
use plant_loadtest::outcome::{Counts, EndpointResults, Outcome};
use recording_server::{Received, Reply, Server};

/// Profile of 2 users for 2 seconds, up to its classes.
const CLOSED: &str =
    "name = \"test\"\nusers = 2\nspawn_rate = 100\nrun_time = \"2s\"\nsla = \"smoke\"\n";

/// Profile of 20 arrivals per second with 2 users, up to its classes.
const OPEN: &str = "name = \"test\"\nmodel = \"open\"\nusers = 2\nrate = 20\nrun_time = \"2s\"\n\
                    sla = \"smoke\"\n";

fn run_in(folder: &Path, server: &Server, head: &str, classes: &str) -> ProgramOutput {
    fs::write(folder.join("test.toml"), format!("{head}\n{classes}")).unwrap();
    let host = server.host();
    let arguments =
        ["run", "test.toml", "--verbose", "--json", "out.json", "--quiet", "--host", &host];
    loadtest(folder, &arguments)
}

/// Runs a profile and returns its outcome.
fn run(test: &str, server: &Server, head: &str, classes: &str) -> Outcome {
    let output = run_in(&new_test_folder(test), server, head, classes);
    let outcome = output.outcome.unwrap_or_else(|| panic!("{}{}", output.stdout, output.stderr));
    assert!(outcome.tally_all().counts.is_consistent());
    outcome
}

fn endpoint<'o>(outcome: &'o Outcome, name: &str) -> &'o EndpointResults {
    let found = outcome.endpoints.iter().find(|endpoint| endpoint.name == name);
    found.unwrap_or_else(|| panic!("no endpoint {name}"))
}

fn counts(outcome: &Outcome, name: &str) -> Counts {
    endpoint(outcome, name).tally_all().counts
}

const JOURNEY: &str = r#"
[[class]]
name = "Shopper"
wait = "10ms to 20ms"
headers = { Authorization = "Bearer {token}", "X-User" = "{user}" }
feed = { file = "accounts.csv" }

[[class.on_start]]
request = "POST /login"
json = { email = "{email}", password = "secret" }
extract = { token = "/access_token" }

[[class.task]]
request = "GET /me?mail={email}"
name = "GET /me"
expect = { status = 200, json = { "/kind" = "account" } }

[[class.on_stop]]
request = "POST /logout"
expect = { status = 204 }
"#;

/// Logs in, and then requires the token and the cookie of the account that logged in.
fn account_service(request: &Received) -> Reply {
    if request.line == "POST /login" {
        let login: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(login["password"], "secret");
        assert_eq!(request.header("authorization"), "", "there is no token yet");
        let email = login["email"].as_str().unwrap();
        let name = email.split('@').next().unwrap();
        let body = format!("{{\"access_token\":\"token of {name}\"}}");
        return Reply::new(200, body).header("set-cookie", format!("sid={name}; Path=/; HttpOnly"));
    }
    let token = request.header("authorization").strip_prefix("Bearer token of ");
    let cookie = request.header("cookie").strip_prefix("sid=");
    if token.is_none() || token != cookie {
        return Reply::new(401, "");
    }
    match request.line.as_str() {
        "POST /logout" => Reply::new(204, ""),
        _ => Reply::new(200, "{\"kind\":\"account\"}"),
    }
}

fn run_journey(test: &str, head: &str) -> (Server, Outcome) {
    let server = Server::start(account_service);
    let folder = new_test_folder(test);
    fs::write(folder.join("accounts.csv"), "email\nann@x.test\n\"bob+1@x.test\"\n").unwrap();
    let output = run_in(&folder, &server, head, JOURNEY);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    (server, output.outcome.unwrap())
}

#[test]
fn users_log_in_with_their_row_and_keep_token_and_cookie_until_they_stop() {
    let (server, outcome) = run_journey("journey-closed", CLOSED);
    assert_eq!(counts(&outcome, "POST /login").succeeded, 2);
    assert_eq!(counts(&outcome, "POST /logout").succeeded, 2);
    assert!(counts(&outcome, "GET /me").succeeded > 10);
    assert_eq!(outcome.tally_all().counts.errors(), 0);
    let lines: BTreeSet<String> =
        server.received_at("GET /me").into_iter().map(|request| request.line).collect();
    let expected = ["GET /me?mail=ann%40x.test", "GET /me?mail=bob%2B1%40x.test"];
    assert_eq!(lines.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let numbers: BTreeSet<String> =
        server.received().iter().map(|request| request.header("x-user").to_owned()).collect();
    assert_eq!(numbers.iter().map(String::as_str).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(outcome.load.classes[0].users, 2);
}

#[test]
fn in_the_open_model_logins_and_logouts_are_not_part_of_the_load() {
    let (server, outcome) = run_journey("journey-open", OPEN);
    assert_eq!(counts(&outcome, "GET /me").succeeded, 40);
    assert_eq!(counts(&outcome, "POST /login").sent, 0);
    assert_eq!(counts(&outcome, "POST /logout").sent, 0);
    let outside_load = |name| endpoint(&outcome, name).outside_load.succeeded;
    assert_eq!((outside_load("POST /login"), outside_load("POST /logout")), (2, 2));
    assert_eq!(server.received_at("POST /login").len(), 2);
    assert_eq!(server.received_at("POST /logout").len(), 2);
    assert_eq!(outcome.arrivals.iter().map(|cell| cell.scheduled).sum::<u64>(), 40);
}

#[test]
fn every_method_and_body_is_sent_as_written() {
    let server = Server::start(|request| match request.line.as_str() {
        "POST /json" => Reply::new(201, "{\"id\":7,\"ratio\":0.5,\"tag\":\"a b\"}")
            .header("x-id", "h 1")
            .header("set-cookie", "sid=c/2; Path=/"),
        _ => Reply::new(200, ""),
    });
    let classes = r#"
[[class]]
name = "Everything"
variables = { text = "a \"b\"", amount = { integer = [3, 3] }, one = { one_of = [true] } }
headers = { "X-Class" = "class", "X-Both" = "class" }
[[class.task]]
name = "everything"
wait = "8s"
[[class.task.step]]
request = "POST /json"
json = { amount = "{amount}", note = "n {text} {amount}", list = [1, 2.5, "{one}", "x"], "a b" = { "{{text}}" = "{{text}}" } }
extract = { id = "/id", ratio = "/ratio", tag = "/tag", header = "header:X-Id", cookie = "cookie:sid" }
[[class.task.step]]
request = "PUT /form/{id}/{tag}"
form = { a = "{text}&", b = 1, c = "{header}" }
headers = { "X-Both" = "step {id}" }
[[class.task.step]]
request = "PATCH /text"
body = "raw {ratio} {{id}} {not a variable}"
content_type = "text/csv"
[[class.task.step]]
request = "POST /multipart"
multipart = { field = "{text}", number = 5, upload = { file = "a.txt", type = "text/plain" } }
[[class.task.step]]
request = "GET /query?first={tag}"
query = { page = 2, "{{a}}" = 3, tag = "{tag}", cookie = "{cookie}" }
[[class.task.step]]
request = "HEAD /head"
[[class.task.step]]
request = "OPTIONS /options"
[[class.task.step]]
request = "DELETE /items/{id}"
json = { id = "{id}", ratio = "{ratio}" }
"#;
    let folder = new_test_folder("every-body");
    fs::write(folder.join("a.txt"), "line 1\r\nline 2").unwrap();
    let head = CLOSED.replace("users = 2", "users = 1");
    let output = run_in(&folder, &server, &head, classes);
    let received = server.received();
    let lines: Vec<&str> = received.iter().map(|request| request.line.as_str()).collect();
    let expected = [
        "POST /json",
        "PUT /form/7/a%20b",
        "PATCH /text",
        "POST /multipart",
        "GET /query?first=a%20b&page=2&%7Ba%7D=3&tag=a%20b&cookie=c%2F2",
        "HEAD /head",
        "OPTIONS /options",
        "DELETE /items/7",
    ];
    assert_eq!(lines, expected);
    let [json, form, text, multipart, .., delete] = &received[..] else { panic!("{lines:?}") };
    let expected =
        r#"{"amount":3,"note":"n a \"b\" 3","list":[1,2.5,true,"x"],"a b":{"{text}":"{text}"}}"#;
    assert_eq!(json.body, expected);
    assert_eq!(json.header("content-type"), "application/json");
    assert_eq!([json.header("x-class"), json.header("x-both")], ["class", "class"]);
    assert_eq!(form.body, "a=a+%22b%22%26&b=1&c=h+1");
    assert_eq!(form.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!([form.header("x-class"), form.header("x-both")], ["class", "step 7"]);
    assert_eq!(text.body, "raw 0.5 {id} {not a variable}");
    assert_eq!(text.header("content-type"), "text/csv");
    let content_type = multipart.header("content-type");
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"field\"\r\n\r\na \"b\"\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"number\"\r\n\r\n5\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"upload\"; filename=\"a.txt\"\r\n\
         Content-Type: text/plain\r\n\r\nline 1\r\nline 2\r\n--{boundary}--\r\n"
    );
    assert_eq!(multipart.body, expected);
    assert_eq!(delete.body, r#"{"id":7,"ratio":0.5}"#);
    let outcome = output.outcome.unwrap();
    assert_eq!(counts(&outcome, "PUT /form/{id}/{tag}").succeeded, 1);
    assert_eq!(
        outcome.tally_all().counts.sent,
        8,
        "the think time of the task is longer than the run"
    );
}

#[test]
fn a_wrong_value_is_never_a_success() {
    let server = Server::start(|request| match request.line.as_str() {
        "GET /status" => Reply::new(200, "{\"kind\":\"list\"}"),
        "GET /text" => Reply::new(200, "good bye"),
        "GET /extract" => Reply::new(200, "{\"other\":1}"),
        "GET /moved" => Reply::new(302, "").header("location", "/status"),
        _ => Reply::new(200, "[]"),
    });
    let classes = r#"
[[class]]
name = "Judge"
wait = "5ms"
[[class.task]]
request = "GET /status"
expect = { object = ["kind"], json = { "/kind" = "item" } }
[[class.task]]
request = "GET /text"
expect = { contains = "hello" }
[[class.task]]
request = "GET /extract"
extract = { id = "/id" }
[[class.task]]
request = "GET /moved"
[[class.task]]
request = "GET /empty"
expect = { non_empty_array = [] }
[[class.task]]
request = "GET /list"
extract = { item = "/*/id" }
expect = { status = [200, 201], array = ["id"] }
"#;
    let output = run_in(&new_test_folder("wrong-value"), &server, CLOSED, classes);
    assert_eq!(output.exit_code, 1, "{}{}", output.stdout, output.stderr);
    assert!(first_line(&output).starts_with("FAIL"), "{}", output.stdout);
    let outcome = output.outcome.unwrap();
    for endpoint in ["GET /status", "GET /text", "GET /extract", "GET /empty"] {
        let counts = counts(&outcome, endpoint);
        assert_eq!((counts.succeeded, counts.wrong_shapes), (0, counts.sent), "{endpoint}");
    }
    let moved = counts(&outcome, "GET /moved");
    assert_eq!((moved.succeeded, moved.unexpected_statuses), (0, moved.sent));
    let list = counts(&outcome, "GET /list");
    assert_eq!(list.succeeded, list.sent, "an empty list is no failure, it only has no item");
}

#[test]
fn a_task_whose_variable_has_no_value_runs_the_step_that_extracts_it() {
    let lists = AtomicUsize::new(0);
    let server = Server::start(move |request| match request.line.as_str() {
        "GET /items" if lists.fetch_add(1, SeqCst) < 3 => Reply::new(200, "[]"),
        "GET /items" => Reply::new(200, "[{\"id\":1},{\"id\":2}]"),
        _ => Reply::new(200, "{}"),
    });
    let classes = r#"
[[class]]
name = "Reader"
wait = "5ms"
[[class.task]]
weight = 1000
request = "GET /items/{item}"
[[class.task]]
request = "GET /items"
extract = { item = "/*/id" }
"#;
    let head = CLOSED.replace("users = 2", "users = 1");
    let outcome = run("missing-variable", &server, &head, classes);
    let received = server.received();
    let lists = received.iter().take_while(|request| request.line == "GET /items").count();
    assert_eq!(lists, 4, "three empty lists, then one with items");
    assert!(["GET /items/1", "GET /items/2"].contains(&received[4].line.as_str()));
    assert_eq!(outcome.tally_all().counts.errors(), 0);
    assert!(counts(&outcome, "GET /items").sent >= 4);
    assert_eq!(endpoint(&outcome, "GET /items/{item}").skipped, 3);
    assert_eq!(endpoint(&outcome, "GET /items").skipped, 0);
}

#[test]
fn a_task_that_never_runs_is_no_pass() {
    let server = Server::start(|request| match request.line.as_str() {
        "GET /items" => Reply::new(200, "[]"),
        _ => Reply::new(500, ""),
    });
    let classes = r#"
[[class]]
name = "Reader"
wait = "5ms"
[[class.task]]
request = "GET /items"
extract = { item = "/*/id" }
[[class.task]]
weight = 9
request = "GET /items/{item}"
name = "GET /items/{id}"
[[class.task]]
name = "buy"
[[class.task.step]]
request = "GET /items"
extract = { bought = "/*/id" }
[[class.task.step]]
request = "POST /items/{bought}"
name = "POST /items/{id}"
"#;
    let head = CLOSED.replace("sla = \"smoke\"", "thresholds = [\"errors < 10%\"]");
    let output = run_in(&new_test_folder("never-runs"), &server, &head, classes);
    assert_eq!(output.exit_code, 4, "{}", output.stdout);
    for expected in [
        "GET /items/{id}: errors not measured, threshold < 50 % (never requested)",
        "POST /items/{id}: errors not measured, threshold < 50 % (never requested)",
        "GET /items/{id} was left out ",
        "POST /items/{id} was left out ",
    ] {
        assert!(output.stdout.contains(expected), "{expected}: {}", output.stdout);
    }
}

#[test]
fn a_start_or_a_stop_of_users_that_always_fails_fails_the_run() {
    let server = Server::start(|request| match request.line.as_str() {
        "GET /ok" => Reply::new(200, ""),
        _ => Reply::new(500, ""),
    });
    let classes = r#"
[[class]]
name = "Member"
wait = "20ms"
[[class.on_start]]
request = "POST /login"
[[class.task]]
request = "GET /ok"
[[class.on_stop]]
request = "POST /logout"
"#;
    for (model, head) in [("closed", CLOSED), ("open", OPEN)] {
        // `*` does not include them.
        let head = head.replace("sla = \"smoke\"", "thresholds = [\"*: p95 < 10s\"]");
        let output = run_in(&new_test_folder(&format!("start-{model}")), &server, &head, classes);
        assert_eq!(output.exit_code, 1, "{model}: {}", output.stdout);
        let first = first_line(&output);
        for endpoint in ["POST /login", "POST /logout"] {
            let expected = format!("{endpoint}: errors 100 %, threshold < 50 %");
            assert!(first.contains(&expected), "{model}: {first}");
        }
        assert!(!first.contains("not decidable"), "{model}: {first}");
        // Of the table, of the threshold of `GET /ok`, and of all latencies.
        assert_eq!(output.stdout.matches("P95").count(), 3, "{model}: {}", output.stdout);
        let outcome = output.outcome.unwrap();
        let failures = outcome.failures.iter().filter(|failure| failure.message.contains("500"));
        assert_eq!(failures.map(|failure| failure.count).sum::<u64>(), 4, "{model}");
    }
}

#[test]
fn after_a_401_the_next_task_logs_in_again() {
    let logins = AtomicUsize::new(0);
    let reads = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if request.line == "POST /login" {
            let login = logins.fetch_add(1, SeqCst) + 1;
            return Reply::new(200, format!("{{\"access_token\":\"t{login}\"}}"));
        }
        // The first token expires after five requests.
        let is_expired = reads.fetch_add(1, SeqCst) >= 5;
        match request.header("authorization") {
            "Bearer t1" if !is_expired => Reply::new(200, "{}"),
            "Bearer t2" => Reply::new(200, "{}"),
            _ => Reply::new(401, ""),
        }
    });
    let classes = r#"
[[class]]
name = "Member"
wait = "5ms"
headers = { Authorization = "Bearer {token}" }
[[class.on_start]]
request = "POST /login"
extract = { token = "/access_token" }
[[class.task]]
request = "GET /me"
"#;
    let head = CLOSED.replace("users = 2", "users = 1");
    let outcome = run("expired-token", &server, &head, classes);
    assert_eq!(server.received_at("POST /login").len(), 2);
    let counts = outcome.tally_all().counts;
    assert_eq!((counts.client_errors, counts.errors()), (1, 1), "{counts:?}");
    let lines: Vec<String> =
        server.received().into_iter().map(|request| request.line).take(9).collect();
    assert_eq!(lines[6..9], ["GET /me", "POST /login", "GET /me"]);
}

#[test]
fn a_sequence_runs_in_order_and_ends_with_its_first_failure() {
    let orders = AtomicUsize::new(0);
    let server = Server::start(move |request| match request.line.as_str() {
        "POST /carts" => {
            let cart = orders.fetch_add(1, SeqCst) + 1;
            Reply::new(201, format!("{{\"id\":{cart}}}"))
        }
        "POST /carts/2/items" => Reply::new(500, ""),
        _ => Reply::new(200, "{}"),
    });
    let classes = r#"
[[class]]
name = "Buyer"
[[class.task]]
name = "check out"
[[class.task.step]]
request = "POST /carts"
extract = { cart = "/id" }
wait = "10ms"
[[class.task.step]]
request = "POST /carts/{cart}/items"
json = { item = 1 }
[[class.task.step]]
request = "DELETE /carts/{cart}"
"#;
    let head = CLOSED.replace("users = 2", "users = 1");
    let outcome = run("sequence", &server, &head, classes);
    let lines: Vec<String> =
        server.received().into_iter().map(|request| request.line).take(7).collect();
    let expected = [
        "POST /carts",
        "POST /carts/1/items",
        "DELETE /carts/1",
        "POST /carts",
        "POST /carts/2/items",
        "POST /carts",
        "POST /carts/3/items",
    ];
    assert_eq!(lines, expected);
    assert_eq!(outcome.tally_all().counts.errors(), 1);
}

#[test]
fn a_sleeping_task_does_not_delay_the_end_of_a_run() {
    let server = Server::start(|_| Reply::new(200, "{}"));
    let classes = r#"
[[class]]
name = "Sleeper"
[[class.task]]
[[class.task.step]]
request = "GET /first"
wait = "5m"
[[class.task.step]]
request = "GET /second"
[[class.on_stop]]
request = "POST /logout"
"#;
    for (test, head) in [("sleep-closed", CLOSED), ("sleep-open", OPEN)] {
        let started = Instant::now();
        let outcome = run(test, &server, head, classes);
        // Far less than the five minutes, however slow the machine is.
        assert!(started.elapsed() < Duration::from_secs(60), "{test}: {:?}", started.elapsed());
        assert!(outcome.duration_s < 20.0, "{test}: {}", outcome.duration_s);
        assert_eq!(counts(&outcome, "GET /second").sent, 0);
    }
    assert_eq!(server.received_at("POST /logout").len(), 4, "two users in each run");
}

#[test]
fn a_value_that_no_header_can_have_is_a_failure() {
    let server = Server::start(|_| Reply::new(200, "{\"id\":\"a\\nb\"}"));
    let classes = r#"
[[class]]
name = "A"
wait = "5ms"
[[class.on_start]]
request = "GET /id"
extract = { id = "/id" }
[[class.task]]
request = "GET /items"
headers = { "X-Id" = "{id}" }
"#;
    let outcome = run("header-value", &server, CLOSED, classes);
    assert!(server.received_at("GET /items").is_empty());
    let counts = counts(&outcome, "GET /items");
    assert!(counts.sent > 2 && counts.wrong_shapes == counts.sent, "{counts:?}");
    assert!(outcome.failures[0].message.contains("`x-id`"), "{:?}", outcome.failures);
}

#[test]
fn cookies_belong_to_the_user_of_one_class() {
    let server = Server::start(|request| match request.line.as_str() {
        "GET /a" => Reply::new(200, "{}").header("set-cookie", "sid=a; Path=/"),
        _ => Reply::new(200, "{}"),
    });
    let classes = r#"
[[class]]
name = "A"
[[class.task]]
request = "GET /a"
[[class]]
name = "B"
[[class.task]]
request = "GET /b"
"#;
    run("two-jars", &server, &OPEN.replace("users = 2", "users = 1"), classes);
    let (a, b) = (server.received_at("GET /a"), server.received_at("GET /b"));
    assert!(a.len() > 1 && !b.is_empty(), "{} and {}", a.len(), b.len());
    assert!(a[1..].iter().all(|request| request.header("cookie") == "sid=a"));
    assert!(b.iter().all(|request| request.header("cookie").is_empty()));
}

#[test]
fn rows_of_a_file_are_taken_for_each_run_of_a_task() {
    let server = Server::start(|_| Reply::new(200, "{}"));
    let classes = r#"
[[class]]
name = "Importer"
wait = "5ms"
[[class.task]]
request = "POST /rows/{id}"
feed = { file = "rows.csv" }
variables = { kind = { one_of = ["a"] } }
json = { name = "{name}", kind = "{kind}" }
"#;
    let folder = new_test_folder("task-feed");
    fs::write(folder.join("rows.csv"), "id,name\n1,one\n2,\"two, too\"\n3,\n").unwrap();
    let head = CLOSED.replace("users = 2", "users = 1");
    let output = run_in(&folder, &server, &head, classes);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    let received: Vec<(String, String)> =
        server.received().into_iter().map(|request| (request.line, request.body)).take(4).collect();
    let row =
        |id, name| (format!("POST /rows/{id}"), format!("{{\"name\":\"{name}\",\"kind\":\"a\"}}"));
    assert_eq!(received, [row(1, "one"), row(2, "two, too"), row(3, ""), row(1, "one")]);
}

#[test]
fn the_target_table_sets_base_path_headers_and_cookies() {
    let server = Server::start(|_| Reply::new(200, "{}").header("set-cookie", "sid=1; Path=/"));
    let classes = format!(
        "[target]\nhost = \"{}/base\"\nhealth = \"/ok\"\nheaders = {{ \"X-Api-Version\" = \"2\" }}\n\
         cookies = false\n[[class]]\nname = \"A\"\nwait = \"5ms\"\n[[class.task]]\n\
         request = \"GET /items\"\n",
        server.host()
    );
    let folder = new_test_folder("target-table");
    fs::write(folder.join("test.toml"), format!("{CLOSED}{classes}")).unwrap();
    let output = loadtest(&folder, &["run", "test.toml", "--json", "out.json", "--quiet"]);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    let received = server.received();
    assert!(received.len() > 2);
    for request in received {
        assert_eq!(request.line, "GET /base/items");
        assert_eq!((request.header("x-api-version"), request.header("cookie")), ("2", ""));
    }
}

#[test]
fn twelve_mistakes_in_one_profile_are_twelve_lines() {
    let folder = new_test_folder("twelve-mistakes");
    let profile = r#"name = "x"
users = 2
spawn_rate = 1
run_time = "30s"
sla = "smoke"
[target]
headers = { "a b" = "x" }
[[class]]
name = "Shopper"
wait = "3s to 1s"
feed = { file = "missing.csv" }
headers = { Authorization = "Bearer {tokn}" }
variables = { amount = { integer = [9, 1] } }
[[class.on_start]]
request = "POST /login"
extract = { token = "access_token" }
[[class.task]]
request = "FETCH /items"
[[class.task]]
request = "POST /items"
json = { a = 1 }
body = "b"
[[class.task]]
request = "GET /items"
expect = { status = 99 }
[[class.task]]
request = "PUT items"
[[class.task]]
request = "GET /a/{b}"
extract = { a = "/a" }
[[class.task]]
request = "GET /b/{a}"
extract = { b = "/b" }
colour = "red"
"#;
    fs::write(folder.join("x.toml"), profile).unwrap();
    let expected = [
        (7, "`a b` is not a header name"),
        (10, "`wait`: `3s` is longer than `1s`"),
        (11, "missing.csv"),
        (12, "`{tokn}` is neither built in nor a variable"),
        (13, "the lower one first"),
        (16, "`access_token` is not a JSON pointer"),
        (18, "unknown method `FETCH`"),
        (22, "at most one of `json`, `form`, `body` and `multipart`"),
        (25, "`status` must be a status code"),
        (27, "`items` is not a path"),
        (33, "in a circle (`b` needs `a` needs `b`)"),
        (34, "unknown key `colour`"),
    ];
    for command in [&["validate", "x.toml"][..], &["run", "x.toml", "--dry-run"]] {
        let output = loadtest(&folder, command);
        assert_eq!(output.exit_code, 2);
        let lines: Vec<&str> = errors(&output.stderr).collect();
        assert_eq!(lines.len(), expected.len(), "{}", output.stderr);
        for (line, (number, message)) in lines.into_iter().zip(expected) {
            let place = format!("x.toml:{number}:");
            assert!(line.contains(&place) && line.contains(message), "{place}{message}: {line}");
        }
    }
}

/// Returns the lines of errors, without the excerpts of the file.
fn errors(stderr: &str) -> impl Iterator<Item = &str> {
    stderr.lines().filter(|line| !line.starts_with("    "))
}

#[test]
fn thresholds_of_a_profile_name_its_endpoints_classes_and_tags() {
    let folder = new_test_folder("thresholds-data");
    let head = CLOSED.replace("sla = \"smoke\"\n", "");
    let class = "[[class]]\nname = \"Reader\"\nwait = \"5ms\"\n[[class.task]]\nrequest = \"GET /items\"\n\
                 tags = [\"read\"]\n";
    let thresholds = "thresholds = [\"GET /items: p95 < 20s\", \"class Reader: errors < 20%\", \
                      \"tag read: errors < 20%\"]\n";
    let server = Server::start(|_| Reply::new(200, "{}"));
    let output = run_in(&folder, &server, &format!("{head}{thresholds}"), class);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    // A mistake in the class is no reason for errors in its thresholds.
    let wrong = class.replace("wait = \"5ms\"", "wait = \"soon\"");
    fs::write(folder.join("x.toml"), format!("{head}{thresholds}{wrong}")).unwrap();
    let output = loadtest(&folder, &["validate", "x.toml"]);
    assert_eq!(errors(&output.stderr).count(), 1, "{}", output.stderr);
    assert!(output.stderr.contains("`soon` is not a duration"), "{}", output.stderr);
}

#[test]
fn validate_and_dry_run_know_classes_of_the_profile() {
    let folder = new_test_folder("valid-data");
    fs::write(folder.join("accounts.csv"), "email\na@x.test\n").unwrap();
    fs::write(folder.join("x.toml"), format!("{CLOSED}{JOURNEY}")).unwrap();
    let validated = loadtest(&folder, &["validate", "x.toml"]);
    assert_eq!(validated.exit_code, 0, "{}", validated.stderr);
    let planned = loadtest(&folder, &["run", "x.toml", "--dry-run"]);
    assert_eq!(planned.exit_code, 0, "{}", planned.stderr);
    for expected in ["1 × Shopper", "POST /login", "GET /me\n", "http://127.0.0.1:8080"] {
        assert!(planned.stdout.contains(expected), "{expected}: {}", planned.stdout);
    }
}

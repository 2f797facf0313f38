//! What is accepted and what is refused in the table of a class.

use crate::{client::Shape, harness::Harness, profile::Profile, scenario::UserClass};

/// Number of lines before the class.
const HEAD_LINES: usize = 6;

fn parse(class: &str) -> Result<&'static UserClass, Vec<String>> {
    let text = format!(
        "name = \"x\"\nusers = 1\nspawn_rate = 1\nrun_time = \"2s\"\nthresholds = [\"p95 < 1s\"]\n[[class]]\n{class}"
    );
    match Profile::parse(&Harness::new("test"), "x.toml", &text) {
        Ok(profile) => Ok(profile.classes[0].class),
        Err(error) => Err(error.to_string().lines().map(str::to_owned).collect()),
    }
}

/// Checks that a class is refused with one error in this line, which contains this text.
fn assert_refused(class: &str, line: usize, message: &str) {
    let errors = parse(class).map(|class| class.name).expect_err(class);
    assert_eq!(errors.len(), 1, "{class}\n{errors:?}");
    let place = format!("x.toml:{}: ", HEAD_LINES + line);
    assert!(errors[0].starts_with(&place) && errors[0].contains(message), "{class}\n{errors:?}");
}

/// Returns a class with a task of these lines.
fn task(lines: &str) -> String {
    format!("name = \"A\"\n[[class.task]]\n{lines}\n")
}

#[test]
fn endpoints_have_the_text_of_the_request_or_another_name() {
    let class = parse(
        "name = \"A\"\n[[class.on_start]]\nrequest = \"POST /login\"\n\
         [[class.task]]\nrequest = \"GET /a/{user}\"\n\
         [[class.task]]\nrequest = \"GET /a/{random}\"\nname = \"GET /a/{id}\"\n\
         [[class.task]]\nrequest = \"GET /a/{uuid}\"\nname = \"GET /a/{id}\"\n\
         [[class.on_stop]]\nrequest = \"POST /logout\"\n",
    )
    .unwrap();
    let names: Vec<&str> = class.endpoints.iter().map(|endpoint| endpoint.name).collect();
    assert_eq!(names, ["POST /login", "GET /a/{user}", "GET /a/{id}", "POST /logout"]);
    let scenario = (class.scenario)().unwrap();
    assert_eq!(scenario.transactions.len(), 5);
}

#[test]
fn any_2xx_and_any_body_are_expected_by_default() {
    let endpoint = parse(&task("request = \"GET /\"")).unwrap().endpoints[0];
    assert!(endpoint.expected_statuses.contains(&200) && endpoint.expected_statuses.contains(&299));
    assert!(
        !endpoint.expected_statuses.contains(&199) && !endpoint.expected_statuses.contains(&300)
    );
    assert!(matches!(endpoint.shape, Shape::Any));
    let text = task(
        "request = \"GET /\"\nexpect = { status = [200, 304], object = [], contains = \"a\" }",
    );
    let endpoint = parse(&text).unwrap().endpoints[0];
    assert_eq!(endpoint.expected_statuses, [200, 304]);
    assert!(matches!(endpoint.shape, Shape::All([Shape::Object([]), Shape::Contains("a")])));
}

#[test]
fn an_endpoint_has_the_tags_of_its_step_and_of_its_task() {
    let class = parse(
        "name = \"A\"\n[[class.task]]\nrequest = \"GET /a\"\ntags = [\"read\"]\n\
         [[class.task]]\ntags = [\"buy\"]\n[[class.task.step]]\nrequest = \"POST /b\"\n\
         tags = [\"write\"]\n",
    )
    .unwrap();
    let tags: Vec<_> = class.endpoints.iter().map(|endpoint| endpoint.tags.to_vec()).collect();
    assert_eq!(tags, [vec!["read"], vec!["write", "buy"]]);
}

#[test]
fn steps_of_one_name_are_one_endpoint_with_the_tags_of_all() {
    let class = parse(
        "name = \"A\"\n[[class.task]]\nrequest = \"GET /a/1\"\nname = \"GET /a\"\n\
         [[class.task]]\nrequest = \"GET /a/2\"\nname = \"GET /a\"\ntags = [\"critical\", \"read\"]\n\
         [[class.task]]\nrequest = \"GET /a/3\"\nname = \"GET /a\"\ntags = [\"read\", \"old\"]\n",
    )
    .unwrap();
    let [endpoint] = class.endpoints else { panic!("{:?}", class.endpoints) };
    assert_eq!((endpoint.name, endpoint.tags), ("GET /a", &["critical", "read", "old"][..]));
}

#[test]
fn the_think_time_is_that_of_all_tasks_and_steps_for_each_request() {
    let class = parse(
        "name = \"A\"\nwait = \"1s to 3s\"\n[[class.task]]\nweight = 3\nrequest = \"GET /a\"\n\
         [[class.task]]\nwait = \"500ms\"\n[[class.task.step]]\nrequest = \"GET /b\"\nwait = \"1.5s\"\n\
         [[class.task.step]]\nrequest = \"GET /c\"\n",
    )
    .unwrap();
    // (3 × 1 s + 2 s) ÷ 5 requests, and (3 × 3 s + 2 s) ÷ 5.
    assert_eq!((class.wait.0.as_millis(), class.wait.1.as_millis()), (1000, 2200));
}

#[test]
fn requests_are_checked() {
    for (lines, message) in [
        ("request = \"/items\"", "a method and a path"),
        ("request = \"get /items\"", "unknown method `get`"),
        ("request = \"GET items\"", "must start with one `/`"),
        ("request = \"GET //host/items\"", "must start with one `/`"),
        ("request = \"GET /a b\"", "no spaces"),
        ("request = \"GET /a#b\"", "no spaces"),
        ("request = \"GET /a/{item-id}\"", "`{item-id}` is no placeholder"),
        ("request = \"GET /a/{user}/{b.c}\"", "`{b.c}` is no placeholder"),
        ("request = \"GET /a?b={\u{e4}}\"", "`{\u{e4}}` is no placeholder"),
        ("name = \"GET /\"", "`request` is missing"),
        ("request = 1", "`request` must be a string"),
    ] {
        let line = if lines.starts_with("name") { 2 } else { 3 };
        assert_refused(&task(lines), line, message);
    }
}

#[test]
fn headers_query_and_bodies_are_checked() {
    for (lines, message) in [
        ("headers = { \"a b\" = \"c\" }", "not a header name"),
        ("headers = { a = \"b\\nc\" }", "characters that no header has"),
        ("headers = { a = 1 }", "must be a text"),
        ("headers = { Content-Length = \"1\" }", "the HTTP client sets"),
        ("query = { a = [1] }", "must be a text, a number or a boolean"),
        ("form = { a = { b = 1 } }", "must be a text, a number or a boolean"),
        ("json = { a = nan }", "JSON has no such number"),
        ("json = { a = [{ \"{user}\" = 1 }] }", "`{user}` is not replaced in a key"),
        ("query = { \"{other}\" = 1 }", "the text `{other}` is written `{{other}}`"),
        ("form = { \"a{user}\" = 1 }", "`{user}` is not replaced in a key"),
        ("multipart = { \"{user}\" = 1 }", "`{user}` is not replaced in a key"),
        ("json = 1\nform = { a = 1 }", "at most one of"),
        ("json = 1\ncontent_type = \"text/plain\"", "`content_type` belongs to `body`"),
        ("multipart = { a = { file = \"missing\" } }", "missing"),
        ("multipart = { a = { type = \"text/plain\" } }", "`file` is missing"),
    ] {
        let text = task(&format!("request = \"POST /\"\n{lines}"));
        let line = 4 + usize::from(lines.contains('\n') && !lines.contains("\\n"));
        assert_refused(&text, line, message);
    }
    assert_refused(&task("request = \"HEAD /\"\njson = 1"), 4, "a HEAD request has no body");
}

#[test]
fn expectations_and_extractions_are_checked() {
    for (lines, message) in [
        ("expect = { status = [] }", "`status` must be"),
        ("expect = { status = \"200\" }", "`status` must be"),
        ("expect = { object = [\"a\"], array = [\"b\"] }", "at most one of `object`"),
        ("expect = { object = [1] }", "must be an array of strings"),
        ("expect = { json = { a = 1 } }", "must start with `/`"),
        ("expect = { json = { \"/*\" = 1 } }", "which element"),
        ("expect = { contains = \"{user}\" }", "`{user}` is not replaced here"),
        ("expect = { colour = 1 }", "unknown key `colour`"),
        ("extract = { a = \"b\" }", "not a JSON pointer"),
        ("extract = { a = 1 }", "must be a text"),
        ("extract = { user = \"/a\" }", "`user` is a built-in value"),
        ("extract = { \"a-b\" = \"/a\" }", "not the name of a variable"),
    ] {
        assert_refused(&task(&format!("request = \"GET /\"\n{lines}")), 4, message);
    }
    for lines in ["expect = { object = [] }", "extract = { a = \"/a\" }"] {
        assert_refused(&task(&format!("request = \"HEAD /\"\n{lines}")), 4, "HEAD");
    }
}

#[test]
fn variables_and_feeds_are_checked() {
    for (lines, message) in [
        ("variables = { a = { one_of = [] } }", "non-empty array"),
        ("variables = { a = { integer = [1] } }", "two numbers"),
        ("variables = { a = { integer = [1, 2.5] } }", "two numbers"),
        ("variables = { a = { number = [2, 1] } }", "the lower one first"),
        ("variables = { a = { one_of = [1], integer = [1, 2] } }", "needs one of"),
        ("variables = { a = { } }", "needs one of"),
        ("variables = { a = [1] }", "must be a text, a number or a boolean"),
        ("variables = { now = 1 }", "`now` is a built-in value"),
        ("variables = { a = \"{b}\", b = 1 }", "`{b}` has no value yet when `a` is drawn"),
        ("variables = { a = \"{a}\" }", "`{a}` has no value yet"),
        ("feed = { file = \"missing.csv\" }", "missing.csv"),
        ("feed = { order = \"random\" }", "`file` is missing"),
    ] {
        assert_refused(&task(&format!("request = \"GET /\"\n{lines}")), 4, message);
        let of_class = format!("name = \"A\"\n{lines}\n[[class.task]]\nrequest = \"GET /\"\n");
        assert_refused(&of_class, 2, message);
    }
    let extracted = "name = \"A\"\nvariables = { a = \"{b}\" }\n[[class.task]]\nrequest = \"GET /\"\n\
                     extract = { b = \"/b\" }\n";
    assert_refused(extracted, 2, "`{b}` has no value yet when `a` is drawn");
}

#[test]
fn a_name_has_one_meaning() {
    let twice = "name = \"A\"\nvariables = { a = 1 }\n[[class.task]]\nvariables = { a = 2 }\n\
                 request = \"GET /{a}\"\n";
    assert_refused(twice, 4, "`a` is already a variable");
    let of_two_tasks = "name = \"A\"\n[[class.task]]\nvariables = { a = 1 }\nrequest = \"GET /{a}\"\n\
                        [[class.task]]\nvariables = { a = 2 }\nrequest = \"GET /x/{a}\"\n";
    assert!(parse(of_two_tasks).is_ok());
    let elsewhere = "name = \"A\"\n[[class.task]]\nvariables = { a = 1 }\nrequest = \"GET /{a}\"\n\
                     [[class.task]]\nrequest = \"GET /x/{a}\"\n";
    assert_refused(elsewhere, 6, "a variable of another task or step only");
}

#[test]
fn an_unknown_name_is_refused_wherever_it_is_used() {
    for lines in [
        "request = \"GET /{x}\"",
        "headers = { a = \"{x}\" }",
        "query = { a = \"{x}\" }",
        "json = { a = [\"b {x}\"] }",
        "form = { a = \"{x}\" }",
        "body = \"{x}\"",
        "multipart = { a = \"{x}\" }",
        "variables = { a = { one_of = [\"{x}\"] } }",
    ] {
        let text = match lines.starts_with("request") {
            true => lines.to_owned(),
            false => format!("request = \"POST /\"\n{lines}"),
        };
        let line = 3 + usize::from(!lines.starts_with("request"));
        assert_refused(&task(&text), line, "`{x}` is neither built in nor a variable");
    }
    assert!(parse(&task("request = \"POST /\"\nbody = \"{{x}} {not a name} {\"")).is_ok());
}

#[test]
fn a_variable_that_never_gets_a_value_is_refused() {
    let circle = "name = \"A\"\n[[class.task]]\nrequest = \"GET /a/{b}\"\nextract = { a = \"/a\" }\n\
                  [[class.task]]\nrequest = \"GET /b/{a}\"\nextract = { b = \"/b\" }\n";
    assert_refused(circle, 7, "in a circle (`b` needs `a` needs `b`)");
    let itself = task("request = \"GET /{a}\"\nextract = { a = \"/a\" }");
    assert_refused(&itself, 4, "in a circle (`a` needs `a`)");
    let on_stop = "name = \"A\"\n[[class.task]]\nrequest = \"GET /{a}\"\n[[class.on_stop]]\n\
                   request = \"GET /\"\nextract = { a = \"/a\" }\n";
    assert_refused(on_stop, 6, "only steps of on_stop extract it");
    // Another task is the way out of the circle.
    assert!(
        parse(&format!(
            "{circle}[[class.task]]\nrequest = \"GET /c\"\nextract = {{ a = \"/a\" }}\n"
        ))
        .is_ok()
    );
    // Earlier steps of a sequence and variables give values, too.
    let sequence = "name = \"A\"\nvariables = { c = 1 }\n[[class.task]]\n[[class.task.step]]\n\
                    request = \"GET /{c}\"\nextract = { a = \"/a\" }\n[[class.task.step]]\n\
                    request = \"GET /{a}\"\n";
    assert!(parse(sequence).is_ok());
}

#[test]
fn waits_tasks_and_sequences_are_checked() {
    for (lines, message) in [
        ("wait = \"soon\"", "`soon` is not a duration"),
        ("wait = \"2s to 1s\"", "is longer than"),
        ("wait = 1", "`wait` must be a string"),
        ("weight = 0", "`weight` must be an integer of at least 1"),
        ("tags = \"a\"", "`tags` must be an array of strings"),
    ] {
        assert_refused(&task(&format!("request = \"GET /\"\n{lines}")), 4, message);
    }
    let mixed = task("request = \"GET /\"\n[[class.task.step]]\nrequest = \"GET /a\"");
    assert_refused(&mixed, 3, "unknown key `request`");
    assert_refused(&task("step = []"), 3, "at least one [[class.task.step]]");
    assert_refused("name = \"A\"\nwait = \"1s\"\n", 0, "at least one [[class.task]]");
    let on_stop = format!(
        "{}[[class.on_stop]]\nrequest = \"GET /\"\nwait = \"1s\"\n",
        task("request = \"GET /\"")
    );
    assert_refused(&on_stop, 6, "a user that stops does not wait");
    let feed = task("[[class.task.step]]\nrequest = \"GET /\"\nfeed = { file = \"a.csv\" }");
    assert_refused(&feed, 5, "unknown key `feed`");
}

#[test]
fn a_class_needs_a_name_of_its_own() {
    assert_refused(
        &task("request = \"GET /\"").replace("\"A\"", "\"PingUser\""),
        1,
        "choose another",
    );
    let twice = format!("{0}[[class]]\n{0}", task("request = \"GET /\""));
    assert_refused(&twice, 5, "duplicate user class `A`");
}

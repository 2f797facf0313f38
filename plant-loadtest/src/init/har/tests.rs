use serde_json::{Value as Json, json};

use super::convert;
use crate::init::draft::{Body, Draft, Part, Step};

fn entry(second: u32, method: &str, url: &str, body: &Json, response: &Json) -> Json {
    json!({
        "startedDateTime": format!("2026-01-14T10:00:{second:02}.000Z"),
        "time": 0,
        "request": {
            "method": method,
            "url": url,
            "postData": { "mimeType": "application/json", "text": body.to_string() },
        },
        "response": {
            "status": 200,
            "content": { "mimeType": "application/json", "text": response.to_string() },
        },
    })
}

fn recording(entries: &[Json]) -> Draft {
    let text = json!({ "log": { "entries": entries } }).to_string();
    convert("a.har", &text, None).unwrap()
}

fn steps(draft: &Draft) -> &[Step] {
    &draft.classes[0].tasks[0].steps
}

const HOST: &str = "http://127.0.0.1:8080";

#[test]
fn a_value_of_a_response_is_extracted_only_if_it_is_unambiguous() {
    for (first, sent, extracted) in [
        (json!({ "id": "item-00001" }), "item-00001", true),
        (json!([{ "id": "item-00001" }, { "id": "item-00002" }]), "item-00002", true),
        // Shorter than eight characters, at two places, not the same, and not from the service.
        (json!({ "id": "item-01" }), "item-01", false),
        (json!({ "id": "item-00001", "copy": "item-00001" }), "item-00001", false),
        (json!({ "id": "item-00001" }), "item-0000", false),
        (json!({ "echo": "from-the-user" }), "from-the-user", false),
    ] {
        let draft = recording(&[
            entry(0, "POST", &format!("{HOST}/items"), &json!({ "a": "from-the-user" }), &first),
            entry(0, "GET", &format!("{HOST}/items/{sent}"), &Json::Null, &json!({})),
        ]);
        let found = steps(&draft)[1].path.contains('{');
        assert_eq!(
            (found, steps(&draft)[0].extract.len()),
            (extracted, usize::from(extracted)),
            "{first}"
        );
    }
}

#[test]
fn gaps_are_rounded_think_times_of_at_most_half_a_minute() {
    let url = format!("{HOST}/a");
    let null = Json::Null;
    let entries: Vec<Json> =
        [0, 0, 3, 59].iter().map(|second| entry(*second, "GET", &url, &null, &null)).collect();
    let draft = recording(&entries);
    let waits: Vec<Option<String>> =
        steps(&draft).iter().map(|step| step.wait.map(|wait| wait.to_string())).collect();
    assert_eq!(waits, [None, Some("3s".into()), Some("30s".into()), None]);
}

#[test]
fn the_origin_is_that_of_the_first_document_or_the_one_given() {
    let mut page = entry(1, "GET", &format!("{HOST}/"), &Json::Null, &Json::Null);
    page["_resourceType"] = "document".into();
    let other = entry(0, "GET", "https://api.example.com/x", &Json::Null, &Json::Null);
    let draft = recording(&[other.clone(), page.clone()]);
    assert_eq!((draft.host.as_deref(), &*steps(&draft)[0].path), (Some(HOST), "/"));
    let text = json!({ "log": { "entries": [other, page] } }).to_string();
    let draft = convert("a.har", &text, Some("https://api.example.com/")).unwrap();
    assert_eq!(steps(&draft)[0].path, "/x");
}

#[test]
fn credentials_of_every_kind_of_body_are_not_copied() {
    let mut xml = entry(0, "POST", &format!("{HOST}/soap"), &Json::Null, &Json::Null);
    xml["request"]["postData"] =
        json!({ "mimeType": "text/xml", "text": "<login><Password>hunter2</Password></login>" });
    let body = json!({ "passcode": 4711, "nested": { "apiKey": "key-4711" }, "count": 4711 });
    let json = entry(1, "POST", &format!("{HOST}/json"), &body, &Json::Null);
    let draft = recording(&[xml, json]);
    let soap = &steps(&draft)[0];
    assert!(soap.disabled.as_ref().is_some_and(|reason| reason.contains("credentials")));
    let sent = Body::Text { text: "FILL IN".into(), content_type: "text/xml".into() };
    assert_eq!(soap.body, sent);
    let Body::Json(sent) = &steps(&draft)[1].body else { panic!("{:?}", steps(&draft)[1].body) };
    let expected = r#"{"count":4711,"nested":{"apiKey":"{api_key}"},"passcode":"{passcode}"}"#;
    assert_eq!(sent.to_json(), expected);
}

#[test]
fn no_text_and_no_path_of_a_recording_shows_a_credential() {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2VjcmV0";
    let null = Json::Null;
    let mut upload = entry(0, "POST", &format!("{HOST}/upload"), &null, &null);
    upload["request"]["postData"] = json!({
        "mimeType": "multipart/form-data; boundary=X",
        "text": "--X\r\nContent-Disposition: form-data; name=\"pass\"\r\n\r\nhunter2\r\n--X--\r\n",
    });
    let query = json!({ "query": "mutation { login(password: \"hunter2\") { id } }" });
    let graphql = entry(1, "POST", &format!("{HOST}/graphql"), &query, &null);
    let reset = entry(2, "GET", &format!("{HOST}/check/{token}?sig=hunter2"), &null, &null);
    let mut failed = entry(3, "GET", &format!("{HOST}/failed/{token}"), &null, &null);
    failed["response"]["status"] = 404.into();
    let mut headers = entry(4, "GET", &format!("{HOST}/me"), &null, &null);
    headers["request"]["headers"] = json!([
        { "name": "X-Auth", "value": "hunter2" },
        { "name": "X-Custom", "value": "BASIC aHVudGVyMg==" },
        { "name": "Tenant", "value": "7" },
        { "name": "User-Agent", "value": "browser" },
    ]);
    let draft = recording(&[upload, graphql, reset, failed, headers]);
    let written = format!("{draft:?}");
    for secret in ["hunter2", token, "aHVudGVyMg"] {
        assert!(!written.contains(secret), "{written}");
    }
    let [upload, graphql, reset, headers] = steps(&draft) else { panic!("{written}") };
    let part = (String::from("pass"), Part::Text("{pass}".into()));
    assert_eq!((&upload.body, &upload.disabled), (&Body::Multipart(vec![part]), &None));
    assert!(graphql.disabled.as_ref().is_some_and(|reason| reason.contains("`query` may contain")));
    assert_eq!((&*reset.path, &reset.disabled), ("/check/{path_token}", &None));
    let names: Vec<&str> = headers.headers.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["X-Auth", "X-Custom", "Tenant"]);
}

#[test]
fn what_deletes_or_ends_the_session_is_a_comment() {
    let null = Json::Null;
    let sent = [("GET", "/a"), ("DELETE", "/a/1"), ("POST", "/logout"), ("GET", "/b")];
    let entries =
        sent.map(|(method, path)| entry(0, method, &format!("{HOST}{path}"), &null, &null));
    let draft = recording(&entries);
    let disabled: Vec<bool> = steps(&draft).iter().map(|step| step.disabled.is_some()).collect();
    assert_eq!(disabled, [false, true, true, false]);
    assert_eq!(draft.remarks.len(), 2, "{:?}", draft.remarks);
    let only = json!({ "log": { "entries": [entries[1]] } }).to_string();
    assert!(convert("a.har", &only, None).unwrap_err().to_string().contains("deletes data"));
}

#[test]
fn a_field_that_occurs_twice_stays_twice() {
    let mut form = entry(0, "POST", &format!("{HOST}/form?a=1&a=2"), &Json::Null, &Json::Null);
    form["request"]["postData"] =
        json!({ "mimeType": "application/x-www-form-urlencoded", "text": "b=1&b=x%20y" });
    let draft = recording(&[form]);
    let content_type = "application/x-www-form-urlencoded".to_owned();
    assert_eq!(steps(&draft)[0].path, "/form?a=1&a=2");
    assert_eq!(steps(&draft)[0].body, Body::Text { text: "b=1&b=x%20y".into(), content_type });
}

#[test]
fn hostile_recordings_are_errors_or_remarks() {
    let deep = format!("{{\"log\":{}{}}}", "[".repeat(9000), "]".repeat(9000));
    for text in ["", "[]", "{\"log\":{}}", "{\"log\":{\"entries\":3}}", &deep] {
        assert!(convert("a.har", text, None).unwrap_err().to_string().starts_with("a.har: "));
    }
    let good = entry(0, "GET", &format!("{HOST}/"), &Json::Null, &Json::Null);
    let broken = [
        json!(3),
        json!({}),
        json!({ "request": { "method": "GET" } }),
        json!({ "request": { "method": "GET", "url": "http://" } }),
        json!({ "request": { "method": "GET", "url": "data:text/plain,x" } }),
    ];
    let draft = recording(&[&[good][..], &broken].concat());
    assert_eq!((steps(&draft).len(), draft.remarks.len()), (1, broken.len()));
}

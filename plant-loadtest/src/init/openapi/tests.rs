use super::convert;
use crate::init::draft::{Draft, Step};

fn converted(paths: &str) -> Draft {
    let text = format!(r#"{{"openapi":"3.1.0","paths":{paths}}}"#);
    convert("api.json", &text, Some("http://127.0.0.1:8080")).unwrap()
}

fn steps(draft: &Draft) -> impl Iterator<Item = &Step> {
    draft.classes[0].tasks.iter().flat_map(|task| &task.steps)
}

fn remarks(draft: &Draft) -> Vec<String> {
    draft.remarks.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_no_operation_of_a_profile_is_listed() {
    let draft = converted(
        r#"{"/a":{"get":{},"trace":{},"x-note":1,"summary":"a"},"/list":[1],"b":{"get":{}},
            "/null":null,"/own":{"get":{"servers":[{"url":"http://127.0.0.1:1"}]}}}"#,
    );
    assert_eq!(
        remarks(&draft),
        [
            "/a: `trace` is not supported",
            "/list: the path is no object",
            "b: a path must start with `/`",
            "/null: the path is no object",
            "GET /own: it has servers of its own; the profile has one host for all",
        ]
    );
}

#[test]
fn an_array_of_the_query_is_sent_as_its_style_says() {
    let draft = converted(
        r#"{"/a":{"get":{"parameters":[
            {"name":"ids","in":"query","required":true,"example":[1,2]},
            {"name":"of","in":"query","required":true,"style":"deepObject","example":{"b":1}}]}}}"#,
    );
    let step = steps(&draft).next().unwrap();
    assert_eq!(step.path, "/a?ids=1&ids=2&of%5Bb%5D=1");
    assert_eq!(step.name.as_deref(), Some("GET /a"));
}

#[test]
fn the_variables_of_a_server_may_be_numbers() {
    let server = |server: &str| {
        let text = format!(
            r#"{{"openapi":"3.1.0","servers":[{server}],"paths":{{"/a":{{"get":{{}}}}}}}}"#
        );
        let draft = convert("api.json", &text, None).unwrap();
        (draft.host.clone().unwrap(), draft.remarks.len())
    };
    let with_default = r#"{"url":"http://h/v{v}/","variables":{"v":{"default":2}}}"#;
    assert_eq!(server(with_default), ("http://h/v2".into(), 0));
    for unusable in [r#"{"url":"http://h:{port}"}"#, r#"{"url":"http://h?a"}"#] {
        assert_eq!(server(unusable), ("http://127.0.0.1:8080".into(), 1));
    }
}

#[test]
fn operations_of_many_collections_use_the_ids_of_their_own() {
    let schema =
        r#"{"200":{"content":{"application/json":{"schema":{"items":{"properties":{"id":{}}}}}}}}"#;
    let path =
        |n| format!(r#""/c{n}":{{"get":{{"responses":{schema}}}}},"/c{n}/{{id}}":{{"get":{{}}}}"#);
    let paths: Vec<String> = (0..30).map(path).collect();
    let draft = converted(&format!("{{{}}}", paths.join(",")));
    assert_eq!(draft.active_tasks(), 60);
    let given: Vec<usize> = steps(&draft).map(|step| step.extract.len()).collect();
    assert_eq!(given, [1, 0].repeat(30));
    let step = steps(&draft).nth(15).unwrap();
    assert_eq!(step.path, "/c7/{c7_id}");
}

//! The description is consistent in itself.

use serde_json::{Map, Value};
use sqlx::PgPool;

use crate::testing::TestApp;

/// Returns every operation, with its method and path.
fn operations(api: &Value) -> Vec<(String, &Value)> {
    let paths = api["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let item = item.as_object().unwrap().iter();
        item.map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    operations.collect()
}

fn for_each_schema(value: &Value, check: &mut impl FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            check(map);
            map.values().for_each(|value| for_each_schema(value, check));
        }
        Value::Array(items) => items.iter().for_each(|value| for_each_schema(value, check)),
        _ => {}
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn every_operation_has_a_described_tag_and_its_security(pool: PgPool) {
    let api = TestApp::new(pool).await.get("/openapi.json").await.expect(200);
    let tags: Vec<_> = api["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    assert!(api["tags"].as_array().unwrap().iter().all(|tag| tag["description"].is_string()));
    let schemes = api["components"]["securitySchemes"].as_object().unwrap();
    for (name, operation) in operations(&api) {
        assert!(tags.contains(&&operation["tags"][0]), "{name}: {}", operation["tags"]);
        for alternative in operation["security"].as_array().expect(&name) {
            let known =
                alternative.as_object().unwrap().keys().all(|key| schemes.contains_key(key));
            assert!(known, "{name}: {alternative}");
        }
    }
    assert_eq!(api["servers"][0]["url"], "/");
    assert!(api["info"]["license"]["identifier"].is_string());
}

#[sqlx::test(migrations = "../migrations")]
async fn every_link_leads_to_an_operation_with_its_parameters(pool: PgPool) {
    let api = TestApp::new(pool).await.get("/openapi.json").await.expect(200);
    let all = operations(&api);
    let mut linked = 0;
    for (name, operation) in &all {
        for response in operation["responses"].as_object().unwrap().values() {
            for link in response["links"].as_object().into_iter().flat_map(Map::values) {
                let to = all.iter().find(|(_, other)| other["operationId"] == link["operationId"]);
                let (_, to) = to.unwrap_or_else(|| panic!("{name} links to no operation: {link}"));
                let has = |parameter: &String| {
                    let mut described = to["parameters"].as_array().into_iter().flatten();
                    described.any(|described| described["name"] == **parameter)
                };
                let parameters = link["parameters"].as_object();
                assert!(parameters.is_none_or(|all| all.keys().all(has)), "{name}: {link}");
                linked += 1;
            }
        }
    }
    assert!(linked >= 80, "{linked}");
}

/// Lists and creates are linked, except where nothing takes an id of theirs.
#[sqlx::test(migrations = "../migrations")]
async fn every_single_read_is_linked(pool: PgPool) {
    let api = TestApp::new(pool).await.get("/openapi.json").await.expect(200);
    let all = operations(&api);
    let links = all.iter().flat_map(|(_, operation)| {
        let responses = operation["responses"].as_object().unwrap().values();
        responses.flat_map(|response| response["links"].as_object().into_iter().flat_map(Map::keys))
    });
    let links: Vec<_> = links.collect();
    for (name, operation) in &all {
        if name.starts_with("get ") && name.ends_with('}') {
            let id = operation["operationId"].as_str().unwrap();
            assert!(links.iter().any(|link| *link == id), "{name} is not linked");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn schemas_are_not_recursive_and_defaults_have_their_type(pool: PgPool) {
    let api = TestApp::new(pool).await.get("/openapi.json").await.expect(200);
    for_each_schema(&api["paths"], &mut assert_default);
    let schemas = api["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        for_each_schema(schema, &mut |part| {
            assert_default(part);
            assert_ne!(part.get("$ref"), Some(&format!("#/components/schemas/{name}").into()));
        });
    }
    // Generated clients have classes of these names.
    for reserved in ["Configuration", "ApiClient", "ApiResponse", "Client", "Response"] {
        assert!(!schemas.contains_key(reserved), "{reserved}");
    }
}

fn assert_default(part: &Map<String, Value>) {
    if let (Some(Value::Null), Some(kind)) = (part.get("default"), part.get("type")) {
        assert!(kind.to_string().contains("null"), "{part:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_root_leads_to_the_page_of_the_description(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let root = app.get("/").await;
    assert_eq!((root.status.as_u16(), root.header("location")), (307, Some("/docs/")));
    let api = app.get("/openapi.json").await.expect(200);
    assert!(api["info"]["description"].as_str().unwrap().contains("**Authorize**"));
}

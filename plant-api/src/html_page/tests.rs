use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::Sha256;
use sqlx::PgPool;

use crate::clock::Clock;
use crate::testing::{TestApp, TestResponse};

#[sqlx::test(migrations = "../migrations")]
async fn pages_load_nothing_else(pool: PgPool) {
    let app = TestApp::with_required_access(pool, Clock::System).await;
    for path in ["/queue", "/agent"] {
        check_page(path, &app.get(path).await);
    }
}

/// Checks that a page allows only its own style and script, and mentions no other resources.
fn check_page(path: &str, page: &TestResponse) {
    assert_eq!(page.status, 200, "{path}");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    for element in ["style", "script"] {
        let (_, rest) = page.text.split_once(&format!("<{element}>")).unwrap();
        let content = rest.split_once(&format!("</{element}>")).unwrap().0;
        let hash = BASE64.encode(<Sha256 as sha2::Digest>::digest(content));
        assert!(policy.contains(&format!("{element}-src 'sha256-{hash}'")), "{policy}");
        assert_eq!(page.text.matches(&format!("<{element}")).count(), 1);
    }
    for mark in ["/* page.css */", "// page.js", "<!-- page.html -->"] {
        assert!(!page.text.contains(mark), "{path}: {mark}");
    }
    for forbidden in
        ["unsafe", "http:", "https:", " src=", "href=", "onclick", "style=", "@import", "url("]
    {
        assert!(!page.text.contains(forbidden), "{path}: {forbidden}");
    }
}

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::{Certification, Statement, certify};
use crate::access::Caller;
use crate::error::{Error, Result};
use crate::plant::chain::{self, Verdict};
use crate::plant::entity::{self, Kind, Status};
use crate::testing::TestApp;

async fn genesis(app: &TestApp, kind: Kind, id: &str) -> Result<Certification> {
    let (db, clock) = (&app.state.db, &app.state.clock);
    certify(db, clock, Caller::Anybody, kind, id.parse().unwrap(), Statement::default()).await
}

#[sqlx::test(migrations = "../migrations")]
async fn every_kind_is_certified_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let of = app.an_agent("Asha").await;
    for (kind, id) in [
        (Kind::Industry, &of.industry),
        (Kind::Skill, &of.skill),
        (Kind::JobRole, &of.job_role),
        (Kind::Team, &of.team),
        (Kind::Agent, &of.agent),
    ] {
        let first = genesis(&app, kind, id).await.unwrap();
        assert_eq!((first.status, first.chain_length), (Status::Certified, 2), "{kind:?}");
        let again = genesis(&app, kind, id).await.unwrap();
        assert_eq!((again.chain_length, again.certified_at), (2, first.certified_at));
        let id: Uuid = id.parse().unwrap();
        let amendments = entity::sql::amendments(&app.owner, id).await.unwrap();
        let head = amendments[1].head();
        assert_eq!(chain::verify(id, &amendments, head), Verdict::Intact);
        assert_eq!(head.version_hash, first.version_hash);
    }
    let skill = app.get(&format!("/api/v1/skills/{}", of.skill)).await.expect(200);
    assert_eq!(skill["status"], "certified");
    let agent = app.get(&format!("/api/v1/agents/{}", of.agent)).await.expect(200);
    assert_eq!(agent["status"], "active");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_fails_its_checks_is_not_certified(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let team = app.create("/api/v1/teams", json!({"name": "Nobody"})).await;
    match genesis(&app, Kind::Team, &team).await {
        Err(Error::ConstitutionalAlignment(list)) => {
            let rules: Vec<_> = list.iter().map(|v| v.rule.as_str()).collect();
            assert_eq!(rules, ["L1-team-agents", "L1-team-job-role"]);
        }
        other => panic!("{other:?}"),
    }
    let chain = entity::sql::amendments(&app.owner, team.parse().unwrap()).await.unwrap();
    assert_eq!(chain.len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_broken_chain_is_not_certified(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let skill = json!({"name": "Python", "category": "technical"});
    let skill = app.create("/api/v1/skills", skill).await;
    let sql = "alter table amendment disable trigger user;
        alter table amendment drop constraint amendment_content_hash_true;
        update amendment set content = convert_to(replace(convert_from(content, 'utf8'), 'Python', 'Perl'), 'utf8')";
    sqlx::raw_sql(sql).execute(&app.owner).await.unwrap();
    match genesis(&app, Kind::Skill, &skill).await {
        Err(Error::HashChainBroken { at_index: 0, reason: "content_altered" }) => {}
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_entity_of_another_kind_is_not_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let team = app.create("/api/v1/teams", json!({"name": "Nobody"})).await;
    assert!(matches!(genesis(&app, Kind::Skill, &team).await, Err(Error::NotFound(_))));
}

//! Benchmarks certification, as the route performs it, on a temporary database.

use std::time::{Duration, Instant};

use criterion::Criterion;
use plant_api::access::Caller;
use plant_api::clock::Clock;
use plant_api::db::{DatabaseLimits, Db};
use plant_api::metrics::Metrics;
use plant_api::plant::entity::Kind;
use plant_api::plant::genesis::{self, CertificationDetails};
use plant_api::plant::skills::{self, Created, SkillContent};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::database::{TemporaryDatabase, database_url};

/// Certifies a new skill per iteration; creating the skill is not measured.
pub fn through_the_database(c: &mut Criterion) {
    let Some(url) = database_url("certification through the database") else { return };
    let runtime = Runtime::new().unwrap();
    let database = runtime.block_on(TemporaryDatabase::create(&url, "certification"));
    let db = runtime.block_on(async { pool(&database) });
    let mut group = c.benchmark_group("certification_through_the_database");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    group.bench_function("ours", |b| {
        b.iter_custom(|iterations| runtime.block_on(certify(&db, iterations)));
    });
    group.finish();
    drop(db);
    runtime.block_on(database.remove());
}

async fn certify(db: &Db, iterations: u64) -> Duration {
    let (clock, caller) = (Clock::System, Caller::Anonymous);
    let mut total = Duration::ZERO;
    for _ in 0..iterations {
        let id = create_skill(db, &clock).await;
        let start = Instant::now();
        let details = CertificationDetails::default();
        let mut tx = db.begin_write(Duration::from_secs(10)).await.unwrap();
        genesis::certify(&mut tx, &clock, &caller, Kind::Skill, id, details).await.unwrap();
        tx.commit().await.unwrap();
        total += start.elapsed();
    }
    total
}

async fn create_skill(db: &Db, clock: &Clock) -> Uuid {
    let name = Uuid::now_v7().to_string();
    let content = SkillContent {
        skill_key: name.clone(),
        name,
        category: skills::Category::Technical,
        description: None,
    };
    let mut tx = db.begin_write(Duration::from_secs(10)).await.unwrap();
    let created = skills::create(&mut tx, clock, &Caller::Anonymous, content).await.unwrap();
    tx.commit().await.unwrap();
    match created {
        Created::New(skill) | Created::Existing(skill) => skill.id.0,
    }
}

fn pool(database: &TemporaryDatabase) -> Db {
    let pool_wait = Metrics::new().unwrap().db_pool_wait;
    let timeout = Duration::from_secs(10);
    Db::new(
        database.options(),
        DatabaseLimits {
            max_connections: 2,
            acquire_timeout: timeout,
            congestion_target: timeout,
            statement_timeout: timeout,
        },
        pool_wait,
    )
}

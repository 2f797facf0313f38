//! Certification as the route does it, on a database of its own.

use std::time::{Duration, Instant};

use criterion::Criterion;
use plant_api::access::Caller;
use plant_api::clock::Clock;
use plant_api::db::{self, Bounds, Db};
use plant_api::metrics::Metrics;
use plant_api::plant::entity::Kind;
use plant_api::plant::genesis::{self, Statement};
use plant_api::plant::skills::{self, Created, NewSkill};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Certifies a fresh skill each time; creating it is not counted.
pub fn through_the_database(c: &mut Criterion) {
    // Settings come from config.rs; a bench has none.
    let Some(url) = std::env::var_os("DATABASE_URL").and_then(|url| url.into_string().ok()) else {
        eprintln!("certification through the database: skipped, since DATABASE_URL is not set");
        return;
    };
    let runtime = Runtime::new().unwrap();
    let place = runtime.block_on(Place::make(&url));
    let db = runtime.block_on(async { place.db() });
    let mut group = c.benchmark_group("certification_through_the_database");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    group.bench_function("ours", |b| {
        b.iter_custom(|rounds| runtime.block_on(certify(&db, rounds)));
    });
    group.finish();
    drop(db);
    runtime.block_on(place.remove());
}

async fn certify(db: &Db, rounds: u64) -> Duration {
    let (clock, caller) = (Clock::System, Caller::Anybody);
    let mut took = Duration::ZERO;
    for _ in 0..rounds {
        let id = a_skill(db, &clock).await;
        let began = Instant::now();
        let statement = Statement::default();
        genesis::certify(db, &clock, &caller, Kind::Skill, id, statement).await.unwrap();
        took += began.elapsed();
    }
    took
}

async fn a_skill(db: &Db, clock: &Clock) -> Uuid {
    let new = NewSkill {
        name: Uuid::now_v7().to_string(),
        category: skills::Category::Technical,
        description: None,
        skill_key: None,
    };
    let mut connection = db.acquire().await.unwrap();
    match skills::create(&mut connection, clock, &Caller::Anybody, new).await.unwrap() {
        Created::New(skill) | Created::Existing(skill) => skill.id.0,
    }
}

/// A database that is there for as long as the bench.
struct Place {
    server: PgConnectOptions,
    name: String,
}

impl Place {
    async fn make(url: &str) -> Self {
        let server: PgConnectOptions = url.parse().unwrap();
        let place = Self { name: format!("plant_bench_{}", std::process::id()), server };
        place.tell(format!("create database {}", place.name)).await;
        db::migrate(&place.options()).await.unwrap();
        place
    }

    fn options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.name).disable_statement_logging()
    }

    fn db(&self) -> Db {
        let waits = Metrics::new().unwrap().db_waits;
        let limit = Duration::from_secs(10);
        Db::new(self.options(), Bounds { connections: 2, checkout: limit, statement: limit }, waits)
    }

    async fn remove(self) {
        self.tell(format!("drop database {} with (force)", self.name)).await;
    }

    async fn tell(&self, sql: String) {
        let mut server = PgConnection::connect_with(&self.server).await.unwrap();
        server.execute(AssertSqlSafe(sql)).await.unwrap();
    }
}

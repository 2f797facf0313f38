//! A temporary database.

use plant_api::db;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

/// Returns `DATABASE_URL`; `None` with a message if it is not set.
pub fn database_url(benchmark: &str) -> Option<String> {
    // Read directly: benchmarks do not use config.rs.
    let url = std::env::var_os("DATABASE_URL").and_then(|url| url.into_string().ok());
    if url.is_none() {
        eprintln!("{benchmark}: skipped because DATABASE_URL is not set");
    }
    url
}

/// A database that exists for the duration of the benchmark.
pub struct TemporaryDatabase {
    server: PgConnectOptions,
    name: String,
}

impl TemporaryDatabase {
    /// Creates the database and its tables on the server of this URL.
    pub async fn create(url: &str, name: &str) -> Self {
        let server: PgConnectOptions = url.parse().unwrap();
        let database = Self { name: format!("plant_bench_{name}_{}", std::process::id()), server };
        database.execute(format!("create database {}", database.name)).await;
        db::migrate(&database.options()).await.unwrap();
        database
    }

    pub fn options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.name).disable_statement_logging()
    }

    pub fn url(&self) -> String {
        self.options().to_url_lossy().into()
    }

    pub async fn remove(self) {
        self.execute(format!("drop database {} with (force)", self.name)).await;
    }

    async fn execute(&self, sql: String) {
        let mut server = PgConnection::connect_with(&self.server).await.unwrap();
        server.execute(AssertSqlSafe(sql)).await.unwrap();
    }
}

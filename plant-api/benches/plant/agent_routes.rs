//! Benchmarks the routes of the performance agent as the performance agent plan does, each request
//! over one open connection to the whole service, which runs in this process on a temporary
//! database.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use clap::Parser;
use criterion::Criterion;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use plant_api::{app, config};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::database::{TemporaryDatabase, database_url};

/// Name of the group and path of each route.
const ROUTES: [(&str, &str); 4] = [
    ("agent_health", "/api/v1/health"),
    ("agent_config", "/api/v1/config"),
    ("agent_capabilities", "/api/v1/capabilities"),
    ("agent_workflows", "/api/v1/workflows"),
];

/// Maximum number of attempts to connect while the service starts, 50 ms apart.
const MAX_CONNECTS: usize = 200;

/// Settings of the service.
#[derive(Parser)]
struct Service {
    #[command(flatten)]
    options: config::Options,
}

/// Requests each route.
pub fn routes(c: &mut Criterion) {
    let Some(url) = database_url("routes of the performance agent") else { return };
    let runtime = Runtime::new().unwrap();
    let database = runtime.block_on(TemporaryDatabase::create(&url, "agent"));
    let mut connection = runtime.block_on(serve(&database));
    for (name, path) in ROUTES {
        let mut group = c.benchmark_group(name);
        group.bench_function("ours", |b| {
            b.iter(|| runtime.block_on(get(&mut connection, path)));
        });
        group.finish();
    }
    runtime.shutdown_timeout(Duration::from_secs(5));
    Runtime::new().unwrap().block_on(database.remove());
}

/// Starts the service and connects to it.
async fn serve(database: &TemporaryDatabase) -> SendRequest<Empty<Bytes>> {
    let port = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let service = Service::parse_from([
        "plant-api".to_owned(),
        format!("--listen={address}"),
        format!("--database-url={}", database.url()),
        "--redis-url=".to_owned(),
        "--log-level=error".to_owned(),
    ]);
    let config = service.options.check().unwrap();
    tokio::spawn(async { app::serve(config).await.unwrap() });
    for _ in 0..MAX_CONNECTS {
        if let Ok(stream) = TcpStream::connect(address).await {
            let (requests, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            return requests;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the service does not listen on {address}");
}

async fn get(connection: &mut SendRequest<Empty<Bytes>>, path: &str) -> usize {
    connection.ready().await.unwrap();
    let request = Request::get(path).header("host", "localhost").body(Empty::new()).unwrap();
    let response = connection.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.into_body().collect().await.unwrap().to_bytes().len()
}

//! A load test for a service that is not Plant: a shop. The user class is written in Rust here; `shop.toml`
//! has the same one as data, for `plant-loadtest` without any Rust.
//!
//! ```text
//! cargo run --release --example own_service -- serve &
//! cargo run --release --example own_service -- run shop
//! plant-loadtest run plant-loadtest/examples/own_service/shop.toml
//! ```

mod service;
mod stub;
mod visitor;

use std::process::ExitCode;

use plant_loadtest::{
    built_in::BuiltInFile,
    harness::Harness,
    service::{HealthCheck, Service},
};
use serde_json::json;

/// The profiles, compiled into the program.
const PROFILES: &[BuiltInFile] =
    &[BuiltInFile { name: "shop", text: include_str!("shop-in-rust.toml") }];

/// The SLA files.
const SLAS: &[BuiltInFile] = &[BuiltInFile { name: "shop", text: include_str!("shop.sla.toml") }];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("serve") {
        let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8090".into());
        return service::serve(&address);
    }
    let shop = Service {
        host: "http://127.0.0.1:8090".into(),
        health: Some(HealthCheck {
            path: "/healthz".into(),
            status: Some(200),
            json: vec![("/ok".into(), vec![json!(true)])],
        }),
        start_hint: "Start it: cargo run --release --example own_service -- serve".into(),
        ..Service::default()
    };
    Harness::new("own_service")
        .class(&visitor::CLASS)
        .profiles(PROFILES)
        .slas(SLAS)
        .service(shop)
        .stub_responses(stub::responses)
        .main()
}

use super::*;
use clap::{CommandFactory, FromArgMatches, Parser};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: Options,
}

fn options(args: &[&str]) -> Options {
    let args = [&["plant-api", "--database-url", "postgres://plant@localhost/plant_db"], args];
    let mut matches = Command::command().get_matches_from(args.concat());
    Command::from_arg_matches_mut(&mut matches).unwrap().options
}

fn problems(args: &[&str]) -> Vec<String> {
    options(args).check().unwrap_err().0
}

#[test]
fn all_problems_are_listed_at_once() {
    let InvalidSettings(problems) = options(&[
        "--listen=nowhere,127.0.0.1:1",
        "--environment=moon",
        "--request-timeout=soon",
        "--redis-url=http://x",
        "--log-format=xml",
        "--hash-threads=0",
        "--work=perhaps",
        "--model-failure-rate=1.5",
        "--payment-webhook-url=https://x",
        "--payment-late-rate=2",
        "--payment-delay-ms=2001",
        "--enhancement-workers=0",
        "--secret-key=short",
        "--writer-url=ftp://x",
        "--writer-min-latency-ms=200",
        "--writer-failure-rate=2",
        "--desk-hosts=desk.example.com,*",
        "--fake-desk-url=https://x",
        "--agent-id=a b",
        "--agent-targets=*",
        "--agent-interval-ms=99",
        "--agent-retention-days=0",
        "--otlp-endpoint=grpc://localhost:4317",
        "--service-name=",
        "--traces-sampler=sometimes",
        "--traces-sampler-arg=1.5",
    ])
    .check()
    .unwrap_err();
    for name in [
        "PLANT_LISTEN",
        "ENVIRONMENT",
        "PLANT_REQUEST_TIMEOUT",
        "REDIS_URL",
        "LOG_FORMAT",
        "PLANT_HASH_THREADS",
        "PLANT_WORK",
        "PLANT_MODEL_FAILURE_RATE",
        "PLANT_PAYMENT_WEBHOOK_URL",
        "PLANT_PAYMENT_LATE_RATE",
        "PLANT_PAYMENT_DELAY_MS",
        "PLANT_ENHANCEMENT_WORKERS",
        "PLANT_SECRET_KEY",
        "PLANT_WRITER_URL",
        "PLANT_WRITER_MIN_LATENCY_MS",
        "PLANT_WRITER_FAILURE_RATE",
        "PLANT_DESK_HOSTS: `*`",
        "PLANT_FAKE_DESK_URL",
        "PLANT_AGENT_ID",
        "PLANT_AGENT_TARGETS: `*`",
        "PLANT_AGENT_INTERVAL_MS",
        "PLANT_AGENT_RETENTION_DAYS",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_SERVICE_NAME",
        "OTEL_TRACES_SAMPLER: ",
        "OTEL_TRACES_SAMPLER_ARG",
    ] {
        assert!(problems.iter().any(|problem| problem.starts_with(name)), "{name}: {problems:?}");
    }
}

/// A secret that is long and varied enough for production.
fn secret(start: &str) -> String {
    format!("{start}0123456789abcdefghijklmnopqrstuvwxyz")
}

#[test]
fn production_rejects_open_access() {
    let strong = format!("--jwt-secret={}", secret("s"));
    let webhook = format!("--payment-webhook-secret={}", secret("w"));
    let sealing = format!("--secret-key={}", secret("k"));
    let found = problems(&["--environment=production", &strong, &webhook, &sealing]);
    assert_eq!(found, ["PLANT_ACCESS: production rejects `open` access; set it to `required`"]);
    let required = ["--environment=production", "--access=required", &strong, &webhook, &sealing];
    options(&required).check().unwrap();
}

#[test]
fn production_lists_all_weak_secrets_at_once() {
    let found = problems(&["--environment=production", "--admin-key=short"]);
    let named: Vec<_> = found.iter().map(|p| p.split_once(':').unwrap().0).collect();
    assert_eq!(
        named,
        [
            "PLANT_ADMIN_KEY",
            "PLANT_ACCESS",
            "JWT_SECRET",
            "PLANT_PAYMENT_WEBHOOK_SECRET",
            "PLANT_SECRET_KEY",
        ]
    );
    let found = problems(&[
        "--environment=production",
        "--access=required",
        &format!("--jwt-secret={}", "a".repeat(32)),
        &format!("--payment-webhook-secret={}", secret("w")),
        &format!("--secret-key={}", secret("k")),
        "--admin-key=known-to-everybody-so-for-development-only",
    ]);
    assert_eq!(
        found,
        [
            "JWT_SECRET: fewer than 8 different characters; set a random one",
            "PLANT_ADMIN_KEY: production rejects the default, which is public; set one of your own",
        ]
    );
    let same = secret("k");
    let found = problems(&[
        "--environment=production",
        "--access=required",
        &format!("--jwt-secret={same}"),
        &format!("--admin-key={same}"),
        &format!("--payment-webhook-secret={same}"),
        &format!("--secret-key={same}"),
    ]);
    assert_eq!(
        found,
        [
            "PLANT_PAYMENT_WEBHOOK_SECRET: must not be the same as JWT_SECRET",
            "PLANT_SECRET_KEY: must not be the same as JWT_SECRET",
            "PLANT_ADMIN_KEY: must not be the same as JWT_SECRET",
        ]
    );
}

#[test]
fn only_the_secret_of_tokens_may_be_short_and_only_in_development() {
    let short = options(&["--jwt-secret=fifteen letters"]).check().unwrap().jwt_secret;
    assert!(short.is_short() && !Secret(secret("s")).is_short());
    let found = problems(&["--jwt-secret="]);
    assert_eq!(found, ["JWT_SECRET: 0 bytes; at least 1 byte is required"]);
    let found = problems(&["--environment=production", "--jwt-secret=fifteen letters"]);
    assert_eq!(found[0], "JWT_SECRET: 15 bytes; at least 32 bytes are required");
    for name in ["payment-webhook-secret", "secret-key", "admin-key"] {
        let found = problems(&[&format!("--{name}=fifteen letters")]);
        assert!(found[0].ends_with("15 bytes; at least 32 bytes are required"), "{found:?}");
    }
}

#[test]
fn old_secret_keys_are_a_list_of_at_least_32_bytes_each() {
    let old = |list: &str| options(&[&format!("--secret-keys-old={list}")]).check();
    assert!(old("").unwrap().old_secret_keys.is_empty());
    let (one, two) = (secret("1"), secret("2"));
    let keys = old(&format!("{one}, {two}")).unwrap().old_secret_keys;
    assert_eq!(keys, [Secret(one.clone()), Secret(two)]);
    let InvalidSettings(problems) = old(&format!("{one},short")).unwrap_err();
    assert_eq!(problems, ["PLANT_SECRET_KEYS_OLD: 5 bytes; at least 32 bytes are required"]);
}

#[test]
fn enhancement_workers_are_1_to_256() {
    assert_eq!(options(&[]).check().unwrap().worker.enhancement_workers, 16);
    for wrong in ["0", "257", "many"] {
        let found = problems(&[&format!("--enhancement-workers={wrong}")]);
        assert!(found[0].starts_with("PLANT_ENHANCEMENT_WORKERS: "), "{found:?}");
    }
}

#[test]
fn the_url_of_the_payment_webhook_is_checked_and_not_printed() {
    let found = |url: &str| problems(&[&format!("--payment-webhook-url={url}")]);
    let refused =
        ["PLANT_PAYMENT_WEBHOOK_URL: not an http:// URL with a host and without credentials"];
    for url in [
        "https://pay.example/x",
        "http://user:hunter2@pay.example/x",
        "http://127.0.0.1:99999/x",
        "http://127.0.0.1:0/x",
        "http://:80/x",
        "pay.example",
    ] {
        assert_eq!(found(url), refused, "{url}");
    }
    for url in ["http://pay.example", "http://[::1]:8080/x", "http://127.0.0.1:80/x?a=b"] {
        options(&[&format!("--payment-webhook-url={url}")]).check().unwrap();
    }
}

#[test]
fn traces_are_exported_to_a_valid_url_only() {
    let endpoint = |url: &str| options(&[&format!("--otlp-endpoint={url}")]).check();
    assert_eq!(endpoint("").unwrap().traces.endpoint, None);
    for url in ["http://localhost:4318", "https://otel.example/base/"] {
        assert_eq!(endpoint(url).unwrap().traces.endpoint.as_deref(), Some(url));
    }
    for url in ["localhost:4318", "http://user:hunter2@otel.example", "http://h:0", "http://h/?a=b"]
    {
        let InvalidSettings(problems) = endpoint(url).unwrap_err();
        assert_eq!(
            problems,
            ["OTEL_EXPORTER_OTLP_ENDPOINT: not an http:// or https:// URL without credentials"]
        );
    }
}

#[test]
fn hash_threads_are_half_the_cores_or_from_1_to_256() {
    assert_eq!(options(&[]).check().unwrap().hash_threads, None);
    let set = options(&["--hash-threads=3"]).check().unwrap().hash_threads;
    assert_eq!(set.map(NonZeroUsize::get), Some(3));
    for wrong in ["-1", "1.5", "257", "all"] {
        let found = problems(&[&format!("--hash-threads={wrong}")]);
        assert_eq!(
            found,
            [format!("PLANT_HASH_THREADS: `{wrong}` is not an integer from 1 to 256")]
        );
    }
}

#[test]
fn one_address_may_not_take_all_connections_by_default() {
    let per_address =
        |args: &[&str]| options(args).check().unwrap().connections.connections_per_address;
    assert_eq!(per_address(&[]), 7168);
    assert_eq!(per_address(&["--max-connections=1"]), 1);
    assert_eq!(per_address(&["--max-connections=50", "--connections-per-address=9"]), 9);
    let found = problems(&["--connections-per-address=0"]);
    assert_eq!(found, ["PLANT_CONNECTIONS_PER_ADDRESS: `0` is not a positive integer"]);
}

#[test]
fn the_grace_period_is_longer_in_production() {
    let grace = |args: &[&str]| options(args).check().unwrap().connections.shutdown_grace.as_secs();
    let jwt = format!("--jwt-secret={}", secret("s"));
    let webhook = format!("--payment-webhook-secret={}", secret("w"));
    assert_eq!(grace(&[]), 1);
    let sealing = format!("--secret-key={}", secret("k"));
    let production = ["--environment=production", "--access=required", &jwt, &webhook, &sealing];
    assert_eq!(grace(&production), 5);
    assert_eq!(grace(&["--shutdown-grace=0"]), 0);
    let found = problems(&["--shutdown-grace=soon"]);
    assert_eq!(found, ["PLANT_SHUTDOWN_GRACE: `soon` is not a number of seconds"]);
}

#[test]
fn invalid_origins_are_a_problem() {
    assert_eq!(options(&[]).check().unwrap().cors_origins, CorsOrigins::Loopback);
    assert_eq!(
        problems(&["--cors-origins=app.example.com"]),
        ["PLANT_CORS_ORIGINS: `app.example.com` is not an origin such as https://app.example.com"]
    );
}

#[test]
fn secrets_are_hidden_in_debug_output() {
    let secret = format!("--jwt-secret=hidden{}", "x".repeat(40));
    let key = format!("--admin-key=hidden{}", "y".repeat(40));
    let webhook = format!("--payment-webhook-secret=hidden{}", "z".repeat(40));
    let sealing = format!("--secret-key=hidden{}", "s".repeat(40));
    let old = format!("--secret-keys-old=hidden{}", "o".repeat(40));
    let redis = "--redis-url=redis://:hidden@localhost";
    let config = options(&[redis, &secret, &key, &webhook, &sealing, &old]).check().unwrap();
    assert!(!format!("{config:?}").contains("hidden"));
}

#[test]
fn the_example_file_matches_the_help_texts() {
    let mut text = String::from("# Every setting of plant-api with its default.\n");
    for arg in Command::command().get_arguments().filter(|arg| arg.get_env().is_some()) {
        let env = arg.get_env().unwrap().to_str().unwrap();
        let help = arg.get_help().unwrap();
        let default = arg.get_default_values()[0].to_str().unwrap();
        text += &format!("\n# {help}\n{env}={default}\n");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../.env.example");
    let file = std::fs::read_to_string(path).unwrap_or_default();
    assert!(file == text, ".env.example should read:\n{text}");
}

#[test]
fn events_go_to_this_service_by_default() {
    let url = |args: &[&str], address: &str| {
        let provider = options(args).check().unwrap().provider;
        provider.webhook_url(address.parse().unwrap(), "/path").unwrap().to_string()
    };
    assert_eq!(url(&[], "10.1.2.3:81"), "http://10.1.2.3:81/path");
    assert_eq!(url(&[], "0.0.0.0:81"), "http://127.0.0.1:81/path");
    assert_eq!(url(&[], "[::]:81"), "http://[::1]:81/path");
    let set = "--payment-webhook-url=http://other:82/events";
    assert_eq!(url(&[set], "0.0.0.0:81"), "http://other:82/events");
}

/// Settings that are not shown although their values are not hidden: they can contain credentials.
const URLS: [&str; 4] = [
    "PLANT_PAYMENT_WEBHOOK_URL",
    "PLANT_WRITER_URL",
    "PLANT_FAKE_DESK_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

#[test]
fn every_setting_is_either_shown_or_secret() {
    let public = options(&[]).public();
    for arg in Command::command().get_arguments().filter(|arg| arg.get_env().is_some()) {
        let name = arg.get_env().unwrap().to_str().unwrap();
        let is_hidden = arg.is_hide_env_values_set() || URLS.contains(&name);
        assert_eq!(public.contains_key(name), !is_hidden, "{name}");
    }
}

#[test]
fn settings_are_shown_as_they_are_in_effect() {
    let public = options(&["--database-pool-size=7", "--work=false", "--agent-id=a"]).public();
    let shown = |name: &str| public[name].to_string();
    assert_eq!(shown("DATABASE_POOL_SIZE"), "7");
    assert_eq!(shown("PLANT_WORK"), "false");
    assert_eq!(shown("PLANT_AGENT_ID"), "\"a\"");
    assert_eq!(shown("REDIS_CACHE_TTL"), "60");
    assert_eq!(shown("PLANT_HASH_THREADS"), "\"\"");
}

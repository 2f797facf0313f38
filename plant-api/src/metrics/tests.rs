use axum::http::StatusCode;

use super::Metrics;

/// Returns the sum of the samples of this name whose labels contain `labels`.
fn sum(text: &str, name: &str, labels: &str) -> u64 {
    let samples = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
    samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Returns the size in bytes of the samples whose names start like this.
fn size(text: &str, name: &str) -> usize {
    text.lines().filter(|line| line.starts_with(name)).map(|line| line.len() + 1).sum()
}

#[test]
fn every_metric_has_a_help_text_and_a_type() {
    let text = Metrics::new().unwrap().encode().unwrap();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|end| name.strip_suffix(end))
            .find(|family| text.contains(&format!("# TYPE {family} histogram\n")))
            .unwrap_or(name);
        assert!(text.contains(&format!("# HELP {family} ")), "{line}");
        assert!(text.contains(&format!("# TYPE {family} ")), "{line}");
    }
}

#[test]
fn types_are_those_that_the_names_promise() {
    let text = Metrics::new().unwrap().encode().unwrap();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for (name, kind) in types.map(|line| line.split_once(' ').unwrap()) {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} {kind}");
        assert!(!name.ends_with("_count") || kind == "untyped", "{name} {kind}");
    }
    assert!(text.contains("# TYPE process_cpu_seconds_total counter\n"));
}

#[test]
fn the_cpu_time_never_decreases() {
    let metrics = Metrics::new().unwrap();
    let seconds = || {
        let text = metrics.encode().unwrap();
        let line = text.lines().find(|line| line.starts_with("process_cpu_seconds_total")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let first = seconds();
    // Work until the clock of the kernel has advanced.
    while seconds() == first {}
    assert!(seconds() > first);
}

#[test]
fn a_route_has_a_histogram_from_its_first_response_that_is_no_client_error() {
    let metrics = Metrics::new().unwrap();
    let requests = &metrics.requests;
    let own = |path: &str| {
        let labels = format!("path=\"{path}\"}}");
        sum(&metrics.encode().unwrap(), "http_request_duration_seconds_count", &labels)
    };
    requests.start_at_zero("GET", "/agents", StatusCode::SERVICE_UNAVAILABLE);
    requests.record("GET", Some("/agents"), StatusCode::NOT_FOUND, 0.1);
    assert_eq!((own("/agents"), own("other")), (0, 1));
    requests.record("GET", Some("/agents"), StatusCode::OK, 0.1);
    requests.record("GET", Some("/agents"), StatusCode::NOT_FOUND, 0.1);
    assert_eq!((own("/agents"), own("other")), (2, 1));
    requests.record("GET", Some("/teams"), StatusCode::SERVICE_UNAVAILABLE, 0.1);
    requests.record("GET", Some("/teams"), StatusCode::NOT_MODIFIED, 0.1);
    assert_eq!(own("/teams"), 2);
    requests.record("HEAD", Some("/skills"), StatusCode::OK, 0.1);
    requests.record("GET", None, StatusCode::NOT_FOUND, 0.1);
    assert_eq!((own("/skills"), own("unmatched"), own("other")), (0, 0, 3));
}

#[test]
fn a_method_that_a_route_does_not_have_is_unmatched() {
    let metrics = Metrics::new().unwrap();
    metrics.requests.record("PUT", Some("/agents"), StatusCode::METHOD_NOT_ALLOWED, 0.1);
    metrics.requests.record("GET", None, StatusCode::NOT_FOUND, 0.1);
    let text = metrics.encode().unwrap();
    assert!(text.contains("{method=\"PUT\",path=\"unmatched\",status=\"405\"} 1\n"), "{text}");
    assert!(text.contains("{method=\"GET\",path=\"unmatched\",status=\"404\"} 1\n"), "{text}");
    assert!(!text.contains("/agents"), "{text}");
}

#[test]
fn the_text_of_requests_is_limited_and_complete() {
    let metrics = Metrics::new().unwrap();
    let paths: Vec<_> = (0..200).map(|i| format!("/api/v1/things/{i}/{{id}}/parts")).collect();
    let statuses = [200, 201, 304, 400, 401, 404, 422, 500, 503];
    let record = || {
        for path in &paths {
            for status in statuses {
                let status = StatusCode::from_u16(status).unwrap();
                metrics.requests.record("GET", Some(path), status, 0.02);
            }
        }
        metrics.encode().unwrap()
    };
    let text = record();
    let (counters, histograms) = ("http_requests_total{", "http_request_duration_seconds_");
    assert!(size(&text, counters) <= 50 * 1024, "{}", size(&text, counters));
    assert!(size(&text, histograms) <= 58 * 1024, "{}", size(&text, histograms));
    assert!(size(&text, histograms) >= 40 * 1024, "{}", size(&text, histograms));
    let all = (paths.len() * statuses.len()) as u64;
    let count = "http_request_duration_seconds_count";
    assert_eq!((sum(&text, counters, ""), sum(&text, count, "")), (all, all));
    assert_eq!(sum(&text, counters, "status=\"503\""), paths.len() as u64);
    let samples = text.lines().count();
    // The same series again: none is new, and each request is counted once.
    let text = record();
    assert_eq!((sum(&text, counters, ""), sum(&text, count, "")), (2 * all, 2 * all));
    assert_eq!(text.lines().count(), samples);
}

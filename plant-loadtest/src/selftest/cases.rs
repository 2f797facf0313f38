//! All cases of the self-test.

use super::{
    behavior::{Behavior, Effect, Fault, Metrics, Work},
    case::{Case, Command, Compared, Expected, Incident},
};

/// 100 arrivals per second for 5 s, after a warm-up.
const STEADY: &str =
    "model = \"open\"\nusers = 40\nrate = 100\nwarm_up = \"1s\"\nrun_time = \"6s\"\n";

/// The same for 12 s.
const LONGER: &str =
    "model = \"open\"\nusers = 40\nrate = 100\nwarm_up = \"1s\"\nrun_time = \"13s\"\n";

/// 10 users, about 95 requests per second.
const CLOSED: &str = "users = 10\nspawn_rate = 10\nwarm_up = \"1s\"\nrun_time = \"7s\"\n";

/// 20 arrivals per second for 4 s, of users that hand in work.
const WORKING: &str = "model = \"open\"\nusers = 10\nrate = 30\nwarm_up = \"1s\"\nrun_time = \"5s\"\n\
                       [[class]]\nname = \"WorkingUser\"\nweight = 1\n";

/// P95 of every endpoint, errors, and survival.
const USUAL: &str = "[[threshold]]\nendpoints = [\"*\"]\nfail = [\"p95 < 400ms\"]\n\
    [[threshold]]\nfail = [\"errors < 1%\", \"healthy_after < 2s\", \"restarts <= 0\"]\n";

const SURVIVAL: &str = "[[threshold]]\nfail = [\"healthy_after < 2s\", \"restarts <= 0\"]\n";

const WORK_DONE: &str =
    "[[threshold]]\nwork = \"work\"\nfail = [\"errors < 15%\", \"drain < 30s\"]\n";

const LATENCY: &str = "[[threshold]]\nendpoints = [\"*\"]\nwarn = [\"p95 < 400ms\"]\n";

const fn expect(grades: &'static [&'static str], culprit: &'static str) -> Expected {
    Expected { grades, culprit, innocent: "" }
}

const PASS: Expected = expect(&["PASS"], "");

/// The usual load and thresholds; cases differ from it.
const USUAL_CASE: Case = Case {
    name: "",
    truth: "",
    behavior: Behavior::CORRECT,
    load: STEADY,
    sla: USUAL,
    options: &[],
    incident: Incident::None,
    command: Command::Run,
    expected: PASS,
    compared: Compared::CountsAndLatency,
    short: false,
};

const fn fails(
    name: &'static str,
    truth: &'static str,
    faults: &'static [Fault],
    culprit: &'static str,
) -> Case {
    Case {
        name,
        truth,
        behavior: Behavior::with_faults(faults),
        expected: expect(&["FAIL"], culprit),
        ..USUAL_CASE
    }
}

const fn passes(name: &'static str, truth: &'static str, behavior: Behavior) -> Case {
    Case { name, truth, behavior, ..USUAL_CASE }
}

/// A correct server under a steady load, for null runs: 500 judged requests.
pub const NULL: Case = Case {
    name: "null",
    truth: "a correct server, a short steady load",
    load: "model = \"open\"\nusers = 40\nrate = 250\nwarm_up = \"1s\"\nrun_time = \"3s\"\n",
    ..USUAL_CASE
};

/// All cases.
pub const CASES: &[Case] = &[
    // Correct servers.
    Case {
        short: true,
        ..passes("null-open", "a correct server, steady arrivals", Behavior::CORRECT)
    },
    Case {
        load: CLOSED,
        short: true,
        ..passes("null-closed", "a correct server, ten users", Behavior::CORRECT)
    },
    Case {
        load: "model = \"open\"\narrivals = \"poisson\"\nusers = 40\nrate = 100\nwarm_up = \"1s\"\nrun_time = \"7s\"\n",
        ..passes("null-poisson", "a correct server, random arrivals", Behavior::CORRECT)
    },
    passes(
        "errors-in-warm-up",
        "all requests fail in the warm-up, none later",
        Behavior::with_faults(&[Fault::between("*", 0.0, 0.8, Effect::Status(500))]),
    ),
    passes(
        "slow-in-warm-up",
        "all requests are slow in the warm-up, none later",
        Behavior::with_faults(&[Fault::between("*", 0.0, 0.4, Effect::Delay(500))]),
    ),
    Case {
        sla: "[[threshold]]\nfail = [\"errors(timed-out, connection) < 1%\"]\n",
        ..passes(
            "other-kind-of-error",
            "a tenth of the responses is 404; only timeouts and lost connections are limited",
            Behavior::with_faults(&[Fault::of_share("*", 0.1, Effect::Status(404))]),
        )
    },
    Case {
        sla: "[[threshold]]\nfail = [\"errors < 8%\"]\nduring = \"run\"\nevery = \"1s\"\n",
        ..passes(
            "windows-of-the-whole-run",
            "a correct server, judged in every second of the run",
            Behavior::CORRECT,
        )
    },
    // Errors.
    Case {
        load: LONGER,
        sla: "[[threshold]]\nfail = [\"errors < 5%\"]\nevery = \"5s\"\n",
        ..fails(
            "errors-after-the-last-window",
            "all requests fail in the last 2 s, after the last whole window",
            &[Fault::between("*", 11.0, f64::INFINITY, Effect::Status(500))],
            "errors",
        )
    },
    Case {
        short: true,
        ..fails(
            "always-500",
            "one endpoint always answers 500",
            &[Fault::always("POST /items", Effect::Status(500))],
            "POST /items",
        )
    },
    Case {
        sla: LATENCY,
        ..fails(
            "always-500-no-error-limit",
            "one endpoint always answers 500, and the SLA limits latency only",
            &[Fault::always("POST /items", Effect::Status(500))],
            "POST /items",
        )
    },
    fails(
        "all-but-one-garbage",
        "three of four endpoints answer garbage",
        &[Fault::always("!GET /ping", Effect::Body("garbage"))],
        "GET /items",
    ),
    fails(
        "quiet-404",
        "one endpoint answers 404",
        &[Fault::always("GET /items/{id}", Effect::Status(404))],
        "GET /items/{id}",
    ),
    Case {
        short: true,
        ..fails(
            "wrong-shape",
            "one endpoint answers 200 with another shape",
            &[Fault::always("GET /items/{id}", Effect::Body("[]"))],
            "GET /items/{id}",
        )
    },
    fails(
        "empty-list",
        "a list that must have items is empty",
        &[Fault::always("GET /items", Effect::Body("[]"))],
        "GET /items",
    ),
    fails(
        "login-page",
        "one endpoint answers 200 with an HTML page",
        &[Fault::always("POST /items", Effect::Body("<html>Sign in</html>"))],
        "POST /items",
    ),
    fails(
        "redirect",
        "one endpoint redirects",
        &[Fault::always("GET /ping", Effect::Status(302))],
        "GET /ping",
    ),
    fails(
        "no-content",
        "one endpoint answers 204",
        &[Fault::always("POST /items", Effect::Status(204))],
        "POST /items",
    ),
    fails(
        "truncated",
        "the bodies of one endpoint end in the middle",
        &[Fault::always("GET /items", Effect::Truncate)],
        "GET /items",
    ),
    Case {
        short: true,
        ..fails(
            "resets",
            "a fifth of one endpoint's connections is closed",
            &[Fault::of_share("GET /items", 0.2, Effect::Reset)],
            "GET /items",
        )
    },
    fails(
        "sheds-load",
        "a third of the requests is refused with 429",
        &[Fault::of_share("*", 0.33, Effect::Status(429))],
        "errors",
    ),
    Case {
        compared: Compared::Counts,
        options: &["--timeout", "1s"],
        ..fails(
            "timeouts",
            "a twentieth of the requests is never answered",
            &[Fault::of_share("POST /items", 0.2, Effect::Hang)],
            "POST /items",
        )
    },
    Case {
        sla: "[[threshold]]\nfail = [\"errors < 0.01%\"]\n",
        expected: expect(&["INSUFFICIENT"], "errors"),
        ..passes(
            "one-error-of-500",
            "one request of 500 fails; the limit is one of 10,000",
            Behavior::with_faults(&[Fault::once("*", 2.0, Effect::Status(500))]),
        )
    },
    // Latency.
    Case {
        short: true,
        ..fails(
            "slow-endpoint",
            "one endpoint takes 900 ms",
            &[Fault::always("POST /items", Effect::Delay(900))],
            "POST /items: P95",
        )
    },
    fails(
        "slow-body",
        "the bodies of one endpoint take 900 ms",
        &[Fault::always("GET /items", Effect::SlowBody(900))],
        "GET /items: P95",
    ),
    fails(
        "slow-tenth",
        "a tenth of all requests takes 900 ms",
        &[Fault::of_share("*", 0.1, Effect::Delay(900))],
        "P95",
    ),
    fails("stall", "no response for 1.5 s", &[Fault::between("*", 3.0, 4.5, Effect::Stall)], "P95"),
    fails(
        "slow-failures",
        "one endpoint fails after 900 ms",
        &[Fault::always("POST /items", Effect::SlowStatus(503, 900))],
        "POST /items",
    ),
    Case {
        // Of 20 requests most open a connection, which the server does not see.
        compared: Compared::Counts,
        load: "model = \"open\"\nusers = 20\nrate = 7\nrun_time = \"3s\"\n",
        sla: LATENCY,
        expected: expect(&["INSUFFICIENT"], "samples"),
        ..passes(
            "few-samples-p95",
            "20 requests, a tenth of them slow",
            Behavior::with_faults(&[Fault::of_share("*", 0.1, Effect::Delay(900))]),
        )
    },
    Case {
        load: "model = \"open\"\nusers = 40\nrate = 50\nrun_time = \"5s\"\n",
        sla: "[[threshold]]\nendpoints = [\"*\"]\nfail = [\"p99 < 400ms\"]\n",
        expected: expect(&["INSUFFICIENT", "FAIL"], "P99"),
        ..passes(
            "few-samples-p99",
            "250 requests, 2 % of them slow; P99 is limited",
            Behavior::with_faults(&[Fault::of_share("*", 0.02, Effect::Delay(900))]),
        )
    },
    Case {
        options: &["--timeout", "2s"],
        expected: Expected { grades: &["FAIL"], culprit: "/items", innocent: "FAIL: GET /ping" },
        load: "model = \"open\"\nusers = 20\nrate = 60\nwarm_up = \"1s\"\nrun_time = \"8s\"\n",
        compared: Compared::Counts,
        ..fails(
            "hangs-all-but-one",
            "all but one endpoint hang, so that users are missing for it",
            &[Fault::always("!GET /ping", Effect::Hang)],
            "",
        )
    },
    // Throughput.
    Case {
        compared: Compared::Counts,
        sla: "[[threshold]]\nfail = [\"rate >= 90/s\"]\n",
        behavior: Behavior {
            max_concurrent: 1,
            ..Behavior::with_faults(&[Fault::always("*", Effect::Delay(20))])
        },
        ..fails("rate-not-reached", "the server manages 50 of 100 requests per second", &[], "rate")
    },
    Case {
        sla: "[[threshold]]\nfail = [\"rate >= 80/s\"]\n",
        ..fails(
            "failures-are-no-throughput",
            "half of the responses are errors",
            &[Fault::of_share("*", 0.5, Effect::Status(500))],
            "rate",
        )
    },
    // What users count, and statuses.
    Case {
        sla: "[[threshold]]\nfail = [\"count(created) >= 80\", \"rate(created) >= 16/s\"]\n",
        ..passes("counted", "users create 25 items per second", Behavior::CORRECT)
    },
    Case {
        sla: "[[threshold]]\nfail = [\"count(created) >= 80\"]\n",
        ..fails(
            "count-not-reached",
            "two thirds of the items are not created",
            &[Fault::of_share("POST /items", 0.67, Effect::Status(503))],
            "created",
        )
    },
    Case {
        sla: "[[threshold]]\ntag = \"read\"\nfail = [\"status(429) < 5%\"]\n",
        ..fails(
            "status-share",
            "a fifth of the reading requests is refused with 429",
            &[Fault::of_share("GET /items", 0.2, Effect::Status(429))],
            "responses 429",
        )
    },
    Case {
        load: "model = \"open\"\nusers = 40\nrate = 100\nrun_time = \"60s\"\n",
        sla: "[[threshold]]\nfail = [\"errors < 5%\"]\nabort_on_fail = true\n",
        compared: Compared::Nothing,
        short: true,
        ..fails(
            "aborted",
            "one endpoint always answers 500, and that aborts the run of 60 s",
            &[Fault::always("POST /items", Effect::Status(500))],
            "it aborted the run",
        )
    },
    // The course of a run.
    Case {
        load: LONGER,
        sla: "[[threshold]]\nendpoints = [\"*\"]\nwarn = [\"p95 < 400ms\"]\n\
              [[threshold]]\nfail = [\"drift < 20% window 5s\"]\n",
        ..fails(
            "drift",
            "every second adds 10 ms",
            &[Fault::always("*", Effect::DelayPerSecond(10))],
            "drift",
        )
    },
    Case {
        load: "model = \"open\"\nusers = 40\nrate = 20\nrun_time = \"45s\"\n",
        sla: "[[threshold]]\nwarn = [\"errors < 1%\"]\nfail = [\"memory_growth < 20% over 60s\"]\n",
        behavior: Behavior::with_metrics(Metrics::MemoryGrows(5.0)),
        ..fails(
            "leak",
            "memory grows by 10 % a second; 20 % a minute is allowed",
            &[],
            "memory growth",
        )
    },
    Case {
        load: "model = \"open\"\nusers = 40\nrate = 20\nrun_time = \"45s\"\n",
        sla: "[[threshold]]\nwarn = [\"errors < 1%\"]\nfail = [\"memory_growth < 20% over 24h\"]\n",
        expected: expect(&["INSUFFICIENT"], "memory growth"),
        ..passes(
            "short-run-of-a-leak",
            "memory grows sixfold in 45 s; 20 % a day is allowed",
            Behavior::with_metrics(Metrics::MemoryGrows(5.0)),
        )
    },
    Case {
        load: SPIKE,
        sla: RECOVERY,
        ..fails(
            "no-recovery",
            "the server stays slow after a spike",
            &[Fault::between("*", 6.0, f64::INFINITY, Effect::Delay(80))],
            "recovery",
        )
    },
    Case {
        load: SPIKE,
        sla: RECOVERY,
        ..passes(
            "recovery",
            "the server is slow during a spike only",
            Behavior::with_faults(&[Fault::between("*", 6.0, 9.0, Effect::Delay(80))]),
        )
    },
    // The process of the service.
    Case {
        sla: "[[threshold]]\nfail = [\"memory < 500MiB\"]\n",
        expected: expect(&["INSUFFICIENT"], "sampled"),
        ..passes(
            "metrics-die",
            "`/metrics` fails after 2 s",
            Behavior::with_metrics(Metrics::DeadFrom(2.0)),
        )
    },
    Case {
        sla: SURVIVAL,
        behavior: Behavior::with_metrics(Metrics::Restart { silent_from: 2.0, at: 4.0 }),
        ..fails("restart-unseen", "the server restarts while `/metrics` fails", &[], "restarts")
    },
    Case {
        sla: SURVIVAL,
        behavior: Behavior::with_metrics(Metrics::Missing),
        incident: Incident::KillServer(2.0),
        compared: Compared::Nothing,
        ..fails("service-killed", "the server is killed and started again", &[], "restarts")
    },
    Case {
        sla: SURVIVAL,
        ..passes(
            "one-scrape-missing",
            "one scrape fails; the exported process is not the one that listens",
            Behavior::with_metrics(Metrics::OneMissing(3.0)),
        )
    },
    Case {
        sla: "[[threshold]]\nfail = [\"cpu < 70%\"]\n",
        incident: Incident::PinGenerator,
        ..passes(
            "generator-pinned",
            "the server uses half of its CPUs; the generator has one",
            Behavior::with_metrics(Metrics::UsesCpus(1.0)),
        )
    },
    Case {
        sla: "[[threshold]]\nfail = [\"cpu < 70%\"]\n",
        behavior: Behavior::with_metrics(Metrics::UsesCpus(1.8)),
        ..fails("cpu-full", "the server uses 90 % of its CPUs", &[], "CPU")
    },
    Case {
        behavior: Behavior { stays_healthy: false, ..Behavior::CORRECT },
        ..fails("unhealthy-after-load", "/health fails once the load has begun", &[], "/health")
    },
    // The load generator.
    Case {
        load: "model = \"open\"\nusers = 40\nrate = 100\nrun_time = \"60s\"\n",
        incident: Incident::Terminate(3.0),
        compared: Compared::Nothing,
        expected: expect(&["INSUFFICIENT"], "interrupted"),
        short: true,
        ..passes("terminated", "the run is ended after 3 of 60 s", Behavior::CORRECT)
    },
    Case {
        load: "model = \"open\"\nusers = 40\n[[stage]]\nname = \"calm\"\nrate = 100\nlasts = \"5s\"\n[[stage]]\nname = \"storm\"\nrate = 200\nlasts = \"30s\"\n",
        incident: Incident::Interrupt(6.0),
        compared: Compared::Nothing,
        expected: expect(&["INSUFFICIENT"], "interrupted"),
        ..passes(
            "interrupted-after-a-stage",
            "the run is ended after its first stage",
            Behavior::CORRECT,
        )
    },
    Case {
        load: "model = \"open\"\nusers = 40\nrate = 50\nrun_time = \"30s\"\n",
        sla: "[[threshold]]\nfail = [\"rate >= 48/s\"]\n",
        incident: Incident::Interrupt(6.0),
        compared: Compared::Nothing,
        expected: expect(&["INSUFFICIENT"], "interrupted"),
        ..passes(
            "interrupted-rate",
            "50 requests per second until the run is ended",
            Behavior::CORRECT,
        )
    },
    Case {
        load: "model = \"open\"\nusers = 40\nrate = 100\nrun_time = \"60s\"\n",
        incident: Incident::KillGenerator(4.0),
        compared: Compared::Nothing,
        expected: expect(&["INSUFFICIENT"], "killed"),
        ..passes(
            "generator-killed",
            "the load generator is killed after 4 of 60 s",
            Behavior::CORRECT,
        )
    },
    Case {
        compared: Compared::Counts,
        load: LONGER,
        incident: Incident::Freeze { at: 4.0, seconds: 1.5 },
        expected: expect(&["INVALID"], "stood still"),
        short: true,
        ..passes("frozen-generator", "the load generator stands still for 1.5 s", Behavior::CORRECT)
    },
    Case {
        compared: Compared::Counts,
        load: LONGER,
        incident: Incident::Freeze { at: 4.0, seconds: 1.5 },
        ..fails(
            "frozen-generator-bad-server",
            "one endpoint always answers 500, and the load generator stands still for 1.5 s",
            &[Fault::always("POST /items", Effect::Status(500))],
            "POST /items",
        )
    },
    Case {
        load: "model = \"open\"\nusers = 2\nrate = 50\nwarm_up = \"1s\"\nrun_time = \"8s\"\n",
        options: &["--timeout", "1s"],
        ..fails(
            "too-few-users",
            "users are busy so long that arrivals are dropped",
            &[Fault::always("*", Effect::Delay(300))],
            "P95",
        )
    },
    // Accepted work.
    Case {
        load: WORKING,
        sla: WORK_DONE,
        ..passes("work-done", "all accepted work is completed", Behavior::CORRECT)
    },
    Case {
        load: WORKING,
        sla: WORK_DONE,
        behavior: Behavior::with_work(Work::Disappears(0.4)),
        options: &["--drain-timeout", "2s"],
        ..fails("work-lost", "two fifths of the accepted work disappear", &[], "accepted work")
    },
    Case {
        load: WORKING,
        sla: WORK_DONE,
        behavior: Behavior::with_work(Work::Fails(0.4)),
        ..fails("work-fails", "two fifths of the accepted work fail", &[], "accepted work")
    },
    Case {
        load: WORKING,
        sla: WORK_DONE,
        ..passes(
            "tokens-expire",
            "tokens are valid for 2 s only",
            Behavior::with_work(Work::TokensExpire(2)),
        )
    },
    Case {
        load: WORKING,
        sla: WORK_DONE,
        options: &["--drain-timeout", "2s"],
        expected: expect(&["INSUFFICIENT"], "could not be read"),
        ..passes(
            "work-unreadable",
            "the list of accepted work fails after the load",
            Behavior::with_work(Work::ListUnavailable),
        )
    },
    Case {
        load: WORKING,
        sla: WORK_DONE,
        behavior: Behavior::with_work(Work::IsDoubled(0.1)),
        ..fails(
            "work-doubled",
            "a tenth of the accepted work is done twice, which the SLA does not mention",
            &[],
            "doubled",
        )
    },
    Case {
        load: WORKING,
        sla: WORK_DONE,
        behavior: Behavior::with_work(Work::HasOneId),
        ..fails("work-of-one-id", "all accepted work gets the same id", &[], "have this id")
    },
    Case {
        load: WORKING,
        sla: WORK_DONE,
        expected: expect(&["INSUFFICIENT"], "not credible"),
        ..passes(
            "work-in-the-past",
            "the list shows a tenth of the accepted work as done seven years ago",
            Behavior::with_work(Work::IsInThePast(0.1, 2557)),
        )
    },
    Case {
        load: WORKING,
        sla: WORK_DONE,
        expected: expect(&["INSUFFICIENT"], "not credible"),
        ..passes(
            "work-that-takes-nothing",
            "the list shows all accepted work as started when it ended",
            Behavior::with_work(Work::StartsAtItsEnd),
        )
    },
    Case {
        load: WORKING,
        sla: WORK_DONE,
        incident: Incident::Interrupt(7.0),
        expected: expect(&["INSUFFICIENT"], "had not ended"),
        ..passes(
            "interrupted-wait-for-work",
            "the load is complete, and the wait for accepted work is ended by the user",
            Behavior::with_work(Work::NeverEnds),
        )
    },
    // Other commands.
    Case {
        command: Command::Compare,
        load: "model = \"open\"\nusers = 40\nrate = 100\nrun_time = \"2s\"\n",
        expected: expect(&["REGRESSED"], "errors"),
        compared: Compared::Nothing,
        ..passes(
            "faster-by-refusing",
            "the new version answers a third at once with 503",
            Behavior::with_faults(&[Fault::of_share("*", 0.33, Effect::Status(503))]),
        )
    },
    Case {
        command: Command::Capacity,
        sla: "[[threshold]]\nendpoints = [\"*\"]\nwarn = [\"p95 < 5s\"]\n",
        load: "users = 1\nspawn_rate = 1\nrun_time = \"2s\"\n",
        options: &["--from", "1", "--most", "1", "--step", "2s"],
        expected: expect(&["NOT DECIDABLE"], "Not decidable"),
        compared: Compared::Nothing,
        ..passes(
            "capacity-of-a-slow-server",
            "responses take 1.5 s, so that a step has too few requests",
            Behavior::with_faults(&[Fault::always("*", Effect::Delay(1500))]),
        )
    },
];

/// A calm stage, a spike, and a calm stage.
const SPIKE: &str = "model = \"open\"\nusers = 60\n\
    [[stage]]\nname = \"calm\"\nrate = 60\nlasts = \"6s\"\n\
    [[stage]]\nname = \"spike\"\nrate = 200\nlasts = \"3s\"\n\
    [[stage]]\nname = \"after\"\nrate = 60\nlasts = \"15s\"\n";

const RECOVERY: &str = "[[threshold]]\nwarn = [\"errors < 1%\"]\nfail = [\"recovery < 50%\"]\n";

//! Runs a case: starts the server and the load generator, and compares verdict and counts with the
//! truth.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use rustix::process::Signal;
use tokio::time::sleep;

use super::{
    case::{Case, Command, Compared, Incident},
    cases,
    process::{GeneratorProcess, ServerProcess},
    truth::Truth,
};
use crate::{outcome::Outcome, report::json};

/// How long a killed server stays away.
const SERVER_PAUSE: Duration = Duration::from_millis(500);

/// Runs per side of a comparison.
const RUNS_PER_SIDE: usize = 5;

/// Result of one case.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// The case.
    pub case: &'static Case,
    /// Grade that the program gave, such as `PASS`.
    pub grade: String,
    /// First line that it printed.
    pub first_line: String,
    /// What is wrong; empty if verdict, culprit and counts are right.
    pub problems: Vec<String>,
}

impl CaseResult {
    /// Returns whether the grade is one of the right ones.
    #[must_use]
    pub fn has_right_grade(&self) -> bool {
        self.case.expected.grades.contains(&self.grade.as_str())
    }

    /// Returns whether the first line names the culprit and blames nobody innocent.
    #[must_use]
    pub fn names_culprit(&self) -> bool {
        let expected = &self.case.expected;
        self.first_line.contains(expected.culprit)
            && (expected.innocent.is_empty() || !self.first_line.starts_with(expected.innocent))
    }
}

/// Settings of the self-test.
#[derive(Clone, Debug)]
pub struct Runner {
    /// Path of this program.
    pub program: PathBuf,
    /// Folder for the files of the cases.
    pub folder: PathBuf,
    /// Whether latencies are compared with the servers' logs.
    pub compare_latency: bool,
}

/// Returns the profile of `case` as TOML.
#[must_use]
pub fn profile_text(case: &Case) -> String {
    let class = match case.load.contains("[[class]]") {
        true => "",
        false => "[[class]]\nname = \"SelftestUser\"\nweight = 1\n",
    };
    format!(
        "name = \"{}\"\ndescription = \"{}.\"\nsla = \"sla.toml\"\n{}{class}",
        case.name, case.truth, case.load
    )
}

/// Returns the SLA of `case` as TOML.
#[must_use]
pub fn sla_text(case: &Case) -> String {
    format!("name = \"{}\"\n{}", case.name, case.sla)
}

impl Runner {
    /// Runs `case` in the folder `name` and judges the result.
    ///
    /// # Errors
    /// When a process cannot be started, or a file cannot be written or read.
    pub async fn run(&self, case: &'static Case, name: &str) -> io::Result<CaseResult> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("profile.toml"), profile_text(case))?;
        fs::write(folder.join("sla.toml"), sla_text(case))?;
        let log = folder.join("truth.log");
        fs::write(&log, "")?;
        let output = match case.command {
            Command::Run => self.run_once(case, &folder, &log, "out.json").await?,
            Command::Capacity => self.search_capacity(case, &folder, &log).await?,
            Command::Compare => self.compare(case, &folder, &log).await?,
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        fs::write(folder.join("output.txt"), &text)?;
        fs::write(folder.join("errors.txt"), &output.stderr)?;
        let outcome = json::read(&folder.join("out.json")).ok();
        Ok(self.judge(case, &output, &text, &log, outcome.as_ref()))
    }

    async fn run_once(
        &self,
        case: &Case,
        folder: &Path,
        log: &Path,
        outcome: &str,
    ) -> io::Result<Output> {
        let mut server = ServerProcess::start(&self.program, case, log).await?;
        let mut arguments = vec!["run", "profile.toml", "--headless", "--quiet", "--no-color"];
        // The first line has all reasons then.
        arguments.extend(["--verbose", "--json", outcome, "--html", "report.html", "--host"]);
        let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        arguments.push(server.host());
        arguments.extend(case.options.iter().map(|option| (*option).to_owned()));
        let pinned = case.incident == Incident::PinGenerator;
        let generator = GeneratorProcess::start(&self.program, folder, &arguments, pinned)?;
        cause(case.incident, &mut server, &generator).await?;
        let output = generator.output().await?;
        if !matches!(case.incident, Incident::KillGenerator(_)) {
            return Ok(output);
        }
        // What is left of a killed run is judged later.
        let report = ["report", outcome, "--no-color"].map(str::to_owned);
        GeneratorProcess::start(&self.program, folder, &report, false)?.output().await
    }

    async fn search_capacity(&self, case: &Case, folder: &Path, log: &Path) -> io::Result<Output> {
        let server = ServerProcess::start(&self.program, case, log).await?;
        let mut arguments: Vec<String> =
            ["capacity", "profile.toml", "--host"].map(str::to_owned).into();
        arguments.push(server.host());
        arguments.extend(case.options.iter().map(|option| (*option).to_owned()));
        GeneratorProcess::start(&self.program, folder, &arguments, false)?.output().await
    }

    /// Runs the load five times against a correct server and five times against that of `case`,
    /// alternating, and compares the two.
    async fn compare(&self, case: &Case, folder: &Path, log: &Path) -> io::Result<Output> {
        for number in 1..=RUNS_PER_SIDE {
            for (side, of) in [("base", &cases::NULL), ("new", case)] {
                let of = Case { incident: Incident::None, ..*of };
                self.run_once(&of, folder, log, &format!("{side}-{number}.json")).await?;
            }
        }
        let side = |name: &str| {
            let name = name.to_owned();
            (1..=RUNS_PER_SIDE).map(move |number| format!("{name}-{number}.json"))
        };
        let arguments = ["compare".to_owned()].into_iter().chain(side("base"));
        let arguments: Vec<String> =
            arguments.chain(["--".to_owned()]).chain(side("new")).collect();
        GeneratorProcess::start(&self.program, folder, &arguments, false)?.output().await
    }

    fn judge(
        &self,
        case: &'static Case,
        output: &Output,
        text: &str,
        log: &Path,
        outcome: Option<&Outcome>,
    ) -> CaseResult {
        let first_line = match case.command {
            // The first line says that no load was held, the second one why.
            Command::Capacity => text.lines().take(2).collect::<Vec<_>>().join(" "),
            _ => text.lines().next().unwrap_or_default().to_owned(),
        };
        let grade = match (case.command, output.status.code()) {
            (Command::Capacity, Some(4)) => "NOT DECIDABLE".to_owned(),
            (Command::Capacity, _) => "DECIDED".to_owned(),
            _ => first_line.split(':').next().unwrap_or_default().trim().to_owned(),
        };
        let mut result = CaseResult { case, grade, first_line, problems: Vec::new() };
        if !result.has_right_grade() {
            let right = case.expected.grades.join(" or ");
            result
                .problems
                .push(format!("{} instead of {right}: {}", result.grade, result.first_line));
        } else if !result.names_culprit() {
            let named = case.expected.culprit;
            result.problems.push(format!("{named} is not named first: {}", result.first_line));
        }
        if case.compared != Compared::Nothing {
            result.problems.extend(self.compare_with_log(case, log, outcome));
        }
        result
    }

    fn compare_with_log(&self, case: &Case, log: &Path, outcome: Option<&Outcome>) -> Vec<String> {
        let (Some(outcome), Ok(truth)) = (outcome, Truth::read(log)) else {
            return vec!["there is no outcome or no log to compare".to_owned()];
        };
        let mut problems = truth.compare_counts(outcome);
        if self.compare_latency && case.compared == Compared::CountsAndLatency {
            problems.extend(truth.compare_latency(outcome));
        }
        problems
    }
}

/// Waits for the moment of the incident and causes it.
async fn cause(
    incident: Incident,
    server: &mut ServerProcess,
    generator: &GeneratorProcess,
) -> io::Result<()> {
    let after = |at: f64| Duration::from_secs_f64(at);
    if !matches!(incident, Incident::None | Incident::PinGenerator) {
        server.wait_for_load().await;
    }
    match incident {
        Incident::None | Incident::PinGenerator => {}
        Incident::Interrupt(at) => {
            sleep(after(at)).await;
            generator.signal(Signal::INT);
        }
        Incident::Terminate(at) => {
            sleep(after(at)).await;
            generator.signal(Signal::TERM);
        }
        Incident::KillGenerator(at) => {
            sleep(after(at)).await;
            generator.signal(Signal::KILL);
        }
        Incident::Freeze { at, seconds } => {
            sleep(after(at)).await;
            generator.signal(Signal::STOP);
            sleep(after(seconds)).await;
            generator.signal(Signal::CONT);
        }
        Incident::KillServer(at) => {
            sleep(after(at)).await;
            server.restart(SERVER_PAUSE).await?;
        }
    }
    Ok(())
}

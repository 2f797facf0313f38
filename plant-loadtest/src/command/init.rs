//! `init`: writes a starter profile, or one made from what a team has.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use super::{CommandError, Exit};
use crate::{
    client,
    console::print,
    harness::Harness,
    init::{
        ConvertError, LONGEST_TEXT,
        draft::{Draft, RemarkKind},
        har, locust, openapi,
        toml_text::{self, Heading},
    },
    target,
};

const STARTER: &str = include_str!("starter/profile.toml");

/// How long the download of a document may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArguments {
    /// Path of the new profile; existing files are not overwritten
    #[arg(default_value = "my-load.toml")]
    pub file: PathBuf,

    /// Make a task of each operation of an OpenAPI 3 document (JSON or YAML)
    #[arg(long, value_name = "FILE|URL", group = "source")]
    pub openapi: Option<String>,

    /// Make a sequence of the requests of a recorded browser session (HAR)
    #[arg(long, value_name = "FILE", group = "source")]
    pub har: Option<PathBuf>,

    /// Make user classes of those of a Locust file, which is read but not run
    #[arg(long, value_name = "FILE", group = "source")]
    pub locust: Option<PathBuf>,

    /// Base URL of the service; with --har, the origin whose requests are kept
    #[arg(short = 'H', long, value_name = "URL")]
    pub host: Option<String>,

    /// Allow --openapi to fetch from other machines
    #[arg(long)]
    pub allow_remote: bool,
}

/// A converted text.
struct Conversion {
    draft: Draft,
    /// The command that wrote the profile, for its heading.
    command: String,
}

/// Writes a profile and prints what was left out. Existing files are not overwritten.
///
/// # Errors
/// When a file exists, cannot be read, converted or written.
pub async fn init(harness: &Harness, arguments: &InitArguments) -> Result<Exit, CommandError> {
    let profile = &arguments.file;
    if profile.exists() {
        return Err(format!(
            "{} already exists and is not overwritten; choose another name",
            profile.display()
        )
        .into());
    }
    let name = profile.file_stem().and_then(|stem| stem.to_str()).unwrap_or("my-load");
    let Some(conversion) = convert(harness.name, arguments).await? else {
        write(profile, &STARTER.replace("my-load", name).replace("plant-loadtest", harness.name))?;
        print(&format!(
            "{} written\n\n{}",
            profile.display(),
            next_commands(harness.name, profile)
        ));
        return Ok(Exit::Success);
    };
    let Conversion { mut draft, command } = conversion;
    if let Some(host) = &arguments.host {
        draft.host = Some(host.trim_end_matches('/').to_owned());
    }
    draft.rename_classes(|name| harness.find_class(name).is_some());
    let files =
        toml_text::csv_files(&draft, name).map_err(|error| CommandError::could_not_run(&error))?;
    for (file, text) in &files {
        write(&profile.with_file_name(file), text)?;
    }
    write(profile, &toml_text::render(&draft, Heading { name, command: &command }))?;
    print(&summary(harness.name, profile, &draft, &files));
    Ok(Exit::Success)
}

async fn convert(
    program: &str,
    arguments: &InitArguments,
) -> Result<Option<Conversion>, CommandError> {
    let host = arguments.host.as_deref();
    let (option, source, draft) = if let Some(source) = &arguments.openapi {
        let (text, origin) = if source.starts_with("http://") || source.starts_with("https://") {
            fetch(source, arguments.allow_remote).await?
        } else {
            (read(Path::new(source))?, None)
        };
        let origin = host.map(str::to_owned).or(origin);
        ("openapi", source.clone(), openapi::convert(source, &text, origin.as_deref())?)
    } else if let Some(file) = &arguments.har {
        let source = file.display().to_string();
        let draft = har::convert(&source, &read(file)?, host)?;
        ("har", source, draft)
    } else if let Some(file) = &arguments.locust {
        let source = file.display().to_string();
        let draft = locust::convert(&source, &read(file)?)?;
        ("locust", source, draft)
    } else {
        return Ok(None);
    };
    let command = format!("{program} init --{option} {source}");
    Ok(Some(Conversion { draft, command }))
}

fn summary(program: &str, profile: &Path, draft: &Draft, files: &[(String, String)]) -> String {
    let classes = match draft.classes.len() {
        1 => "1 user class".to_owned(),
        count => format!("{count} user classes"),
    };
    let tasks = match draft.active_tasks() {
        1 => "1 task".to_owned(),
        count => format!("{count} tasks"),
    };
    let mut text = format!("{} written: {classes}, {tasks}\n", profile.display());
    for (file, _) in files {
        text += &format!("{} written\n", profile.with_file_name(file).display());
    }
    for kind in [RemarkKind::ToDo, RemarkKind::LeftOut, RemarkKind::Changed] {
        let of_kind: Vec<String> = draft
            .remarks
            .iter()
            .filter(|remark| remark.kind == kind)
            .map(|remark| format!("  - {remark}\n"))
            .collect();
        if !of_kind.is_empty() {
            text += &format!("\n{}:\n{}", kind.heading(), of_kind.concat());
        }
    }
    format!("{text}\n{}", next_commands(program, profile))
}

fn next_commands(program: &str, profile: &Path) -> String {
    let profile = profile.display();
    format!(
        "Next:\n  {program} validate {profile}\n  {program} run {profile} --dry-run\n  \
         {program} run {profile}"
    )
}

/// Reads a text file.
fn read(file: &Path) -> Result<String, CommandError> {
    let place = file.display().to_string();
    let mut bytes = Vec::new();
    let opened = fs::File::open(file);
    let read = opened.and_then(|file| file.take(LONGEST_TEXT as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| ConvertError::new(&place, format!("cannot be read: {error}")))?;
    Ok(text(&place, bytes)?)
}

/// Fetches a document; returns it with the origin of the URL.
async fn fetch(url: &str, allow_remote: bool) -> Result<(String, Option<String>), CommandError> {
    target::parse_address(url, allow_remote).await?;
    let failed = |error: reqwest::Error| {
        CommandError::new(Exit::CouldNotRun, &format!("{url} cannot be fetched: {error}"))
    };
    let http = client::checks_client(url, FETCH_TIMEOUT).map_err(failed)?;
    let mut response = http.get(url).send().await.map_err(failed)?;
    if !response.status().is_success() {
        let message = format!("{url} cannot be fetched: status {}", response.status());
        return Err(CommandError::new(Exit::CouldNotRun, &message));
    }
    let origin = response.url().origin().ascii_serialization();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LONGEST_TEXT {
            break;
        }
    }
    Ok((text(url, bytes)?, Some(origin)))
}

fn text(place: &str, bytes: Vec<u8>) -> Result<String, ConvertError> {
    if bytes.len() > LONGEST_TEXT {
        return Err(ConvertError::new(place, format!("longer than {} MiB", LONGEST_TEXT >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        ConvertError::new(format!("{place}:{line}"), "not UTF-8")
    })
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
    };
    write().map_err(|error| {
        let exit =
            if error.kind() == ErrorKind::AlreadyExists { Exit::Usage } else { Exit::CouldNotRun };
        CommandError::new(exit, &format!("{} cannot be written: {error}", path.display()))
    })
}

impl From<ConvertError> for CommandError {
    fn from(error: ConvertError) -> Self {
        Self::new(Exit::Usage, &error)
    }
}

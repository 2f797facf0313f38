//! What a program built on this library adds to it: user classes, profiles, SLA files, and what it
//! knows of its service.

use std::time::Duration;

use crate::{
    built_in::BuiltInFile,
    class_options::{ClassOption, ClassOptions},
    scenario::{Check, UserClass, ping_user, selftest_user, working_user},
    service::Service,
    stub::Responses,
};

/// Returns the responses of a stub whose lists have this many items.
pub type StubResponses = fn(usize) -> Responses;

/// Profiles that the command `suite` runs one after the other.
#[derive(Debug)]
pub struct Suite {
    /// Name.
    pub name: &'static str,
    /// One-line description, printed by `list`.
    pub description: &'static str,
    /// Names of built-in profiles, in this order.
    pub profiles: &'static [&'static str],
    /// Pause after each profile but the last.
    pub cool_down: Duration,
    /// Runs before each profile, such as a deletion of the data of the one before.
    pub prepare: Option<&'static Check>,
}

/// A load-test program for a service.
///
/// ```no_run
/// use plant_loadtest::harness::Harness;
///
/// fn main() -> std::process::ExitCode {
///     Harness::new("shop-loadtest").main()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Harness {
    /// Name of the program.
    pub name: &'static str,
    /// User classes that profiles may name.
    pub classes: Vec<&'static UserClass>,
    /// Built-in profiles.
    pub profiles: &'static [BuiltInFile],
    /// Built-in SLA files.
    pub slas: &'static [BuiltInFile],
    /// The service under test.
    pub service: Service,
    /// Options of the command line for the user classes.
    pub options: &'static [ClassOption],
    /// Values of `options`.
    pub option_values: ClassOptions,
    /// Suites of profiles.
    pub suites: &'static [Suite],
    /// Responses of the command `stub`; `None`: every response is the same.
    pub stub_responses: Option<StubResponses>,
}

impl Harness {
    /// Returns a harness without user classes and files for the default [`Service`]. `name` is the name
    /// of the program.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            classes: Vec::new(),
            profiles: &[],
            slas: &[],
            service: Service::default(),
            options: &[],
            option_values: ClassOptions::default(),
            suites: &[],
            stub_responses: None,
        }
    }

    /// Adds a user class.
    #[must_use]
    pub fn class(self, class: &'static UserClass) -> Self {
        self.classes([class])
    }

    /// Adds user classes.
    #[must_use]
    pub fn classes(mut self, classes: impl IntoIterator<Item = &'static UserClass>) -> Self {
        self.classes.extend(classes);
        self
    }

    /// Sets the built-in profiles, in the order in which `list` prints them.
    #[must_use]
    pub fn profiles(self, profiles: &'static [BuiltInFile]) -> Self {
        Self { profiles, ..self }
    }

    /// Sets the built-in SLA files.
    #[must_use]
    pub fn slas(self, slas: &'static [BuiltInFile]) -> Self {
        Self { slas, ..self }
    }

    /// Sets the service under test.
    #[must_use]
    pub fn service(self, service: Service) -> Self {
        Self { service, ..self }
    }

    /// Adds options to the commands that generate load, for the user classes.
    #[must_use]
    pub fn options(self, options: &'static [ClassOption]) -> Self {
        Self { options, option_values: ClassOptions::read(options, None), ..self }
    }

    /// Sets the suites of the command `suite`.
    #[must_use]
    pub fn suites(self, suites: &'static [Suite]) -> Self {
        Self { suites, ..self }
    }

    /// Sets the responses of the command `stub`.
    #[must_use]
    pub fn stub_responses(self, responses: StubResponses) -> Self {
        Self { stub_responses: Some(responses), ..self }
    }

    /// Returns the user class with this `name`: one of the program, or one for the servers that
    /// `calibrate` and `selftest` start.
    #[must_use]
    pub fn find_class(&self, name: &str) -> Option<&'static UserClass> {
        let own = [&ping_user::CLASS, &selftest_user::CLASS, &working_user::CLASS];
        self.classes.iter().copied().chain(own).find(|class| class.name == name)
    }
}

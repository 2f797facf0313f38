//! Options that a program adds to the command line for its user classes, such as a secret.

use std::{collections::BTreeMap, fmt, sync::Arc};

use clap::{Arg, ArgMatches};

/// An option of the commands that generate load, for the user classes of a program.
#[derive(Clone, Copy, Debug)]
pub struct ClassOption {
    /// Name, as in `--webhook-secret`.
    pub name: &'static str,
    /// Name of the value in the help text.
    pub value_name: &'static str,
    /// Environment variable that sets it.
    pub env: &'static str,
    /// Value if it is not set; empty: none.
    pub default: &'static str,
    /// Help text.
    pub help: &'static str,
}

/// The values of a program's options.
#[derive(Clone, Default)]
pub struct ClassOptions(Arc<BTreeMap<&'static str, String>>);

impl ClassOption {
    /// Returns the argument of the command line.
    #[must_use]
    pub fn argument(&self) -> Arg {
        let argument = Arg::new(self.name)
            .long(self.name)
            .value_name(self.value_name)
            .env(self.env)
            .hide_env_values(true)
            .help_heading("User classes")
            .hide_short_help(true)
            .help(self.help);
        match self.default {
            "" => argument,
            default => argument.default_value(default),
        }
    }
}

impl ClassOptions {
    /// Returns the values of `options`: those in `matches`, and the defaults of the others.
    #[must_use]
    pub fn read(options: &[ClassOption], matches: Option<&ArgMatches>) -> Self {
        let value = |option: &ClassOption| {
            let given = matches?.try_get_one::<String>(option.name).ok()??;
            Some(given.clone())
        };
        let values = options.iter().map(|option| {
            (option.name, value(option).unwrap_or_else(|| option.default.to_owned()))
        });
        Self(Arc::new(values.collect()))
    }

    /// Returns the value of the option `name`; empty if it has none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// Prints the names only: values may be secrets.
impl fmt::Debug for ClassOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    const SECRET: ClassOption = ClassOption {
        name: "secret",
        value_name: "SECRET",
        env: "CLASS_OPTIONS_TEST_SECRET",
        default: "hunter2",
        help: "Secret",
    };

    #[test]
    fn an_option_has_the_value_of_the_command_line_or_its_default() {
        let options = [SECRET, ClassOption { name: "key", default: "", ..SECRET }];
        let command = Command::new("x").args(options.iter().map(ClassOption::argument));
        let matches = command.try_get_matches_from(["x", "--secret", "other"]).unwrap();
        let given = ClassOptions::read(&options, Some(&matches));
        assert_eq!((given.get("secret"), given.get("key"), given.get("none")), ("other", "", ""));
        assert_eq!(ClassOptions::read(&options, None).get("secret"), "hunter2");
        assert!(!format!("{given:?}").contains("other"), "{given:?}");
    }
}

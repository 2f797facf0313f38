//! The admin key: what only an administrator may read, if the service requires tokens.

use crate::class_options::{ClassOption, ClassOptions};

/// The option with the key.
pub(super) const OPTION: ClassOption = ClassOption {
    name: "admin-key",
    value_name: "KEY",
    env: "LOAD_TEST_ADMIN_KEY",
    default: "",
    help: "Admin key, for the tenant's history and its reset and for the performance agent, if the \
           service requires tokens",
};

/// Returns the key; `None` if none is set.
pub(super) fn of(options: &ClassOptions) -> Option<&str> {
    Some(options.get(OPTION.name)).filter(|key| !key.is_empty())
}

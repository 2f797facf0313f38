//! Options of the command line for the users that post tickets.

use crate::class_options::{ClassOption, ClassOptions};

/// The options.
pub(in crate::plant) const OPTIONS: &[ClassOption] = &[WEBHOOK_SECRET, TENANT, ADMIN_KEY];

const WEBHOOK_SECRET: ClassOption = ClassOption {
    name: "webhook-secret",
    value_name: "SECRET",
    env: "LOAD_TEST_WEBHOOK_SECRET",
    default: "encrypted_test_secret",
    help: "Secret with which users sign tickets: that of the tenant",
};

const TENANT: ClassOption = ClassOption {
    name: "tenant",
    value_name: "ID",
    env: "LOAD_TEST_TENANT",
    default: "load-test-tenant",
    help: "Tenant whose tickets users post",
};

const ADMIN_KEY: ClassOption = ClassOption {
    name: "admin-key",
    value_name: "KEY",
    env: "LOAD_TEST_ADMIN_KEY",
    default: "",
    help: "Admin key, to read the tenant's history and to reset it if the service requires tokens",
};

/// The values of the options.
#[derive(Clone, Copy)]
pub(super) struct TicketOptions<'o> {
    pub(super) secret: &'o str,
    pub(super) tenant: &'o str,
    pub(super) admin_key: Option<&'o str>,
}

impl<'o> TicketOptions<'o> {
    pub(super) fn new(options: &'o ClassOptions) -> Self {
        Self {
            secret: options.get(WEBHOOK_SECRET.name),
            tenant: options.get(TENANT.name),
            admin_key: Some(options.get(ADMIN_KEY.name)).filter(|key| !key.is_empty()),
        }
    }
}

//! Options of the command line for the users that post tickets.

use crate::{
    class_options::{ClassOption, ClassOptions},
    plant::admin_key,
};

pub(in crate::plant) const WEBHOOK_SECRET: ClassOption = ClassOption {
    name: "webhook-secret",
    value_name: "SECRET",
    env: "LOAD_TEST_WEBHOOK_SECRET",
    default: "encrypted_test_secret",
    help: "Secret with which users sign tickets: that of the tenant",
};

pub(in crate::plant) const TENANT: ClassOption = ClassOption {
    name: "tenant",
    value_name: "ID",
    env: "LOAD_TEST_TENANT",
    default: "load-test-tenant",
    help: "Tenant whose tickets users post",
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
            admin_key: admin_key::of(options),
        }
    }
}

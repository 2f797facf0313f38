//! What a virtual user of Plant keeps between its tasks.

use std::{collections::BTreeMap, sync::Arc};

use goose::goose::{GooseUser, TransactionError};
use reqwest::header::{HeaderName, HeaderValue};

use super::accounts::TEST_CUSTOMERS;
use crate::{
    access::Account,
    client::{Client, Request},
    scenario::{self, UserLogin},
};

/// Header with the id of the customer on whose behalf a request is sent.
const CUSTOMER_ID: HeaderName = HeaderName::from_static("x-customer-id");

/// Session of one virtual user of Plant.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// HTTP client of this user.
    pub client: Client,
    /// Id of the customer that the user acts as; empty for a user without one.
    pub customer: &'static str,
    /// Ids of agents found so far, hired or of the catalogue, depending on the class.
    pub agent_ids: Vec<String>,
    /// The account that the user has registered.
    pub account: Option<UserLogin>,
    /// Further values that the tasks of the class keep, by key.
    pub values: BTreeMap<&'static str, String>,
}

impl Session {
    fn new(client: Client, customer: &'static str) -> Self {
        Self { client, customer, agent_ids: Vec::new(), account: None, values: BTreeMap::new() }
    }

    /// Starts a user without a customer: of public endpoints, or with an account that it registers
    /// itself.
    pub(super) fn start(session: &mut scenario::Session, _: &[Arc<Account>]) {
        let client = session.client.clone();
        session.extensions.insert(Self::new(client, ""));
    }

    /// Starts a user of a random test customer. It sends the token of that customer's account if the
    /// service requires authentication.
    pub(super) fn start_as_customer(session: &mut scenario::Session, accounts: &[Arc<Account>]) {
        let index = fastrand::usize(..TEST_CUSTOMERS.len());
        let client = session.client.clone().with_account(accounts.get(index).cloned());
        session.extensions.insert(Self::new(client, TEST_CUSTOMERS[index]));
    }

    /// Returns the session of `user`.
    ///
    /// # Errors
    /// When the class has not started it.
    pub(super) fn get(user: &mut GooseUser) -> Result<&mut Self, Box<TransactionError>> {
        let session = scenario::Session::get(user)?;
        session.extensions.get_mut().ok_or_else(|| "the user class has set no session".into())
    }

    /// Sends `request` on behalf of the user's customer.
    pub(super) async fn send_as_customer(&self, request: Request) -> Option<bytes::Bytes> {
        let customer = HeaderValue::from_static(self.customer);
        self.client.send(request.header(CUSTOMER_ID, customer)).await
    }

    /// Returns the id of a random agent of [`Session::agent_ids`].
    pub(super) fn random_agent_id(&self) -> Option<String> {
        fastrand::choice(&self.agent_ids).cloned()
    }
}

"""Load test of the Plant Backend API.

The progressive load guide describes this file and does not contain it: classes, weights and routes
are the document's, what it leaves open is written the usual way.
"""

import logging
import random

from locust import HttpUser, between, events, task

logger = logging.getLogger(__name__)

CUSTOMERS = [f"test-customer-{number:03d}" for number in range(1, 6)]
INDUSTRIES = ["marketing", "education", "sales"]


@events.test_start.add_listener
def on_test_start(environment, **kwargs):
    logger.info("load test starts against %s", environment.host)


class PlantBackendUser(HttpUser):
    """Simulates a typical customer with weighted task distribution."""

    wait_time = between(1, 3)
    weight = 9

    def on_start(self):
        self.customer_id = random.choice(
            ["test-customer-001", "test-customer-002", "test-customer-003",
             "test-customer-004", "test-customer-005"]
        )
        self.headers = {"X-Customer-ID": self.customer_id}
        self.hired_agent_ids = []
        self.load_hired_agents()

    def load_hired_agents(self):
        with self.client.get(
            f"/api/v1/customers/{self.customer_id}/agents",
            headers=self.headers,
            name="/api/v1/customers/:id/agents",
            catch_response=True,
        ) as response:
            if response.status_code == 200:
                self.hired_agent_ids = [agent["id"] for agent in response.json()]
                response.success()
            else:
                response.failure(f"unexpected status {response.status_code}")

    @task(10)
    def health_check(self):
        """Checking system availability"""
        self.client.get("/health")

    @task(8)
    def list_agents(self):
        """Browsing available agents"""
        self.client.get("/api/v1/agents", headers=self.headers)

    @task(5)
    def filter_agents(self):
        """Searching agents"""
        industry = random.choice(INDUSTRIES)
        self.client.get(
            f"/api/v1/agents?industry={industry}",
            headers=self.headers,
            name="/api/v1/agents?industry=*",
        )

    @task(6)
    def get_customer_agents(self):
        """Viewing hired agents"""
        self.load_hired_agents()

    @task(4)
    def get_configuration(self):
        """Checking agent settings"""
        if not self.hired_agent_ids:
            return
        agent_id = random.choice(self.hired_agent_ids)
        self.client.get(
            f"/api/v1/agents/{agent_id}/configuration",
            headers=self.headers,
            name="/api/v1/agents/:id/configuration",
        )

    @task(3)
    def list_goals(self):
        """Viewing goals"""
        if self.hired_agent_ids:
            agent_id = random.choice(self.hired_agent_ids)
            self.client.get(
                "/api/v1/agents/%s/goals" % agent_id,
                headers=self.headers,
                name="/api/v1/agents/:id/goals",
            )

    @task(2)
    def get_deliverables(self):
        """Checking outputs"""
        if self.hired_agent_ids:
            agent_id = random.choice(self.hired_agent_ids)
            self.client.get(
                "/api/v1/agents/{}/deliverables".format(agent_id),
                headers=self.headers,
                name="/api/v1/agents/:id/deliverables",
            )

    @task(1)
    def create_goal(self):
        """Creating new goal"""
        if not self.hired_agent_ids:
            return
        agent_id = random.choice(self.hired_agent_ids)
        with self.client.post(
            f"/api/v1/agents/{agent_id}/goals",
            json={
                "title": f"Load test goal {random.randint(1, 1000000)}",
                "description": "Made by a load test",
                "schedule": random.choice(["daily", "weekly", "monthly", "on_demand"]),
                "enabled": True,
            },
            headers=self.headers,
            name="/api/v1/agents/:id/goals",
            catch_response=True,
        ) as response:
            if response.status_code != 201:
                response.failure(f"unexpected status {response.status_code}")
            elif "id" not in response.json():
                response.failure("no id")


class HealthCheckUser(HttpUser):
    """Only hits /health endpoint for basic availability checks."""

    wait_time = between(0.5, 1.5)
    weight = 1

    @task
    def health(self):
        self.client.get("/health")

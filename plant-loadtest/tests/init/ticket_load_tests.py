"""Endurance load of the ticket enhancement workflow.

The ticket load tests describe this file and do not contain it.
"""

import random
import time
from datetime import datetime, timezone

from locust import FastHttpUser, LoadTestShape, between, task

TENANT = "load-test-tenant"
DESCRIPTIONS = [
    "The printer on the second floor does not print since the update of this morning.",
    "E-mail is slow for the whole department.",
    "Cannot connect to the VPN from home: \"authentication failed\".",
]


class EnduranceTestUser(FastHttpUser):
    wait_time = between(4, 8)

    def on_start(self):
        self.ticket_ids = []

    @task(10)
    def submit_ticket(self):
        ticket_id = f"TEST-{int(time.time())}-{random.randint(1000, 9999)}"
        payload = {
            "tenant_id": TENANT,
            "ticket_id": ticket_id,
            "event": "ticket_created",
            "description": random.choice(DESCRIPTIONS),
            "priority": random.choice(["low", "medium", "high"]),
            "created_at": datetime.now(timezone.utc).isoformat(),
        }
        with self.client.post(
            f"/webhooks/servicedesk/{TENANT}",
            json=payload,
            name="/webhooks/servicedesk/[tenant]",
            catch_response=True,
        ) as response:
            if response.status_code == 202:
                self.ticket_ids.append(ticket_id)
                response.success()
            else:
                response.failure(f"Webhook failed: {response.status_code}")

    @task(5)
    def history(self):
        self.client.get(f"/enhancements/history?tenant_id={TENANT}&limit=10")

    @task(3)
    def lookup(self):
        if not self.ticket_ids:
            return
        ticket = random.choice(self.ticket_ids)
        self.client.get("/enhancements/history", params={"tenant_id": TENANT, "ticket_id": ticket})

    @task(2)
    def metrics(self):
        self.client.get("/metrics")

    @task(1)
    def health(self):
        with self.client.get("/health", catch_response=True) as response:
            if response.elapsed.total_seconds() > 1:
                response.failure("too slow")
            if response.json().get("status") != "healthy":
                response.failure("unhealthy")


class BurstShape(LoadTestShape):
    stages = [(30, 10, 1), (160, 200, 20), (240, 10, 10)]

    def tick(self):
        run_time = self.get_run_time()
        for end, users, rate in self.stages:
            if run_time < end:
                return (users, rate)
        return None

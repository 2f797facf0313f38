"""Load test of the Platform API: auth, generation, payments.

The platform load tests describe this file and do not contain it: classes, weights and routes
are the document's, what it leaves open is written the usual way.
"""

import os
import random
import uuid

from locust import HttpUser, between, task

PASSWORD = os.getenv("LOAD_TEST_PASSWORD", "load-test-password")
MODELS = ["gpt-4", "gpt-3.5", "claude-3"]
PLANS = ["starter", "pro", "enterprise"]


def new_email():
    return f"loadtest_{uuid.uuid4().hex}@test.local"


class PlatformUser(HttpUser):
    abstract = True

    def on_start(self):
        self.token = None
        self.email = new_email()
        self.client.post(
            "/api/v1/auth/register", json={"email": self.email, "password": PASSWORD}
        )
        response = self.client.post(
            "/api/v1/auth/login", json={"email": self.email, "password": PASSWORD}
        )
        if response.status_code == 200:
            self.token = response.json()["access_token"]

    @property
    def auth_headers(self):
        return {"Authorization": f"Bearer {self.token}"}


class AuthUser(HttpUser):
    """Authentication API"""

    wait_time = between(1, 3)
    weight = 1

    def on_start(self):
        self.email = new_email()
        self.client.post(
            "/api/v1/auth/register", json={"email": self.email, "password": PASSWORD}
        )

    @task(3)
    def register(self):
        """Register new users"""
        with self.client.post(
            "/api/v1/auth/register",
            json={"email": new_email(), "password": PASSWORD},
            catch_response=True,
        ) as response:
            if response.status_code in (200, 201):
                response.success()
            else:
                response.failure(f"Registration failed: {response.status_code}")

    @task(5)
    def login(self):
        """Login with existing credentials"""
        with self.client.post(
            "/api/v1/auth/login",
            json={"email": self.email, "password": PASSWORD},
            catch_response=True,
        ) as response:
            if response.status_code == 200 and "access_token" in response.json():
                response.success()
            else:
                response.failure(f"Login failed: {response.status_code}")

    @task(2)
    def health(self):
        """Health checks"""
        self.client.get("/health")


class GenerationUser(PlatformUser):
    """Generation API"""

    wait_time = between(1, 4)
    weight = 1

    @task(7)
    def create_task(self):
        """Create generation tasks"""
        payload = {
            "prompt": "Write about plant number " + str(random.randint(1, 100000)),
            "model": random.choice(MODELS),
            "temperature": round(random.uniform(0, 1), 2),
            "max_tokens": random.randint(50, 500),
        }
        with self.client.post(
            "/api/v1/generation/create",
            json=payload,
            headers=self.auth_headers,
            catch_response=True,
        ) as response:
            if response.status_code in (200, 201, 202):
                self.task_id = response.json().get("id")
                response.success()
            elif response.status_code == 429:
                response.failure("Rate limited")
            else:
                response.failure(f"Create failed: {response.status_code}")

    @task(3)
    def list_tasks(self):
        """List generation tasks"""
        self.client.get("/api/v1/generation/list", headers=self.auth_headers)

    @task(2)
    def get_task(self):
        """Get task status"""
        if not self.task_id:
            return
        self.client.get(
            f"/api/v1/generation/{self.task_id}",
            headers=self.auth_headers,
            name="/api/v1/generation/{id}",
        )


class PaymentUser(PlatformUser):
    """Payments API"""

    wait_time = between(2, 5)
    weight = 1

    @task(6)
    def create_payment(self):
        """Create payments"""
        self.client.post(
            "/api/v1/payments/create",
            json={
                "plan_id": random.choice(PLANS),
                "amount": random.choice([9.99, 29.99, 99.99]),
                "currency": "USD",
            },
            headers={**self.auth_headers, "Idempotency-Key": str(uuid.uuid4())},
        )

    @task(4)
    def list_payments(self):
        """List payments"""
        self.client.get("/api/v1/payments", params={"limit": 20}, headers=self.auth_headers)

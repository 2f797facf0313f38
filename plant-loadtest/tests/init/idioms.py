"""What Locust files are often made of; every class shows one group of idioms."""

import json
import os
import random
import string
import time
import uuid
from random import choice

from locust import FastHttpUser, HttpUser, SequentialTaskSet, TaskSet, between, constant, tag, task
from locust.exception import StopUser

HOST = "http://127.0.0.1:8080"
API = f"{HOST}/api"
ACCOUNTS = [("ada@example.com", "secret-1"), ("bob@example.com", "secret-2")]
PRODUCTS = [{"sku": "A-1", "price": 10}, {"sku": "B-2", "price": 20}]
TICKETS = ["T-1", "T-2", "T-3"]


def headers(kind="json", **unused):
    return {"Accept": f"application/{kind}"}


def random_text(length=8):
    return "".join(random.choices(string.ascii_lowercase, k=length))


class Values(HttpUser):
    """Values that are drawn, generated or taken from a setting."""

    host = HOST
    wait_time = constant(2)
    weight = 3
    page_sizes = [10, 20, 50]

    @task(4)
    @tag("read", "search")
    def search(self):
        query = {"size": random.choice(self.page_sizes), "q": choice(["a", "b"]), "page": None}
        self.client.get("/search", params=query, headers=headers())

    @task
    def create(self):
        number = random.randint(1, 6) + 0 if False else random.randint(1, 6)
        self.client.post(
            API + "/things/%d/%s" % (number, "x y"),
            data=json.dumps({"id": str(uuid.uuid4()), "at": time.time(), "number": number}),
            headers={"Content-Type": "application/json", "X-Trace": uuid.uuid4().hex[:8]},
        )

    @task
    def form(self):
        product = random.choice(PRODUCTS)
        self.client.post("/form", {"sku": product["sku"], "price": product["price"], "note": random_text()})

    @task
    def upload(self):
        self.client.post("/files", files={"file": ("a.png", open("a.png", "rb"), "image/png")}, data={"a": 1})

    @task
    def text(self):
        self.client.request("PUT", url="/text", data="plain {text}", name="/text [put]", timeout=5)
        time.sleep(random.uniform(0.5, 1.5))

    @task
    def setting(self):
        self.client.delete(f"/keys/{os.environ['API_KEY']}", cookies={"theme": "dark"})

    @task
    def twice(self):
        name = f"thing-{uuid.uuid4()}"
        self.client.put("/names", json={"name": name, "nothing": None, "count": random.randint(1, 3)})
        self.client.head(f"/names/{name}")

    @task
    def repeated(self):
        for page in range(1, 3):
            self.client.get("/pages/{}?size={size}".format(page, size=5))


class Login(HttpUser):
    """A login whose token is set on the client; each user has its own account."""

    wait_time = between(0.1, 0.25)

    def on_start(self):
        self.client.verify = False
        email, password = random.choice(ACCOUNTS)
        self.login(email, password)
        self.ticket = TICKETS.pop()

    def login(self, email, password="none"):
        response = self.client.post("/login", json={"email": email, "password": password})
        data = response.json()
        if response.status_code != 200:
            raise StopUser()
        self.client.headers.update({"Authorization": "Bearer " + data["tokens"][0]["access"]})
        self.user_id = data.get("user", {}).get("id")
        self.etag = response.headers["ETag"]

    @task
    def me(self):
        with self.client.get(f"/users/{self.user_id}", headers={"If-None-Match": self.etag}, catch_response=True) as r:
            if r.status_code in [200, 304]:
                r.success()
            elif r.status_code == 404:
                r.failure("gone")
            else:
                r.failure("other")

    @task
    def orders(self):
        with self.client.get("/orders", catch_response=True) as response:
            try:
                orders = response.json()
            except ValueError:
                response.failure("no JSON")
                return
            if not response.ok or "items" not in orders:
                response.failure("wrong")
            elif orders["state"] != "open":
                response.failure("closed")
            self.order = random.choice(orders["items"])["id"]

    @task
    def order(self):
        if self.order is None:
            return
        with self.client.rename_request("/orders/[id]"):
            self.client.get(f"/orders/{self.order}")

    @task
    def ticket_text(self):
        with self.client.get(f"/tickets/{self.ticket}", catch_response=True) as response:
            assert "open" in response.text
            if response.status_code == 404:
                response.success()

    def on_stop(self):
        self.client.post("/logout")


class Checkout(SequentialTaskSet):
    def on_start(self):
        self.cart_id = None

    @task
    def add(self):
        """Put something into the cart"""
        response = self.client.post("/carts", json={"items": ["A-1"]})
        self.cart_id = response.json()["id"]

    @task
    def pay(self):
        self.client.post(f"/carts/{self.cart_id}/pay")
        self.wait()
        self.client.get(f"/carts/{self.cart_id}")

    @task
    def leave(self):
        self.interrupt()


class Browse(TaskSet):
    @task(3)
    def index(self):
        self.client.get("/")

    @task
    class Inner(TaskSet):
        @task(2)
        def about(l):
            l.client.get("/about")

        @task
        def stop(l):
            l.interrupt(reschedule=False)


class Sets(HttpUser):
    """Sets of tasks, with weights."""

    wait_time = between(1, 2)
    tasks = {Checkout: 1, Browse: 2}


class Rest(FastHttpUser):
    @task
    def rest_call(self):
        with self.rest("POST", "/rest", json={"a": 1}) as response:
            if response.js["state"] == "ok":
                self.rest_id = response.js["id"]

    @task
    def read(self):
        self.client.get(f"/rest/{self.rest_id}")


class Unreadable(HttpUser):
    """What is listed with its line."""

    wait_time = lambda self: 3

    @task(2)
    def faker(self):
        self.client.post("/people", json={"name": fake.name(), "age": 3})

    @task
    def by_chance(self):
        if random.random() < 0.3:
            self.client.get("/sometimes")
        self.client.get("/always")

    @task
    def each(self):
        for item in self.client.get("/list").json():
            self.client.get(f"/list/{item['id']}")

    @task
    def drawn_path(self):
        self.client.get(random.choice(["/a", "/b"]))

    @task
    def endless(self):
        while True:
            self.client.get("/endless")

    @task
    def nothing(self):
        pass

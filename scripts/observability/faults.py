"""Faults that really happen to the running service, and the alerts that each of them must fire."""

import os
import subprocess
import threading
import time
import uuid

# For the faults below. Each hashing thread keeps the 7 MiB of its first hash, so 256 of them exceed 90 % of 2 GiB.
SETTINGS = {"PLANT_HASH_THREADS": "256", "PLANT_REQUEST_TIMEOUT": "2"}

WAITING_TICKETS = 1100


class Flood:
    """Requests without pauses from many threads."""

    def __init__(self, stack, threads, request):
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.send, args=(stack, request), daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def send(self, stack, request):
        while not self.stopping.is_set():
            try:
                stack.request(*request())
            except OSError:
                time.sleep(0.05)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def ticket():
    body = {
        "event": "ticket_created",
        "ticket_id": f"ALERT-{uuid.uuid4().hex[:12].upper()}",
        "description": "The mail server at 10.0.0.12 is slow",
        "priority": "high",
        "created_at": "2026-01-02T03:04:05Z",
    }
    return "POST", "/webhooks/servicedesk/load-test-tenant", body


def login():
    number = 1 + uuid.uuid4().int % 100
    return "POST", "/api/v1/auth/login", {"email": f"loadtest_{number}@test.local", "password": "load-test-password"}


def unknown_agent():
    return "GET", f"/api/v1/agents/{uuid.uuid4()}"


def unknown_team():
    return "GET", f"/api/v1/teams/{uuid.uuid4()}"


def search():
    # No response in the cache is for this text.
    return "GET", f"/api/v1/agents?search={uuid.uuid4().hex}"


def psql(statements):
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", os.environ["DATABASE_URL"], "-c", statements], check=True)


def services(*arguments):
    subprocess.run(["scripts/services.sh", *arguments, "--quiet"], check=True)


class Fault:
    """A fault, from `begin` to `end`."""

    def __init__(self, name, alerts):
        self.name = name
        self.alerts = alerts

    def begin(self, stack):
        raise NotImplementedError

    def end(self, stack):
        raise NotImplementedError


class PausedQueue(Fault):
    def begin(self, stack):
        stack.request("POST", "/admin/queue/pause")
        senders = []
        for _ in range(10):
            thread = threading.Thread(target=lambda: [stack.request(*ticket()) for _ in range(WAITING_TICKETS // 10)])
            thread.start()
            senders.append(thread)
        for sender in senders:
            sender.join()
        self.posted = time.monotonic()

    def end(self, stack):
        # The next fault needs the tickets to be old; it resumes the queue.
        pass


class OldTickets(Fault):
    """Tickets whose queue was paused for more than a minute."""

    def __init__(self, name, alerts, paused):
        super().__init__(name, alerts)
        self.paused = paused

    def begin(self, stack):
        time.sleep(max(0, self.paused.posted + 62 - time.monotonic()))
        self.began = time.monotonic()
        stack.desk.statuses = [201, 404]
        stack.request("POST", "/admin/queue/resume")

    def end(self, stack):
        stack.desk.statuses = [201]


class FailingDesk(Fault):
    def begin(self, stack):
        stack.desk.statuses = [500]
        self.flood = Flood(stack, 1, ticket)

    def end(self, stack):
        self.flood.stop()
        stack.desk.statuses = [201]


class FloodOf(Fault):
    def __init__(self, name, alerts, threads, request):
        super().__init__(name, alerts)
        self.arguments = threads, request

    def begin(self, stack):
        self.flood = Flood(stack, *self.arguments)

    def end(self, stack):
        self.flood.stop()


class Connections(Fault):
    """Sessions that hold connections: with those of the service, more than 90 % of 200."""

    def begin(self, stack):
        command = ["psql", "-X", "-q", "-d", os.environ["DATABASE_URL"]]
        self.sessions = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(172)]

    def end(self, stack):
        for session in self.sessions:
            session.stdin.close()
        for session in self.sessions:
            session.wait()


class StoppedRedis(Fault):
    def begin(self, stack):
        services("down", "redis")

    def end(self, stack):
        services("up")


class LockedTables(Fault):
    def begin(self, stack):
        command = ["psql", "-X", "-q", "-d", os.environ["DATABASE_URL"]]
        self.session = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.session.stdin.write("begin; lock table base_entity, account, session in access exclusive mode;\n")
        self.session.stdin.flush()
        self.floods = [Flood(stack, 30, search), Flood(stack, 4, login)]

    def end(self, stack):
        self.session.stdin.close()
        self.session.wait()
        for flood in self.floods:
            flood.stop()


class MissingGrant(Fault):
    def begin(self, stack):
        psql("revoke select on team from plant_app")
        self.flood = Flood(stack, 1, unknown_team)

    def end(self, stack):
        self.flood.stop()
        psql("grant select on team to plant_app")


class Killed(Fault):
    def begin(self, stack):
        stack.kill_service()

    def end(self, stack):
        stack.start_service(**SETTINGS)


class Lasting(Fault):
    """What another fault leaves behind, until the service has been restarted."""

    def begin(self, stack):
        pass

    def end(self, stack):
        pass

import os
import time
from datetime import datetime, timezone

from locust import User, between, constant, events
from locust.runners import STATE_MISSING, MasterRunner

# Each test gets a folder here with one file of each worker, which "PROGRAM merge FOLDER" reads.
OUTCOMES = os.environ.get("LOAD_TEST_OUTCOMES", "locust_outcomes")

# The workers load this service unless --host or the web UI sets another one.
HOST = "SERVICE"


class Outcomes:
    """Writes the outcomes of the workers as they arrive."""

    def __init__(self, runner):
        self.runner = runner
        self.next_line = {}
        self.folder = None

    def start_test(self):
        self.folder = os.path.join(OUTCOMES, folder_name(time.time()))
        os.makedirs(self.folder)
        for node_id, worker in self.runner.clients.items():
            if worker.state != STATE_MISSING:
                self.expect(node_id)

    def stop_test(self):
        self.folder = None

    def expect(self, node_id):
        """Leaves an empty file for a worker that is lost before its first results."""
        if self.folder:
            open(os.path.join(self.folder, file_name(node_id)), "a").close()

    def write(self, environment, msg, **kwargs):
        node_id, test, number, line = (msg.data[name] for name in ("node_id", "test", "number", "line"))
        path = os.path.join(self.folder_of(test), file_name(node_id))
        # A worker that had to connect again sends lines a second time.
        if number != self.next_line.setdefault(path, count_lines(path)):
            return
        self.next_line[path] = number + 1
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def folder_of(self, test):
        """Returns the folder of the last test that was started before this order of it."""
        name = folder_name(test)
        os.makedirs(OUTCOMES, exist_ok=True)
        names = [other for other in os.listdir(OUTCOMES) if other <= name]
        # None if another master has started the test.
        folder = os.path.join(OUTCOMES, max(names, default=name))
        os.makedirs(folder, exist_ok=True)
        return folder


def count_lines(path):
    """Returns the number of lines that a master before this one has written."""
    if not os.path.exists(path):
        return 0
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def folder_name(timestamp):
    return datetime.fromtimestamp(timestamp, timezone.utc).strftime("%Y-%m-%dT%H-%M-%S.%fZ")


def file_name(node_id):
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in node_id) + ".json"


@events.init.add_listener
def collect_outcomes(environment, **kwargs):
    runner = environment.runner
    if not isinstance(runner, MasterRunner):
        return
    # Without the web UI the master sends only the host of --host.
    environment.host = environment.host or HOST
    outcomes = Outcomes(runner)
    runner.register_message("OUTCOME_LINE", outcomes.write)
    environment.events.test_start.add_listener(lambda **kwargs: outcomes.start_test())
    environment.events.test_stop.add_listener(lambda **kwargs: outcomes.stop_test())

    def connect(client_id, **kwargs):
        outcomes.expect(client_id)
        runner.send_message("COLLECT_OUTCOMES", client_id=client_id)

    environment.events.worker_connect.add_listener(connect)


def run_by_workers(user):
    raise NotImplementedError("the workers of PROGRAM run the tasks")

"""What the check runs: the service, a service desk, the load generator and Prometheus, on free ports of 127.0.0.1."""

import contextlib
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from prometheus import Prometheus, copy_configuration

START_TIMEOUT_SECONDS = 60
CONFIGURATION = "deploy/prometheus"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def on_cpus(name):
    """Children of this thread get a part of the CPUs: the service the first one, so that load on it cannot come from the
    load generator."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cpus = os.sched_getaffinity(0)
    first = {min(cpus)}
    os.sched_setaffinity(0, first if name == "service" else cpus - first or cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus)


class Desk(http.server.ThreadingHTTPServer):
    """A service desk whose response can be changed while it runs."""

    daemon_threads = True
    # Statuses of notes in turn.
    statuses = [201]

    def __init__(self):
        super().__init__(("127.0.0.1", 0), DeskHandler)
        self.count = 0
        # The service that is killed resets its connections.
        self.handle_error = lambda request, address: None
        threading.Thread(target=self.serve_forever, daemon=True).start()


class DeskHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.count += 1
        status = self.server.statuses[self.server.count % len(self.server.statuses)]
        self.send_response(status)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments):
        pass


class Stack:
    """Starts and stops everything; all logs are in the folder `work`."""

    def __init__(self, work):
        self.work = Path(work)
        self.desk = Desk()
        self.ports = {name: free_port() for name in ("service", "generator", "prometheus")}
        self.processes = {}

    def address(self, name):
        return f"127.0.0.1:{self.ports[name]}"

    def start(self, name, command, **environment):
        log = open(self.work / f"{name}.log", "a")
        with on_cpus(name):
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **environment}
            )

    def stop(self, name, how=signal.SIGTERM):
        process = self.processes.pop(name)
        process.send_signal(how)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self):
        for name in reversed(list(self.processes)):
            self.stop(name)

    def start_service(self, **settings):
        self.start(
            "service",
            [os.environ["PLANT_API"], "serve"],
            PLANT_LISTEN=self.address("service"),
            PLANT_ACCESS="open",
            PLANT_FAKE_DESK_URL=f"http://127.0.0.1:{self.desk.server_port}",
            LOG_FILE="",
            **settings,
        )
        self.wait_until("the service", lambda: self.request("GET", "/readyz")[0] == 200)

    def kill_service(self):
        self.stop("service", signal.SIGKILL)

    def start_generator(self):
        profile = Path(__file__).with_name("traffic.toml")
        reports = [f"--html={self.work}/traffic.html", f"--json={self.work}/traffic.json"]
        self.start(
            "generator",
            [os.environ["PLANT_LOADTEST"], "run", str(profile), f"--host=http://{self.address('service')}"]
            + [f"--metrics={self.address('generator')}", "--quiet", *reports],
        )

    def start_prometheus(self, divisor):
        """Starts it without data, with the times of all rules divided, and returns its client."""
        folder = self.work / "prometheus"
        shutil.rmtree(folder, ignore_errors=True)
        targets = {
            "plant-backend:8001": self.address("service"),
            "plant-backend:9646": self.address("generator"),
            "localhost:9090": self.address("prometheus"),
        }
        copy_configuration(CONFIGURATION, folder, targets, divisor)
        listen = f"--web.listen-address={self.address('prometheus')}"
        data = f"--storage.tsdb.path={folder}/data"
        self.start("prometheus", ["prometheus", f"--config.file={folder}/prometheus.yml", data, listen, "--log.level=warn"])
        prometheus = Prometheus(self.address("prometheus"))
        self.wait_until("Prometheus", prometheus.is_ready)
        return prometheus

    def wait_until(self, what, condition):
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit(f"{what} did not start within {START_TIMEOUT_SECONDS} s; see the logs in {self.work}")

    def request(self, method, path, body=None, timeout=30):
        """Sends one request to the service; returns status and body."""
        connection = http.client.HTTPConnection(self.address("service"), timeout=timeout)
        try:
            headers = {"content-type": "application/json"} if body is not None else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

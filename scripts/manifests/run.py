"""Runs the commands of the manifests as processes on this machine, with their environment.

Usage: run.py <folder with the programs> <folder for logs and results>. DATABASE_URL and REDIS_URL must be set.
"""

import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import pods

BIN = pathlib.Path(sys.argv[1]).resolve()
WORK = pathlib.Path(sys.argv[2]).resolve() / "run"
RESULTS = WORK / "results"
os.environ["PATH"] = f"{BIN}:{os.environ['PATH']}"
PROFILE = WORK / "four-users.toml"


def check(is_right, problem):
    if not is_right:
        sys.exit(f"run.py: {problem}")


def document(folder, kind, name):
    return next(d for d in pods.manifests(folder) if (d["kind"], d["metadata"]["name"]) == (kind, name))


def container(folder, kind, name):
    return document(folder, kind, name)["spec"]["template"]["spec"]["containers"][0]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def secret_values():
    """The Secrets of docs/kubernetes.md, with a login for the service that owns nothing."""
    owner = os.environ["DATABASE_URL"]
    parts = urllib.parse.urlsplit(owner)
    service = parts._replace(netloc=f"plant_service:service@{parts.hostname}:{parts.port}").geturl()
    return {
        "plant-owner": {"DATABASE_URL": owner},
        "plant": {
            "DATABASE_URL": service,
            "REDIS_URL": os.environ["REDIS_URL"],
            "JWT_SECRET": secrets.token_hex(32),
            "PLANT_ADMIN_KEY": secrets.token_hex(32),
            "PLANT_PAYMENT_WEBHOOK_SECRET": secrets.token_hex(32),
            "PLANT_SECRET_KEY": secrets.token_hex(32),
        },
    }


def run_job(folder, name, configured):
    of_job = container(folder, "Job", name)
    variables = pods.environment(of_job, configured)
    done = subprocess.run(pods.command(of_job, variables), env=variables, capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"the Job {name} failed: {done.stderr}")
    print(f"Job {name}: {done.stdout.strip().splitlines()[-1]}")


class Replica:
    """A process of a Deployment of the service, on a port of its own."""

    def __init__(self, name, number, configured, ports):
        self.pod = document("service", "Deployment", name)["spec"]["template"]["spec"]
        self.container = self.pod["containers"][0]
        self.name, self.port = f"{name}-{number}", ports[name][number]
        variables = pods.environment(self.container, configured)
        variables["PLANT_LISTEN"] = variables["PLANT_WORK_LISTEN"] = f"127.0.0.1:{self.port}"
        webhook = urllib.parse.urlsplit(variables["PLANT_PAYMENT_WEBHOOK_URL"])
        service = f"127.0.0.1:{ports['plant-serve'][0]}"
        variables["PLANT_PAYMENT_WEBHOOK_URL"] = webhook._replace(netloc=service).geturl()
        self.log = WORK / f"{self.name}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(pods.command(self.container, variables), env=variables, stderr=log)

    def probe(self, kind):
        path = self.container[kind]["httpGet"]["path"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def wait_until_ready(self):
        started_at, limits = time.monotonic(), self.container["startupProbe"]
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            while self.probe(kind) != 200:
                waited = time.monotonic() - started_at
                ended = self.process.poll() is not None
                limit = limits["periodSeconds"] * limits["failureThreshold"]
                check(not ended and waited < limit, f"{self.name}: {kind} fails; see {self.log}")
                time.sleep(0.1)
        print(f"{self.name}: ready after {time.monotonic() - started_at:.1f} s")

    def wait_until_stopped(self, stopped_at):
        """After a SIGTERM: it is alive but not ready at first, and ends in time."""
        limit = self.pod["terminationGracePeriodSeconds"]
        code = self.process.wait(timeout=limit - (time.monotonic() - stopped_at))
        check(code == 0, f"{self.name} ended with {code}; see {self.log}")
        print(f"{self.name}: ended {time.monotonic() - stopped_at:.1f} s after SIGTERM, of {limit} s")


def run_load(host):
    """Runs deploy/k8s/load.sh with a user for each generator. Returns its exit code."""
    smoke = (pods.MANIFESTS.parents[1] / "plant-loadtest/profiles/smoke.toml").read_text()
    PROFILE.write_text(smoke.replace("users = 1\n", "users = 4\n"))
    (WORK / "bin").mkdir()
    kubectl = WORK / "bin/kubectl"
    script = pathlib.Path(__file__).with_name("kubectl.py")
    kubectl.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    kubectl.chmod(0o755)
    (WORK / "state").mkdir()
    variables = os.environ | {
        "PATH": f"{WORK / 'bin'}:{os.environ['PATH']}",
        "STATE": str(WORK / "state"),
        "RESULTS": str(RESULTS),
        "START_IN": "30",
    }
    command = [pods.MANIFESTS / "load.sh", PROFILE, host]
    return subprocess.run(command, env=variables, check=False).returncode


def check_results(code):
    folders = [path for path in RESULTS.iterdir() if path.is_dir()]
    check(len(folders) == 1, f"the results are {folders}")
    count = document("load", "Job", "plant-load")["spec"]["completions"]
    parts = [json.loads(path.read_text()) for path in sorted(folders[0].glob("part-*.json"))]
    check(len(parts) == count, f"{len(parts)} of {count} generators have an outcome")
    merged = json.loads(pathlib.Path(f"{folders[0]}.json").read_text())
    sent, of_parts = sum_sent(merged), [sum_sent(part) for part in parts]
    check(sent == sum(of_parts) and min(of_parts) > 0, f"{sent} requests were sent, {of_parts} by the generators")
    for suffix in ("html", "xml"):
        check(pathlib.Path(f"{folders[0]}.{suffix}").stat().st_size > 0, f"there is no {suffix}")
    check(code in (0, 1, 4), f"load.sh ended with {code}")
    print(f"load.sh: {' + '.join(map(str, of_parts))} = {sent} requests, exit code {code}")


def sum_sent(outcome):
    return sum(second["sent"] for endpoint in outcome["endpoints"] for second in endpoint["seconds"])


def main():
    shutil.rmtree(WORK, ignore_errors=True)
    RESULTS.mkdir(parents=True)
    values = secret_values()
    configured = {"plant-owner": values["plant-owner"]}
    run_job("service", "plant-migrate", configured)
    login = "create role plant_service login password 'service' in role plant_app"
    subprocess.run(["psql", "-X", "-q", "-d", os.environ["DATABASE_URL"], "-c", login], check=True)
    run_job("test-data", "plant-test-data", configured)

    settings = document("service", "ConfigMap", "plant")["data"]
    configured["plant"] = settings | values["plant"]
    ports = {name: [free_port(), free_port()] for name in ("plant-serve", "plant-work")}
    replicas = [Replica(name, number, configured, ports) for name in ports for number in range(2)]
    try:
        for replica in replicas:
            replica.wait_until_ready()
        code = run_load(f"http://127.0.0.1:{ports['plant-serve'][0]}")
        check_results(code)
        stopped_at = time.monotonic()
        for replica in replicas:
            replica.process.terminate()
        time.sleep(1)
        for replica in replicas[:2]:
            check(replica.probe("livenessProbe") == 200, f"{replica.name} is not alive after SIGTERM")
            check(replica.probe("readinessProbe") == 503, f"{replica.name} is ready after SIGTERM")
        for replica in replicas:
            replica.wait_until_stopped(stopped_at)
    finally:
        for replica in replicas:
            replica.process.kill()


main()

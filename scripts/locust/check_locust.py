"""Drives workers of plant-loadtest with an unmodified Locust master, and compares all figures with those of the workers.

Usage: check_locust.py LOCUST PROGRAM FOLDER, where LOCUST is the program `locust` of an installed version.
"""

import csv
import datetime
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import browser

TIMEOUT = 120
HERE = os.path.dirname(os.path.abspath(__file__))


class Failed(Exception):
    pass


def check(condition, *message):
    if not condition:
        raise Failed(" ".join(str(part) for part in message))


def equal(what, one, other):
    check(one == other, f"{what}: {one} and {other} differ")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(what, condition, timeout=TIMEOUT):
    started = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        check(time.monotonic() - started < timeout, "no", what, "within", timeout, "s")
        time.sleep(0.1)


class Test:
    """A service, workers and a master, in a folder of their own."""

    def __init__(self, locust, program, folder, name):
        self.locust, self.program = locust, program
        self.folder = os.path.join(folder, name)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        shutil.copy(os.path.join(HERE, "ordered.toml"), self.folder)
        self.processes = []
        self.service_port = free_port()
        self.host = f"http://127.0.0.1:{self.service_port}"
        self.start_service()
        self.run([program, "locustfile", "ordered.toml", "--host", self.host, "-o", "locustfile.py"])
        self.master_port, self.web_port = free_port(), free_port()
        self.workers = []

    def start(self, name, command):
        log = open(os.path.join(self.folder, name + ".log"), "ab")
        process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def start_service(self):
        self.service = self.start("service", [self.program, "stub", "--port", str(self.service_port)])
        wait_until("service", lambda: reachable(self.host + "/health"))

    def restart_service(self, open_files):
        """Starts the service again, which may then have so many connections."""
        self.service.kill()
        self.service.wait()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files if hard < 0 else min(open_files, hard), hard))
        self.start_service()

    def run(self, command, code=0):
        result = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=TIMEOUT)
        check(result.returncode == code, command, "exited with", result.returncode, result.stdout, result.stderr)
        return result.stdout

    def start_master(self, *more):
        command = [self.locust, "-f", "locustfile.py", "--master", "--master-bind-port", str(self.master_port)]
        self.master = self.start("master", [*command, "--web-port", str(self.web_port), *more])

    def start_workers(self, count):
        command = [self.program, "worker", "ordered.toml", "--master-port", str(self.master_port)]
        for number in range(count):
            self.workers.append(self.start(f"worker-{number}", command))

    def api(self, path, **form):
        data = urllib.parse.urlencode(form).encode() if form else None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", data, timeout=30) as response:
            return json.load(response)

    def api_post(self, path):
        """Sends a POST, or a GET if this version of Locust has none here."""
        url = f"http://127.0.0.1:{self.web_port}{path}"
        try:
            with urllib.request.urlopen(url, b"", timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            check(error.code == 405, path, "returned", error.code)
            return self.api(path)

    def stats(self):
        return self.api("/stats/requests")

    def wait_for_workers(self, count):
        def ready():
            try:
                states = [worker["state"] for worker in self.stats()["workers"]]
            except OSError:
                return False
            return states == ["ready"] * count

        wait_until(f"{count} ready workers", ready)

    def swarm(self, users, rate):
        answer = self.api("/swarm", user_count=users, spawn_rate=rate, host=self.host)
        check(answer["success"], answer)
        wait_until(f"{users} users", lambda: self.stats()["user_count"] == users)

    def stop(self):
        check(self.api_post("/stop")["success"])
        wait_until("stopped", lambda: self.stats()["state"] in ("stopped", "ready"))

    def last_outcomes(self):
        outcomes = os.path.join(self.folder, "locust_outcomes")
        return os.path.join(outcomes, sorted(os.listdir(outcomes))[-1])

    def merge(self, *codes):
        """Merges the outcomes of the last test. Returns the merged one, and what was printed."""
        command = [self.program, "merge", self.last_outcomes(), "--json", "merged.json", "--html", "merged.html"]
        result = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=TIMEOUT)
        check(result.returncode in codes, "merge exited with", result.returncode, result.stdout, result.stderr)
        with open(os.path.join(self.folder, "merged.json")) as file:
            return json.load(file), result.stdout

    def exit_codes(self, processes):
        for process in processes:
            process.wait(TIMEOUT)
        return [process.returncode for process in processes]

    def log(self, name):
        with open(os.path.join(self.folder, name + ".log"), errors="replace") as file:
            return file.read()

    def change_profile(self, pattern, replacement):
        path = os.path.join(self.folder, "ordered.toml")
        with open(path) as file:
            text = re.sub(pattern, replacement, file.read())
        with open(path, "w") as file:
            file.write(text)

    def spawn_seconds(self):
        """Returns how long the last users took to start by the log of the master."""
        times = {}
        for line in self.log("master").splitlines():
            for what in ("Sending spawn jobs", "All users spawned"):
                if what in line:
                    times[what] = datetime.datetime.strptime(line[1:24], "%Y-%m-%d %H:%M:%S,%f")
        return (times["All users spawned"] - times["Sending spawn jobs"]).total_seconds()

    def check_master_log(self):
        text = self.log("master")
        for word in ("Traceback", "Uncaught", "Unknown message", "RPCError", "not all reports"):
            check(word not in text, f"the master logged {word}:", text[-3000:])

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
        for process in self.processes:
            process.wait()


def reachable(url):
    try:
        return urllib.request.urlopen(url, timeout=2).status == 200
    except OSError:
        return False


def figures(outcome):
    """Returns requests, failures and bytes by endpoint as the workers counted them."""
    result = {}
    for endpoint in outcome["endpoints"]:
        cells = endpoint["seconds"]
        failures = sum(
            cell.get(kind, 0)
            for cell in cells
            for kind in (
                "client_errors",
                "server_errors",
                "unexpected_statuses",
                "wrong_shapes",
                "timed_out",
                "connection_failures",
            )
        )
        finished = failures + sum(cell.get("succeeded", 0) for cell in cells)
        lost = sum(cell.get("lost", 0) for cell in cells)
        equal(f"sent and results of {endpoint['name']}", sum(cell["sent"] for cell in cells), finished + lost)
        if finished:
            result[endpoint["name"]] = (finished, failures, endpoint["bytes"])
    return result


def percentile(outcome, name, fraction):
    """Returns the percentile of an endpoint in milliseconds."""
    counts = {}
    for endpoint in outcome["endpoints"]:
        if endpoint["name"] == name:
            for cell in endpoint["seconds"]:
                for kind in ("latency", "failure_latency"):
                    for micros, count in cell.get(kind, []):
                        counts[micros] = counts.get(micros, 0) + count
    left = fraction * sum(counts.values())
    for micros in sorted(counts):
        left -= counts[micros]
        if left <= 0:
            return micros / 1000


def check_same_as_web(test, outcome):
    """Compares the figures in the web UI with those of the workers."""
    stats = test.stats()
    rows = {f"{row['method']} {row['name']}": row for row in stats["stats"] if row["name"] != "Aggregated"}
    total = next(row for row in stats["stats"] if row["name"] == "Aggregated")
    expected = figures(outcome)
    equal("endpoints", sorted(rows), sorted(expected))
    for name, (requests, failures, _) in expected.items():
        equal(f"requests of {name}", rows[name]["num_requests"], requests)
        equal(f"failures of {name}", rows[name]["num_failures"], failures)
    equal("all requests", total["num_requests"], sum(one[0] for one in expected.values()))
    equal("all failures", total["num_failures"], sum(one[1] for one in expected.values()))
    equal("occurrences of errors", sum(error["occurrences"] for error in stats["errors"]), total["num_failures"])
    return total["num_requests"]


def check_same_as_csv(test, outcome, prefix):
    expected = figures(outcome)
    with open(os.path.join(test.folder, prefix + "_stats.csv")) as file:
        rows = list(csv.DictReader(file))
    by_name = {f"{row['Type']} {row['Name']}": row for row in rows if row["Name"] != "Aggregated"}
    equal("endpoints", sorted(by_name), sorted(expected))
    for name, (requests, failures, size) in expected.items():
        row = by_name[name]
        equal(f"requests of {name}", int(row["Request Count"]), requests)
        equal(f"failures of {name}", int(row["Failure Count"]), failures)
        check(abs(float(row["Average Content Size"]) * requests - size) < 1, name, "has another size")
        for column, fraction in (("50%", 0.5), ("95%", 0.95), ("99%", 0.99)):
            ours, theirs = percentile(outcome, name, fraction), float(row[column])
            check(abs(ours - theirs) <= 1 + 0.02 * ours, f"{column} of {name}: {ours} and {theirs} ms")
    with open(os.path.join(test.folder, prefix + "_failures.csv")) as file:
        occurrences = sum(int(row["Occurrences"]) for row in csv.DictReader(file))
    equal("occurrences of errors", occurrences, sum(one[1] for one in expected.values()))
    total = next(row for row in rows if row["Name"] == "Aggregated")
    equal("all requests", int(total["Request Count"]), sum(one[0] for one in expected.values()))
    return int(total["Request Count"])


def headless(test):
    """`--headless --csv --html`: the master ends the workers, and counts their last requests."""
    test.start_workers(2)
    test.start_master(
        *"--headless --expect-workers 2 -u 20 -r 10 -t 9s --csv stats --html report.html --only-summary".split()
    )
    equal("exit code of the master", test.exit_codes([test.master]), [1])  # some requests fail
    equal("exit codes of the workers", test.exit_codes(test.workers), [0, 0])
    outcome, _ = test.merge(0, 4)
    requests = check_same_as_csv(test, outcome, "stats")
    with open(os.path.join(test.folder, "report.html")) as file:
        check("/expected" in file.read(), "the endpoints are not in the HTML report")
    equal("lost workers", [worker["name"] for worker in outcome["workers"] if worker["ended"] != "as-planned"], [])
    test.check_master_log()
    return f"{requests} requests"


def web(test):
    """The web UI: start, more users, fewer users, stop, start again."""
    test.start_master()
    test.start_workers(3)
    test.wait_for_workers(3)
    test.swarm(30, 30)
    time.sleep(3)
    test.swarm(60, 30)
    time.sleep(2)
    test.swarm(10, 30)
    time.sleep(3)
    test.stop()
    outcome, _ = test.merge(0, 4)
    first = check_same_as_web(test, outcome)
    levels = [stage["to_users"] for stage in outcome["load"]["stages"] if stage["judged"]]
    equal("judged numbers of users", levels, [30, 60, 10])
    test.wait_for_workers(3)
    test.swarm(12, 12)
    time.sleep(4)
    test.stop()
    outcome, text = test.merge(0, 4)
    second = check_same_as_web(test, outcome)
    check("INVALID" not in text.splitlines()[0], text)
    equal("exceptions", test.api("/exceptions")["exceptions"], [])
    test.master.send_signal(signal.SIGTERM)
    equal("exit codes of the workers", test.exit_codes(test.workers), [0, 0, 0])
    test.check_master_log()
    return f"{first} and {second} requests"


def web_in_browser(test):
    """The same in the web UI, which Chromium shows: start, more users, fewer users, stop."""
    if browser.program() is None:
        return "skipped: requires Chromium"
    test.start_master()
    test.start_workers(2)
    test.wait_for_workers(2)
    page = browser.Browser(test.folder)
    try:
        return drive(test, page)
    finally:
        page.end()


def drive(test, page):
    page.open(f"http://127.0.0.1:{test.web_port}/")
    wait_until("form", lambda: page.has_button("start swarming") or page.has_button("start"))
    fill_and_click(test, page, 20, ["start swarming", "start"])
    time.sleep(5)
    page.screenshot(os.path.join(test.folder, "running.png"))
    for users in (40, 10):
        page.click("edit")
        wait_until("dialog", lambda: page.has_button("update swarm") or page.has_button("update"))
        fill_and_click(test, page, users, ["update swarm", "update"])
        time.sleep(4)
    page.screenshot(os.path.join(test.folder, "changed.png"))
    page.click("stop")
    wait_until("stopped", lambda: test.stats()["state"] in ("stopped", "ready"))
    outcome, _ = test.merge(0, 4)
    requests = check_same_as_web(test, outcome)
    levels = [stage["to_users"] for stage in outcome["load"]["stages"] if stage["judged"]]
    equal("judged numbers of users", levels, [20, 40, 10])
    wait_until(f"{requests} requests on the page", lambda: re.search(rf"Aggregated\s+{requests}\s", page.text()))
    page.screenshot(os.path.join(test.folder, "stopped.png"))
    test.check_master_log()
    return f"{requests} requests; pictures of the page are in {test.folder}"


def fill_and_click(test, page, users, buttons):
    page.fill("userCount", users)
    page.fill("spawnRate", 20)
    page.click(next(text for text in buttons if page.has_button(text)))
    wait_until(f"{users} users", lambda: test.stats()["user_count"] == users)


def killed_worker(test):
    """`kill -9` of a worker: what it had reported counts, and the run is INVALID."""
    test.start_master()
    test.start_workers(3)
    test.wait_for_workers(3)
    test.swarm(30, 30)
    time.sleep(5)
    test.workers[1].kill()
    # The master divides its users among the others.
    wait_until("two workers", lambda: [w["state"] for w in test.stats()["workers"]].count("missing") == 1)
    time.sleep(3)
    test.stop()
    outcome, text = test.merge(4)
    requests = sum(one[0] for one in figures(outcome).values())
    lost = [worker for worker in outcome["workers"] if worker["ended"] == "killed"]
    equal("number of lost workers", len(lost), 1)
    check(text.startswith("INVALID"), text)
    check(lost[0]["name"] in text, "the lost worker is not named:", text)
    check(lost[0]["sent"] > 0, "the killed worker has sent nothing")
    # A test that starts without the killed worker does not miss it.
    wait_until("two ready workers", lambda: [w["state"] for w in test.stats()["workers"]].count("ready") == 2)
    test.swarm(10, 10)
    time.sleep(3)
    test.stop()
    outcome, text = test.merge(0, 4)
    equal("number of workers", len(outcome["workers"]), 2)
    check(not text.startswith("INVALID"), text)
    check_same_as_web(test, outcome)
    return f"{requests} requests, {lost[0]['sent']} of the killed worker, {lost[0]['lost']} of them lost"


def restarted_master(test):
    """A master that is killed and started again: the workers join it, and their outcomes are complete."""
    test.start_master()
    test.start_workers(2)
    test.wait_for_workers(2)
    test.swarm(10, 10)
    time.sleep(3)
    test.master.kill()
    test.master.wait()
    test.start_master()
    test.wait_for_workers(2)
    outcome, text = test.merge(4)
    equal("ends", {worker["ended"] for worker in outcome["workers"]}, {"interrupted"})
    figures(outcome)
    test.swarm(8, 8)
    time.sleep(3)
    test.stop()
    outcome, _ = test.merge(0, 4)
    requests = check_same_as_web(test, outcome)
    return f"{requests} requests after the restart"


def many_workers(test):
    """32 workers with 2,000 users, who wait longer: one machine runs all workers."""
    workers, users, rate = 32, 2000, 200
    test.restart_service(open_files=2 * users)
    test.change_profile(r'wait = ".*"', 'wait = "2s to 4s"')
    test.start_master("--stop-timeout", "20")
    test.start_workers(workers)
    test.wait_for_workers(workers)
    test.swarm(users, rate)
    time.sleep(5)
    elapsed = test.spawn_seconds()
    equal("users", test.stats()["user_count"], users)
    test.stop()
    outcome, _ = test.merge(0, 1, 4)
    requests = check_same_as_web(test, outcome)
    equal("workers with an outcome", len(outcome["workers"]), workers)
    planned = users / rate
    check(abs(elapsed - planned) <= planned / 10, f"spawned in {elapsed:.1f} s instead of {planned:.1f} s")
    check("not all reports" not in test.log("master"), "reports were lost")
    equal("ends", {worker["ended"] for worker in outcome["workers"]}, {"as-planned"})
    equal("lost requests", sum(worker["lost"] for worker in outcome["workers"]), 0)
    return f"{users} users in {elapsed:.1f} s, planned {planned:.1f} s; {requests} requests"


CASES = [headless, web, web_in_browser, killed_worker, restarted_master, many_workers]


def main():
    locust, program, folder = sys.argv[1:4]
    names = sys.argv[4:] or [case.__name__ for case in CASES]
    version = subprocess.run([locust, "--version"], capture_output=True, text=True).stdout
    version = re.search(r"locust (\S+)", version).group(1)
    failed = False
    for case in CASES:
        if case.__name__ not in names:
            continue
        test = Test(locust, program, folder, case.__name__)
        try:
            print(f"Locust {version}, {case.__name__}: {case(test)}", flush=True)
        except (Failed, OSError) as error:
            failed = True
            print(f"Locust {version}, {case.__name__}: FAILED: {error}", flush=True)
        finally:
            test.end()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

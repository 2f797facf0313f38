"""Compares a worker of plant-loadtest with Locust's own under one master.

Usage: bench_workers.py LOCUST PROGRAM FOLDER SECONDS ROUNDS. Fails below three times the requests per CPU second.
"""

import os
import signal
import statistics
import sys
import time

from check_locust import Test, check

USERS = 50
LOWEST_RATIO = 3

PROFILE = """name = "bench"
description = "Requests without think time."
users = 1
spawn_rate = 1
run_time = "10s"
thresholds = ["errors < 1%"]

[[class]]
name = "Reader"

[[class.task]]
request = "GET /health"
"""

LOCUSTFILE = """from locust import FastHttpUser, constant, task


class Reader(FastHttpUser):
    wait_time = constant(0)

    @task
    def read(self):
        self.client.get("/health")
"""


def write(test, name, text):
    with open(os.path.join(test.folder, name), "w") as file:
        file.write(text)


def cpu_seconds(process):
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(test, name, command, seconds):
    worker = test.start(name, ["taskset", "-c", "1", *command, "--master-host", "127.0.0.1"])
    test.wait_for_workers(1)
    before = cpu_seconds(worker)
    test.swarm(USERS, USERS)
    time.sleep(seconds)
    test.stop()
    used = cpu_seconds(worker) - before
    total = next(row for row in test.stats()["stats"] if row["name"] == "Aggregated")
    check(total["num_failures"] == 0, total)
    worker.send_signal(signal.SIGTERM)
    test.exit_codes([worker])
    test.wait_for_workers(0)
    per_cpu_second = total["num_requests"] / used
    print(f"{name:15} {total['num_requests']:8} requests, {used:5.1f} CPU s, {per_cpu_second:7.0f} per CPU second", flush=True)
    return per_cpu_second


def main():
    locust, program, folder = sys.argv[1:4]
    seconds, rounds = float(sys.argv[4]), int(sys.argv[5])
    os.sched_setaffinity(0, {0})
    test = Test(locust, program, folder, "bench")
    try:
        write(test, "bench.toml", PROFILE)
        write(test, "locustfile.py", LOCUSTFILE)
        test.start_master()
        commands = {
            "plant-loadtest": [program, "worker", "bench.toml", "--master-port", str(test.master_port)],
            "FastHttpUser": [locust, "-f", "locustfile.py", "--worker", "--master-port", str(test.master_port)],
        }
        results = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                results[name].append(measure(test, name, command, seconds))
    finally:
        test.end()
    ours, theirs = (statistics.median(values) for values in results.values())
    print(f"medians: {ours:.0f} and {theirs:.0f} requests per CPU second, {ours / theirs:.1f} times as many")
    sys.exit(0 if ours >= LOWEST_RATIO * theirs else 1)


if __name__ == "__main__":
    main()

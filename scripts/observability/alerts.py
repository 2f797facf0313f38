"""Makes the fault of each alert: the alert must fire, and clear after the fault has ended."""

import threading
import time

import faults
from faults import SETTINGS  # noqa: F401 (for the service that is checked)

# Times in rules are divided by this number: 5 minutes are 15 seconds.
DIVISOR = 20
FIRE_TIMEOUT_SECONDS = 60
CLEAR_TIMEOUT_SECONDS = 60
# Longer than the longest range of a rule whose fault is made, so that nothing of the start is left in it.
QUIET_SECONDS = 16

# Covered by `promtool test rules`: their faults take a day, and two minutes.
TESTED_BY_PROMTOOL = {"PlantMemoryGrowing", "PlantTicketsVerySlow"}


class Watch:
    """Records when each alert fires and clears."""

    def __init__(self, prometheus):
        self.prometheus = prometheus
        self.now_firing = set()
        self.fired = {}
        self.cleared = {}
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            firing = self.prometheus.firing()
            for alert in firing - self.now_firing:
                self.fired.setdefault(alert, []).append(time.monotonic())
            for alert in self.now_firing - firing:
                self.cleared.setdefault(alert, []).append(time.monotonic())
            self.now_firing = firing
            time.sleep(0.2)

    def fired_since(self, alert, moment):
        return next((fired for fired in self.fired.get(alert, []) if fired >= moment), None)

    def cleared_since(self, alert, moment):
        return next((cleared for cleared in self.cleared.get(alert, []) if cleared >= moment), None)

    def wait_until(self, condition, timeout):
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True


def make(watch, stack, group):
    """Makes faults at the same time; each ends when its alerts have fired."""
    for fault in group:
        # An alert that still fires would prove nothing.
        watch.wait_until(lambda: not watch.now_firing & set(fault.alerts), CLEAR_TIMEOUT_SECONDS)
        fault.began = time.monotonic()
        fault.begin(stack)
    open_faults = list(group)
    deadline = time.monotonic() + FIRE_TIMEOUT_SECONDS
    while open_faults:
        for fault in list(open_faults):
            if all(watch.fired_since(alert, fault.began) for alert in fault.alerts) or time.monotonic() > deadline:
                fault.ended = time.monotonic()
                fault.end(stack)
                open_faults.remove(fault)
        time.sleep(0.1)


def check(stack):
    """Prints a table of faults and alerts, and returns whether one did not fire or clear."""
    prometheus = stack.start_prometheus(DIVISOR)
    rules = {rule["name"] for rule in prometheus.rules("alert")}
    time.sleep(QUIET_SECONDS)
    watch = Watch(prometheus)
    time.sleep(3)
    if watch.now_firing:
        print(f"FAILED without a fault: {', '.join(sorted(watch.now_firing))}")
        return True

    paused = faults.PausedQueue("queue paused, 1100 tickets posted", ["PlantQueueDeep", "PlantWorkersStuck"])
    old = faults.OldTickets(
        "queue resumed after 62 s; the desk rejects half of the notes",
        ["PlantTicketsSlow", "PlantTicketsFailing", "PlantTicketsFailingCritical", "PlantJobsDead"],
        paused,
    )
    unknown = faults.FloodOf(
        "requests for unknown agents", ["PlantClientErrors", "PlantErrorsAboveTarget"], 1, faults.unknown_agent
    )
    connections = faults.Connections(
        "172 more database sessions", ["PlantDatabaseConnections", "PlantDatabaseServerFull"]
    )
    redis = faults.StoppedRedis("Redis stopped", ["PlantCacheUnavailable"])
    locked = faults.LockedTables(
        "tables locked",
        ["PlantLatencyHigh", "PlantLatencyCritical", "PlantRouteSlow", "PlantPoolExhausted", "PlantUnavailable"]
        + ["PlantServerErrors", "PlantErrorRateHigh", "PlantErrorRateCritical", "PlantApiFailing", "LoadTestErrors"],
    )
    grant = faults.MissingGrant("a privilege revoked", ["PlantErrorsLogged"])
    desk = faults.FailingDesk("the desk fails", ["PlantCircuitOpen"])
    logins = faults.FloodOf(
        "logins without pause on one CPU",
        ["PlantCpuAboveTarget", "PlantCpuHigh", "PlantCpuSaturated"],
        24,
        faults.login,
    )
    memory = faults.Lasting("the memory of 256 hashing threads, until the restart", ["PlantMemoryHigh"])
    killed = faults.Killed("service killed, then started", ["PlantDown"])
    restarted = faults.Lasting("the start after it", ["PlantRestarted"])

    groups = [[paused, unknown, connections, redis], [locked, grant], [old], [desk], [logins, memory], [killed], [restarted]]
    for group in groups:
        make(watch, stack, group)
    paused.ended = old.began
    memory.ended = killed.began
    restarted.began = killed.began
    made = [fault for group in groups for fault in group]
    expected = {alert for fault in made for alert in fault.alerts}
    watch.wait_until(lambda: not watch.now_firing & expected, CLEAR_TIMEOUT_SECONDS)
    watch.stopping = True
    return report(watch, made, rules)


def report(watch, made, rules):
    failed = False
    print(f"| fault | alert | fired after | cleared after |\n|---|---|---:|---:|")
    for fault in made:
        for alert in fault.alerts:
            fired = watch.fired_since(alert, fault.began)
            cleared = fired and (watch.cleared_since(alert, fault.ended) or watch.cleared_since(alert, fired))
            if alert in watch.now_firing:
                cleared = None
            failed = failed or fired is None or cleared is None
            after = f"{fired - fault.began:.1f} s" if fired else "DID NOT FIRE"
            until = f"{max(cleared - fault.ended, 0):.1f} s" if cleared else "DID NOT CLEAR"
            print(f"| {fault.name} | {alert} | {after} | {until} |")
    expected = {alert for fault in made for alert in fault.alerts}
    print(f"Times of the rules divided by {DIVISOR}. {len(expected)} alerts fired by faults, {len(TESTED_BY_PROMTOOL)} by promtool.")
    unchecked = rules - expected - TESTED_BY_PROMTOOL
    if unchecked:
        print(f"FAILED: no fault for {', '.join(sorted(unchecked))}")
    return failed or bool(unchecked)

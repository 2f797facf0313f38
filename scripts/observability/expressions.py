"""Evaluates every expression of dashboards, rules, alerts and documentation in a running Prometheus.

Each query of a panel, each recording rule and the measured side of each alert must have a value that is a number: an
alert on a series that does not exist never fires, and nobody notices.
"""

import math
import re
import time
from pathlib import Path

import dashboards

TIMEOUT_SECONDS = 60

# Needs a day of samples; `promtool test rules` covers it.
WITHOUT_DATA = {"PlantMemoryGrowing"}


def expressions(prometheus, folder, documents):
    """Returns all expressions as (where, expression, must be a number)."""
    found = []
    for file, dashboard in dashboards.load(folder).items():
        for panel in dashboards.panels(dashboard):
            for target in panel["targets"]:
                found.append((f"{file}: {panel['title']}, {target['refId']}", target["expr"], True))
    for rule in prometheus.rules("record"):
        found.append((f"rule {rule['name']} {labels(rule)}", f"{rule['name']}{labels(rule)}", True))
    for rule in prometheus.rules("alert"):
        if rule["name"] not in WITHOUT_DATA:
            found.append((f"alert {rule['name']}", measured_side(rule["query"]), True))
    for document in documents:
        for block in re.findall(r"```promql\n(.*?)```", Path(document).read_text(), re.S):
            for line in block.splitlines():
                # As the source document has them: some are NaN while there are no errors.
                if line and not line.startswith("#"):
                    found.append((f"{document}: {line}", line, False))
    return found


def labels(rule):
    pairs = [f'{name}="{value}"' for name, value in rule.get("labels", {}).items()]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def measured_side(expression):
    """Returns what an alert compares: the expression up to the first comparison outside of brackets."""
    depth = 0
    for index, character in enumerate(expression):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and re.match(r" (==|!=|>=|<=|>|<) ", expression[index:]):
            return expression[:index]
    raise ValueError(f"no comparison in {expression}")


def missing(prometheus, expression, must_be_number):
    """Returns why the expression has no data, or None."""
    try:
        values = prometheus.query(expression)
    except ValueError as error:
        return str(error)
    if not values:
        return "no data"
    if must_be_number and all(math.isnan(value) for value in values):
        return "NaN"
    return None


def unknown_thresholds(prometheus):
    """Returns the thresholds of routes that the service does not have: they would never be compared."""
    return prometheus.get(
        "query",
        query='plant:p95_seconds:threshold unless on (method, path) http_requests_total{job="plant"}',
    )["result"]


def check(prometheus, folder, documents):
    """Prints the expressions without data and returns whether there are any."""
    waiting = expressions(prometheus, folder, documents)
    total = len(waiting)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    # Not a retry of failures: a series has its first value when its first request was counted and scraped twice.
    while True:
        results = [(where, expression, number, missing(prometheus, expression, number)) for where, expression, number in waiting]
        failures = [(where, expression, reason) for where, expression, _, reason in results if reason]
        if not failures or time.monotonic() > deadline:
            break
        waiting = [(where, expression, number) for where, expression, number, reason in results if reason]
        time.sleep(1)
    failures += [(f"threshold {series['metric']}", "no such route", "") for series in unknown_thresholds(prometheus)]
    unhealthy = [rule for kind in ("record", "alert") for rule in prometheus.rules(kind) if rule["health"] != "ok"]
    failures += [(f"rule {rule['name']}", rule["query"], rule.get("lastError", rule["health"])) for rule in unhealthy]
    for file, dashboard in dashboards.load(folder).items():
        failures += [(file, problem, "") for problem in dashboards.problems(dashboard)]
    for where, expression, reason in failures:
        print(f"FAILED {where}\n       {expression}\n       {reason}")
    in_panels = sum(len(panel["targets"]) for dashboard in dashboards.load(folder).values() for panel in dashboards.panels(dashboard))
    print(f"{total} expressions, {in_panels} of them in panels: {total - len(failures)} with data, {len(failures)} without")
    return bool(failures)

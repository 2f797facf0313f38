"""Runs checks against a real Prometheus that scrapes the service: check.py WORK [expressions] [alerts]"""

import sys

import alerts
import expressions
import scrape
from stack import Stack

DASHBOARDS = "deploy/grafana/dashboards"
DOCUMENTS = ["docs/observability.md"]


def main(work, *parts):
    stack = Stack(work)
    failed = False
    try:
        stack.start_service(**alerts.SETTINGS if "alerts" in parts else {})
        if "expressions" in parts:
            failed |= scrape.check(stack, "of the idle service", scrape.IDLE)
        stack.start_generator()
        if "expressions" in parts:
            failed |= expressions.check(stack.start_prometheus(1), DASHBOARDS, DOCUMENTS)
            failed |= scrape.check(stack, "under load", scrape.ALWAYS)
            stack.stop("prometheus")
        if "alerts" in parts:
            failed |= alerts.check(stack)
    finally:
        stack.stop_all()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

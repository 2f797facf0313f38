"""A client of Prometheus's HTTP API, and a copy of its configuration for a local run."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

# Ranges, offsets, `for` and `interval`: every duration in a rule file.
DURATION = re.compile(r"((?:\[|offset |for: |interval: ))(\d+)([smhd])\b")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Prometheus:
    """A running Prometheus."""

    def __init__(self, address):
        self.address = address

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=2):
                return True
        except urllib.error.HTTPError:
            return False

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}?{query}", timeout=10) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from error

    def query(self, expression):
        """Returns the values of an instant query, one for each series."""
        data = self.get("query", query=expression)
        if data["resultType"] == "scalar":
            return [float(data["result"][1])]
        return [float(series["value"][1]) for series in data["result"]]

    def rules(self, kind):
        """Returns the loaded rules: `record` or `alert`."""
        groups = self.get("rules", type=kind)["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def firing(self):
        """Returns the names of the alerts that fire."""
        alerts = self.get("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


def copy_configuration(source, destination, targets, divisor):
    """Copies the configuration with other addresses, and with all times divided.

    `targets` maps addresses of the compose file to local ones. Times are divided in rules only: scrapes are as frequent
    as a range needs.
    """
    Path(destination).mkdir(parents=True, exist_ok=True)
    for file in Path(source).glob("*.yml"):
        text = file.read_text()
        if file.name == "prometheus.yml":
            text = local_configuration(text, targets, divisor)
        else:
            text = DURATION.sub(lambda found: divided(found, divisor), text)
        (Path(destination) / file.name).write_text(text)


def local_configuration(text, targets, divisor):
    # Nothing resolves the name of the second version here.
    text = re.sub(r"(?m)^ *# The second version.*\n.*\n *dns_sd_configs:\n(?: {6,}.*\n)+", "", text)
    for address, local in targets.items():
        if address not in text:
            raise ValueError(f"prometheus.yml has no target {address}")
        text = text.replace(address, local)
    interval = "1s" if divisor == 1 else "500ms"
    return re.sub(r"(scrape_interval|scrape_timeout|evaluation_interval): \w+", rf"\1: {interval}", text)


def divided(found, divisor):
    before, number, unit = found.groups()
    milliseconds = int(number) * SECONDS[unit] * 1000 // divisor
    return f"{before}{max(milliseconds, 500)}ms" if divisor != 1 else found.group(0)

"""Dashboards as data, and checks of their structure.

    dashboards.py FILE…    reads each file with Grafana's published types of the version in the compose file

What Grafana does not know would be lost when it reads a dashboard, so every value must survive the types. Requires the
Python package grafana-foundation-sdk, which is generated from Grafana's own schemas.
"""

import json
import sys
from pathlib import Path


def load(folder):
    """Returns the dashboards of a folder by file name."""
    return {file.name: json.loads(file.read_text()) for file in sorted(Path(folder).glob("*.json"))}


def panels(dashboard):
    """Returns all panels but the headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def problems(dashboard):
    """Returns what Grafana would show wrongly without an error."""
    found = []
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(ids) != len(set(ids)):
        found.append("two panels have the same id")
    cells = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        own = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        if own & cells or place["x"] + place["w"] > 24:
            found.append(f"{panel['title']}: overlaps another panel, or is beyond the right edge")
        cells |= own
    for panel in panels(dashboard):
        targets = panel["targets"]
        if not targets:
            found.append(f"{panel['title']}: no query")
        if len({target["refId"] for target in targets}) != len(targets):
            found.append(f"{panel['title']}: two queries have the same refId")
        if any(target["datasource"]["uid"] != "prometheus" for target in targets):
            found.append(f"{panel['title']}: not the provisioned data source")
    return found


def lost(before, after, path=""):
    """Yields the paths of values that differ after reading and writing."""
    if isinstance(before, dict):
        for key, value in before.items():
            if not isinstance(after, dict) or key not in after:
                yield f"{path}.{key}: unknown"
            else:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list):
        if not isinstance(after, list) or len(before) != len(after):
            yield f"{path}: another length"
        else:
            for index, (old, new) in enumerate(zip(before, after)):
                yield from lost(old, new, f"{path}[{index}]")
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"


def check_types(files):
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models import units
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    known_units = {value for value in vars(units).values() if isinstance(value, str)}
    failed = False
    for file in files:
        text = Path(file).read_text()
        dashboard = json.loads(text)
        found = list(lost(dashboard, json.loads(JSONEncoder().encode(Dashboard.from_json(json.loads(text))))))
        for panel in panels(dashboard):
            unit = panel["fieldConfig"]["defaults"]["unit"]
            if unit not in known_units:
                found.append(f"{panel['title']}: unknown unit {unit}")
        for problem in found:
            print(f"{file}: {problem}")
        failed = failed or bool(found)
    return failed


if __name__ == "__main__":
    sys.exit(check_types(sys.argv[1:]))

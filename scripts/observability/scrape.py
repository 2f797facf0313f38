"""Checks a scrape of the service: its size, and names, types and help texts with promtool."""

import subprocess

# Before the first request.
IDLE = {"bytes": 64_000, "samples": 600}
# Whatever was requested.
ALWAYS = {"bytes": 128_000}


def check(stack, when, limits):
    """Prints size and problems of a scrape, and returns whether there are problems."""
    status, body = stack.request("GET", "/metrics")
    lines = body.decode().splitlines()
    size = {"bytes": len(body), "samples": sum(not line.startswith("#") for line in lines)}
    promtool = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True)
    problems = [line.decode() for line in (promtool.stdout + promtool.stderr).splitlines()]
    problems += [f"{size[unit]} {unit}; at most {limit} are allowed" for unit, limit in limits.items() if size[unit] > limit]
    if status != 200:
        problems.append(f"status {status}")
    for problem in problems:
        print(f"FAILED scrape {when}: {problem}")
    print(f"scrape {when}: {size['bytes']} bytes, {size['samples']} samples; promtool check metrics: {'failed' if promtool.returncode else 'clean'}")
    return bool(problems)

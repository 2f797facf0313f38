"""Prints how many operations of a run of schemathesis succeeded at least once, and the others.

Usage: fuzz_summary.py <statuses as JSON> <with-token|without-token> <minimum share of operations in percent>
"""

import json
import sys


def main():
    path, run, minimum = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(path) as file:
        operations = json.load(file)
    if run == "without-token":
        operations = {name: one for name, one in operations.items() if not one["needs_token"]}
    requests = sum(sum(one["statuses"].values()) for one in operations.values())
    failed = {
        name: one["statuses"]
        for name, one in operations.items()
        if not any(status.startswith("2") for status in one["statuses"])
    }
    succeeded = len(operations) - len(failed)
    which = "operations" if run == "with-token" else "operations that need no token"
    print(f"{run}: {succeeded} of {len(operations)} {which} succeeded at least once, in {requests} requests")
    for name, statuses in sorted(failed.items()):
        print(f"  never: {name} {statuses}")
    if succeeded * 100 < len(operations) * minimum:
        sys.exit(f"fewer than {minimum} % of the operations succeeded")


main()

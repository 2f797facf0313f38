"""Counts the statuses of each operation in the file FUZZ_STATUSES, and replaces schemathesis's check that a request
which matches the schema is accepted.

The service may still reject such a request with 422 for reasons that no schema expresses: an unknown
id, an uncertified skill, an Idempotency-Key reused for another request, settings that look like a
raw secret, an entity that fails its checks during certification, the URL or the secret of a tenant. The response must
then list only violations of these rules.
"""

import atexit
import collections
import json
import os

import schemathesis

RULES_OUTSIDE_SCHEMA = {
    "unknown-reference",
    "certified",
    "reused",
    "no-raw-secret",
    "url",
    "base64",
    "sealed",
    "unused",
    "mismatch",
    "L1-job-role-skills",
    "L1-team-agents",
    "L1-team-job-role",
    # Of two fields exactly one.
    "exactly-one",
    # Targets of the performance agent.
    "target",
}
ACCEPTED_STATUSES = {401, 403, 404, 409, 412, 429}


def is_outside_schema(violation):
    # Free-form values may contain numbers, at any depth, that canonical JSON cannot represent.
    free_form = violation["field"].startswith(("evidence", "settings", "custom_attributes"))
    return violation["rule"] in RULES_OUTSIDE_SCHEMA or (free_form and violation["rule"] == "safe-integer")


@schemathesis.check
def schema_valid_requests_are_accepted(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if "None" in (case.path_parameters or {}).values():
        # An id that was null in an earlier response, sent as the string "None", which is not a UUID.
        return
    status = response.status_code
    if 200 <= status < 400 or status in ACCEPTED_STATUSES:
        return
    if status == 422:
        violations = response.json()["violations"]
        if all(is_outside_schema(violation) for violation in violations):
            return
    raise AssertionError(f"a request that matches the schema got status {status}: {response.text}")


OPERATIONS = {}


@schemathesis.hook
def after_call(context, case, response):
    operation = case.operation
    security = operation.definition.raw.get("security", [])
    one = OPERATIONS.setdefault(
        operation.label,
        {"needs_token": bool(security) and {} not in security, "statuses": collections.Counter()},
    )
    one["statuses"][str(response.status_code)] += 1


@atexit.register
def write_statuses():
    with open(os.environ["FUZZ_STATUSES"], "w") as file:
        json.dump(OPERATIONS, file, indent=1)

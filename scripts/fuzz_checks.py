"""Counts the statuses of each operation in the file FUZZ_STATUSES, and replaces schemathesis's check that a request
which matches the schema is accepted.

The service may still reject such a request with 422 for reasons that no schema expresses: an unknown
id, an uncertified skill, an Idempotency-Key reused for another request, settings that look like a
raw secret, an entity that fails its checks during certification, the URL or the secret of a tenant, a number that
canonical JSON cannot represent in free-form JSON. The response must then list only violations of these rules.
"""

import atexit
import collections
import json
import os
import uuid

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

# Rules of single fields.
FIELDS_OUTSIDE_SCHEMA = {
    # Two decimals: `multipleOf` is ambiguous for binary numbers.
    ("amount", "shape"),
    # One of it and `plan_code`.
    ("plan_id", "required"),
    # Names of the configuration.
    ("rules", "enum"),
    # The range of each tunable is its own.
    ("value", "range"),
}


def is_outside_schema(violation, described):
    field, rule = violation["field"], violation["rule"]
    if rule == "safe-integer":
        # The limits of described numbers are in the schema. Other fields are free-form.
        return field not in described or "maximum" not in described[field]
    return rule in RULES_OUTSIDE_SCHEMA or (field, rule) in FIELDS_OUTSIDE_SCHEMA


def described_fields(case):
    """Returns the schemas of the fields of the body by name."""
    raw = case.operation.definition.raw.get("requestBody", {})
    schema = raw.get("content", {}).get("application/json", {}).get("schema", {})
    schemas = case.operation.schema.raw_schema["components"]["schemas"]
    return schemas.get(schema.get("$ref", "").rpartition("/")[2], schema).get("properties", {})


def has_ids_of_other_types(case):
    """Returns whether the value of an earlier response, by a guess at its meaning, is sent as an id which is a UUID."""
    parameters = case.operation.path_parameters
    uuids = [one.name for one in parameters if one.definition["schema"].get("format") == "uuid"]
    return not all(is_uuid(str(case.path_parameters[name])) for name in uuids)


def is_uuid(text):
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


@schemathesis.check
def schema_valid_requests_are_accepted(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.path_parameters and has_ids_of_other_types(case):
        return
    status = response.status_code
    if 200 <= status < 400 or status in ACCEPTED_STATUSES:
        return
    if status == 422:
        described = described_fields(case)
        if all(is_outside_schema(violation, described) for violation in response.json()["violations"]):
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

"""Replaces schemathesis's check that a request which matches the schema is accepted.

The service may still reject such a request with 422 for reasons that no schema expresses: an unknown
id, an uncertified skill, an Idempotency-Key reused for another request, settings that look like a
raw secret, an entity that fails its checks during certification, the URL or the secret of a tenant. The response must then list only
violations of these rules.
"""

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

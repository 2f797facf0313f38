"""Replaces schemathesis's check that a request which fits the description is accepted.

Facts that no schema can tell may still refuse it with 422: an id that names nothing, or a skill
that is not certified, an Idempotency-Key that was used for another request, settings that look
like a raw secret, an entity that fails its checks when it is to be certified. The answer must
then name exactly such rules.
"""

import schemathesis

FACTS = {
    "unknown-reference",
    "certified",
    "reused",
    "no-raw-secret",
    "L1-job-role-skills",
    "L1-team-agents",
    "L1-team-job-role",
}
ACCEPTED = {401, 403, 404, 409, 412, 429}


def is_fact(violation):
    # Free values may hold numbers at any depth that canonical JSON cannot carry.
    free = violation["field"].startswith(("evidence", "settings", "custom_attributes"))
    return violation["rule"] in FACTS or (free and violation["rule"] == "safe-integer")


@schemathesis.check
def honest_requests_are_accepted(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if "None" in (case.path_parameters or {}).values():
        # An id that an earlier answer left null, carried on as a word: no uuid, so it fits nothing.
        return
    status = response.status_code
    if 200 <= status < 400 or status in ACCEPTED:
        return
    if status == 422:
        violations = response.json()["violations"]
        if all(is_fact(violation) for violation in violations):
            return
    raise AssertionError(f"a request that fits the description was answered {status}: {response.text}")

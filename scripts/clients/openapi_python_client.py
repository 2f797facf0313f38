"""Creates, reads and lists an agent and gets a problem, with the client of openapi-python-client."""

import sys
import uuid

from plant_client import Client
from plant_client.api.catalogue import get_api_v1_agents, get_api_v1_agents_id, post_api_v1_agents
from plant_client.models import NewAgent, Problem

with Client(base_url=sys.argv[1]) as client:
    first = get_api_v1_agents.sync(client=client, limit=2, industry="marketing")[0]
    new = NewAgent(
        name="Written by openapi-python-client",
        skill_id=first.skill_id,
        job_role_id=first.job_role_id,
        industry_id=first.industry_id,
    )
    created = post_api_v1_agents.sync_detailed(client=client, body=new)
    assert created.status_code == 201, created
    read = get_api_v1_agents_id.sync(client=client, id=created.parsed.id)
    assert read.name == new.name, read
    missing = get_api_v1_agents_id.sync_detailed(client=client, id=uuid.UUID(int=0))
    assert isinstance(missing.parsed, Problem) and missing.parsed.code == "not-found", missing
print("openapi-python-client: created, read, listed, and got a problem")

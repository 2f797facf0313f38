"""Creates, reads and lists an agent and gets a problem, with the client of openapi-generator."""

import json
import sys
import uuid

import plant_generated
from plant_generated import CatalogueApi, NewAgent, Problem

configuration = plant_generated.Configuration(host=sys.argv[1])
with plant_generated.ApiClient(configuration) as client:
    catalogue = CatalogueApi(client)
    first = catalogue.get_api_v1_agents(limit=2, industry="marketing")[0]
    new = NewAgent(
        name="Written by openapi-generator",
        skill_id=first.skill_id,
        job_role_id=first.job_role_id,
        industry_id=first.industry_id,
    )
    created = catalogue.post_api_v1_agents(new)
    read = catalogue.get_api_v1_agents_id(created.id)
    assert read.name == new.name, read
    try:
        catalogue.get_api_v1_agents_id(uuid.UUID(int=0))
        sys.exit("no error for an agent that does not exist")
    except plant_generated.exceptions.NotFoundException as error:
        problem = Problem.from_dict(json.loads(error.body))
        assert problem.code == "not-found", problem
print("openapi-generator: created, read, listed, and got a problem")

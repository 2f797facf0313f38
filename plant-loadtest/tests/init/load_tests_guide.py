from locust import HttpUser, task, between

class PlantUser(HttpUser):
    wait_time = between(1, 3)
    
    @task(3)
    def list_agents(self):
        """Simulate user browsing agents (3x weight)."""
        self.client.get("/api/v1/agents")
    
    @task(2)
    def create_skill(self):
        """Simulate creating skill (2x weight)."""
        self.client.post("/api/v1/skills", json={
            "name": f"Skill_{random.randint(1,1000)}",
            "category": "technical"
        })
    
    @task(1)
    def validate_agent(self):
        """Simulate agent validation (1x weight)."""
        agent_id = random.choice(self.agent_ids)
        self.client.get(f"/api/v1/agents/{agent_id}")

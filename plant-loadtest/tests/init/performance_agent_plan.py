"""
Locust Load Testing

Run with: locust -f locustfile.py --host=http://localhost:8002
"""

from locust import HttpUser, task, between


class PerformanceAgentUser(HttpUser):
    wait_time = between(1, 3)
    
    @task(10)
    def health_check(self):
        self.client.get("/api/v1/health")
    
    @task(5)
    def get_config(self):
        self.client.get("/api/v1/config")
    
    @task(5)
    def get_capabilities(self):
        self.client.get("/api/v1/capabilities")
    
    @task(2)
    def list_workflows(self):
        self.client.get("/api/v1/workflows")

from locust import HttpUser, task, between

class CustomUser(HttpUser):
    wait_time = between(1, 3)
    
    @task(10)
    def my_custom_test(self):
        self.client.get("/api/endpoint")

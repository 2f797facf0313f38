// Creates, reads and lists an agent and gets a problem, with the types of openapi-typescript.

import { strict as assert } from "node:assert";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const client = createClient<paths>({ baseUrl: process.argv[2]! });

const listed = await client.GET("/api/v1/agents", { params: { query: { limit: 2, industry: "marketing" } } });
assert.equal(listed.response.status, 200);
const first: components["schemas"]["Agent"] = listed.data![0]!;

const created = await client.POST("/api/v1/agents", {
  body: {
    name: "Written in TypeScript",
    skill_id: first.skill_id,
    job_role_id: first.job_role_id,
    industry_id: first.industry_id,
  },
});
assert.equal(created.response.status, 201);

const read = await client.GET("/api/v1/agents/{id}", { params: { path: { id: created.data!.id } } });
assert.equal(read.data!.name, "Written in TypeScript");

const missing = await client.GET("/api/v1/agents/{id}", {
  params: { path: { id: "00000000-0000-7000-8000-000000000000" } },
});
const problem: components["schemas"]["Problem"] = missing.error!;
assert.equal(missing.response.headers.get("content-type"), "application/problem+json");
assert.equal(problem.code, "not-found");
console.log("openapi-typescript: created, read, listed, and got a problem");

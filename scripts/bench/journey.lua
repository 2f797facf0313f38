-- Requests of the class PlantBackendUser with its weights, without think time.
--
-- Usage: wrk … -s journey.lua URL -- HIRES ROUTE. HIRES is a file with lines "<customer id> <hired agent id>". ROUTE is
-- one of the names below, or `journey` for all of them. Prints the line of result.lua.

dofile("scripts/bench/result.lua")

local hires, routes = {}, {}

local function pick(list)
  return list[math.random(#list)]
end

local function get(path)
  return wrk.format("GET", path)
end

local GOAL = '{"title":"Load test goal %d","description":"Made by a load test","schedule":"weekly","enabled":true}'

-- Weight, and a function that returns a request for a customer and one of its hired agents.
local ROUTES = {
  health = { 10, function() return get("/health") end },
  agents = { 8, function() return get("/api/v1/agents") end },
  hires = { 6, function(customer) return get("/api/v1/customers/" .. customer .. "/agents") end },
  industry = { 5, function()
    return get("/api/v1/agents?industry=" .. pick({ "marketing", "education", "sales" }))
  end },
  configuration = { 4, function(_, hire) return get("/api/v1/agents/" .. hire .. "/configuration") end },
  goals = { 3, function(_, hire) return get("/api/v1/agents/" .. hire .. "/goals") end },
  deliverables = { 2, function(_, hire) return get("/api/v1/agents/" .. hire .. "/deliverables") end },
  create = { 1, function(_, hire)
    local headers = { ["Content-Type"] = "application/json" }
    return wrk.format("POST", "/api/v1/agents/" .. hire .. "/goals", headers, GOAL:format(math.random(1000000)))
  end },
}

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("seed", threads)
end

function init(args)
  math.randomseed(seed)
  for line in io.lines(args[1]) do
    local customer, hire = line:match("(%S+) (%S+)")
    table.insert(hires, { customer, hire })
  end
  for name, route in pairs(ROUTES) do
    if args[2] == "journey" then
      for _ = 1, route[1] do table.insert(routes, route[2]) end
    elseif args[2] == name then
      table.insert(routes, route[2])
    end
  end
  assert(#hires > 0 and #routes > 0, "no hired agents, or an unknown route")
end

function request()
  local hire = pick(hires)
  return pick(routes)(hire[1], hire[2])
end

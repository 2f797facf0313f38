-- Usage: wrk … -s wrk.lua URL -- [METHOD BODY-FILE]. Prints the line of result.lua.

dofile("scripts/bench/result.lua")

function init(args)
  if args[1] then
    local file = assert(io.open(args[2]))
    wrk.method = args[1]
    wrk.body = file:read("*a")
    wrk.headers["Content-Type"] = "application/json"
    file:close()
  end
end

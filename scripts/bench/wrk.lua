-- Usage: wrk … -s wrk.lua URL -- [METHOD BODY-FILE [TOKEN]]. Prints the line of result.lua.

dofile("scripts/bench/result.lua")

function init(args)
  if args[1] then
    local file = assert(io.open(args[2]))
    wrk.method = args[1]
    wrk.body = file:read("*a")
    wrk.headers["Content-Type"] = "application/json"
    file:close()
    if args[3] then wrk.headers["Authorization"] = "Bearer " .. args[3] end
  end
end

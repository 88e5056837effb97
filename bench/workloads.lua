-- One workload of bench/run.ts, for wrk. Tokens and ids are spread over all users. Ids are derived from the number of
-- the user (see fixture.ts), so only the tokens are read from a file.
-- Arguments: the workload, the file of tokens, tasks per user, users, and the file for the result.

local workload, tokensFile, tasksPerUser, users, seed, resultFile

local tokens = {}
local host = ""
local doomed = 0

local function read(file)
  local count = 0
  for line in io.lines(file) do
    count = count + 1
    tokens[count] = line
  end
end

local function userId(n) return string.format("00000000-0000-7000-8000-%012x", n) end
local function taskId(n, k) return string.format("%08x-0000-7000-a000-%012x", k, n) end

local function get(path, n, more)
  return "GET " .. path .. " HTTP/1.1\r\nHost: " .. host .. "\r\nAuthorization: Bearer " .. tokens[n] .. "\r\n" .. (more or "") .. "\r\n"
end

local function send(method, path, n, body)
  local authorization = n and "\r\nAuthorization: Bearer " .. tokens[n] or ""
  local content = body and "\r\nContent-Type: application/json\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body or "\r\n\r\n"
  return method .. " " .. path .. " HTTP/1.1\r\nHost: " .. host .. authorization .. content
end

local someone = function() return math.random(1, users) end

-- The tasks of a user that each workload uses: 1-10 are written, the following keep their first version, and the last
-- one is deleted.
local kept = function() return math.random(11, tasksPerUser - 1) end
local written = function() return math.random(1, 10) end

local works = {}

works["read one"] = function()
  local n = someone()
  return get("/api/tasks/" .. taskId(n, kept()), n)
end

works["list 20"] = function() return get("/api/tasks?limit=20", someone()) end

works["304"] = function()
  local n = someone()
  return get("/api/tasks/" .. taskId(n, kept()), n, "If-None-Match: \"1\"\r\n")
end

-- Changes the first letter of the signature: well-formed and invalid.
works["401"] = function()
  local n = someone()
  local head, signature = tokens[n]:match("^(.*%.)([^.]*)$")
  local first = signature:sub(1, 1) == "A" and "B" or "A"
  return "GET /api/tasks/" .. taskId(n, kept()) .. " HTTP/1.1\r\nHost: " .. host .. "\r\nAuthorization: Bearer " .. head .. first .. signature:sub(2) .. "\r\n\r\n"
end

works["create"] = function()
  return send("POST", "/api/tasks", someone(), '{"title":"Order new filters for the pump","description":"Two of the large ones, and a seal","priority":"high","due_at":"2027-03-01T09:00:00Z","tags":["house","garden"]}')
end

works["toggle"] = function()
  local n = someone()
  return send("PATCH", "/api/tasks/" .. taskId(n, written()) .. "/complete", n)
end

works["replace"] = function()
  local n = someone()
  return send("PUT", "/api/tasks/" .. taskId(n, written()), n, '{"title":"Replace the filters of the pump","completed":true,"description":"Both of them","tags":["house"]}')
end

-- Each of these tasks once; they are restored between rounds.
works["delete"] = function()
  doomed = doomed % users + 1
  return send("DELETE", "/api/tasks/" .. taskId(doomed, tasksPerUser), doomed)
end

works["sign-in"] = function()
  return send("POST", "/api/auth/login", nil, '{"email":"user' .. someone() .. '@example.test","password":"correct horse battery staple"}')
end

works["mix"] = function()
  local die = math.random(100)
  if die <= 35 then return works["list 20"]() end
  if die <= 70 then return works["read one"]() end
  if die <= 80 then return works["create"]() end
  if die <= 90 then return works["toggle"]() end
  if die <= 95 then return works["replace"]() end
  return works["delete"]()
end

function init(args)
  workload, tokensFile, tasksPerUser, users, seed = args[1], args[2], tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  host = wrk.host .. ":" .. wrk.port
  math.randomseed(seed)
  read(tokensFile)
  request = works[workload]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"durationUs":%d,"p50Us":%d,"p95Us":%d,"p99Us":%d,"maxUs":%d,"refused":%d,"broken":%d,"timeouts":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(95), latency:percentile(99), latency.max,
    errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end

-- Listeners: whom they accept and when, over loopback.

local descriptors = require("spec.support.descriptors")
local expect = require("spec.support.expect")
local greeter = require("spec.support.greeter")
local weir_binary = require("spec.support.weir")

local run, binary, bound = weir_binary.run, weir_binary.binary, weir_binary.bound
local fails, hello, greeted = expect.fails, greeter.hello, greeter.greeted

local T = 10

local function nobody() end

-- Connects `count` clients, which need not be accepted; a list of streams.
local function clients_of(listener, count)
  local clients = {}
  for i = 1, count do
    clients[i] = assert(weir.connect(listener:address(), { connect_timeout = T }))
  end
  return clients
end

local function abort_all(streams)
  for _, stream in ipairs(streams) do stream:abort() end
end

describe("a listener", function()
  it("passes its options on to the streams", function()
    local codes = weir.channel(1)
    local listener = assert(weir.listen("127.0.0.1:0", { timeout = 0.01 }, function(stream)
      codes:put((select(3, stream:read_bytes(1))))
    end))
    local client = assert(weir.connect(listener:address()))
    assert.equal("ETIMEDOUT", codes:get({ timeout = T }))
    client:close()
    listener:close()
  end)

  it("has connections with nodelay and keepalive as they are asked for", function()
    local out, err = run({ stdin = [[
      local ffi = require("ffi")
      ffi.cdef("int socket(int, int, int); int listen(int, int);" ..
        "int getsockopt(int, int, int, int *, int *);")
      local TCP, NODELAY, SOCKET, KEEPALIVE = 6, 1, 1, 9
      local function option(stream, level, name)
        local value, length = ffi.new("int[1]"), ffi.new("int[1]", 4)
        assert(ffi.C.getsockopt(stream:fd(), level, name, value, length) == 0)
        return value[0]
      end
      local function report(address, options)
        local told = weir.channel(1)
        local listener = assert(weir.listen(address, options, function(stream)
          told:put({ option(stream, TCP, NODELAY), option(stream, SOCKET, KEEPALIVE) })
        end))
        weir.connect("127.0.0.1:" .. listener:address():match("%d+$"))
        print(unpack(told:get({ timeout = 10 })))
        listener:close()
      end
      report("127.0.0.1:0", {})
      report("127.0.0.1:0", { nodelay = false, keepalive = true })
      local fd = ffi.C.socket(2, 1, 0)
      assert(ffi.C.listen(fd, 5) == 0)
      report("fd:" .. fd, { keepalive = true })
    ]] })
    assert.same({ "1\t0\n0\t1\n1\t1\n", "" }, { out, err })
  end)

  it("does not accept while it is paused, and refuses nobody", function()
    local served = weir.channel(3)
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      served:put(true)
      hello(stream)
    end))
    listener:pause()
    listener:pause()
    local clients = clients_of(listener, 3)
    for _ = 1, 5 do weir.sleep(0) end
    fails("ETIMEDOUT", served:get({ timeout = 0 }))
    assert.equal(0, listener:stats().accepted)
    listener:resume()
    for _, client in ipairs(clients) do
      assert.equal("hello", client:read_until_close({ timeout = T }))
      client:close()
    end
    listener:close()
  end)

  for _, stop in ipairs({ "close", "pause" }) do
    it("that a handler " .. stop .. "s accepts nobody after that", function()
      local accepted, listener = 0, nil
      listener = assert(weir.listen("127.0.0.1:0", function(stream)
        accepted = accepted + 1
        listener[stop](listener)
        stream:read_until_close()
      end))
      local tasks, connected = {}, {}
      for i = 1, 40 do
        tasks[i] = weir.spawn(function()
          local stream = weir.connect(listener:address(), { connect_timeout = T })
          connected[#connected + 1] = stream
          return true
        end)
      end
      weir.all(tasks)
      for _ = 1, 5 do weir.sleep(0) end
      assert.equal(1, accepted)
      assert.is_true(#connected > 0)
      if stop == "pause" then assert.equal(40, #connected) end
      abort_all(connected)
      listener:close()
    end)
  end

  it("that a handler pauses and resumes goes on with those who waited", function()
    local listener
    listener = assert(weir.listen("127.0.0.1:0", function(stream)
      listener:pause()
      listener:pause()
      weir.sleep(0)
      listener:resume()
      hello(stream)
    end))
    for _, client in ipairs(clients_of(listener, 5)) do
      assert.equal("hello", client:read_until_close({ timeout = T }))
      client:close()
    end
    listener:close()
  end)

  it("says ECONNREFUSED once it is closed, and closes but once", function()
    local listener = assert(weir.listen("127.0.0.1:0", nobody))
    local address = listener:address()
    assert.equal(("weir.listener (%s, listening)"):format(address), tostring(listener))
    listener:close()
    listener:close()
    assert.equal(address, listener:address())
    assert.equal(("weir.listener (%s, closed)"):format(address), tostring(listener))
    fails("ECONNREFUSED", weir.connect(address))
    listener:pause()
    listener:resume()
  end)

  it("that is closed leaves its connections alone", function()
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      stream:write(stream:read_until("\n"))
    end))
    local client = clients_of(listener, 1)[1]
    weir.sleep(0)
    weir.sleep(0)
    listener:close()
    client:write("still there\n")
    assert.equal("still there\n", client:read_until("\n", { timeout = T }))
    client:close()
  end)

  it("delivers what a handler wrote before it closed", function()
    local data = ("x"):rep(1000000)
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      stream:write(data)
      stream:close()
    end))
    assert.is_true(greeted(listener:address()) == data)
    listener:close()
  end)

  it("leaves a stream open until its handler returns, whatever its close callback", function()
    local order, done = {}, weir.channel(1)
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      stream:set_close_callback(function(_, code) done:put(code) end)
      order[1] = stream:read_until_close({ timeout = T })
      for _ = 1, 5 do weir.sleep(0) end
      order[2] = stream:closed()
      order[3] = stream:write("answer")
    end))
    local client = clients_of(listener, 1)[1]
    client:write("question")
    client:shutdown()
    assert.equal("answer", client:read_until_close({ timeout = T }))
    assert.equal("EOF", done:get({ timeout = T }))
    assert.same({ "question", false, true }, order)
    client:close()
    listener:close()
  end)

  it("reports an error in a handler once, closes that stream, goes on", function()
    local out, err, status = run({ "-e", [[
      local count, listener = 0, nil
      listener = weir.listen("127.0.0.1:0", function(stream)
        count = count + 1
        if count == 1 then error("first") end
        stream:write("second")
        stream:close()
      end)
      local function ask()
        local stream = weir.connect(listener:address())
        return (stream:read_until_close({ timeout = 10 }))
      end
      print(ask(), ask())
      listener:close()
    ]] })
    assert.matches("\tsecond\n$", out)
    assert.equal(1, select(2, err:gsub("first", "")))
    assert.equal(1, status)
  end)

  it("keeps the host, unless it is unref'd", function()
    assert.same({ "", "", 0 }, { run({ "-e", [[
      weir.listen("127.0.0.1:0", function() end):unref()
      local other = weir.listen("127.0.0.1:0", function() end)
      weir.after(0, function() other:close() end)
    ]] }) })
  end)

  it("accepts as many as max_connections at once, and refuses nobody", function()
    local open, most, served = 0, 0, 0
    local listener = weir.listen("127.0.0.1:0", { max_connections = 2 }, function(stream)
      open = open + 1
      most = math.max(most, open)
      stream:read_until("\n")
      while served == 0 and open < 2 do weir.sleep(0) end
      stream:write("ok\n")
      open, served = open - 1, served + 1
      stream:close()
    end)
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = weir.spawn(function()
        local stream = assert(weir.connect(listener:address()))
        stream:write("go\n")
        local answer = stream:read_until("\n", { timeout = T })
        stream:close()
        return answer
      end)
    end
    for _, answer in ipairs(weir.all(tasks)) do assert.equal("ok\n", answer) end
    assert.equal(20, served)
    assert.equal(2, most)
    listener:close()
  end)

  it("accepts at most 128 connections in a turn", function()
    local accepted, batches = 0, {}
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      accepted = accepted + 1
      stream:abort()
    end))
    listener:pause()
    local clients = clients_of(listener, 400)
    listener:resume()
    local before = 0
    while accepted < 400 do
      weir.sleep(0)
      batches[#batches + 1] = accepted - before
      before = accepted
    end
    assert.is_true(math.max(unpack(batches)) <= 128, table.concat(batches, " "))
    abort_all(clients)
    listener:close()
  end)

  it("counts a connection until it is over, whoever ended it", function()
    local streams = weir.channel(2)
    local listener = weir.listen("127.0.0.1:0", { max_connections = 1 }, function(stream) streams:put(stream) end)
    local first, second = unpack(clients_of(listener, 2))
    local stream = streams:get({ timeout = T })
    fails("ETIMEDOUT", streams:get({ timeout = 0 }))
    stream:set_close_callback(nobody)
    first:close()
    stream = streams:get({ timeout = T })
    stream:abort()
    second:abort()
    listener:close()
  end)

  it("serves 1,000 connections, and has no more descriptors open than before", function()
    local before = descriptors.settled()
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      stream:write(stream:read_until("\n"))
      stream:close()
    end))
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = weir.spawn(function()
        for j = 1, 20 do
          local stream = assert(weir.connect(listener:address()))
          local line = ("%d %d\n"):format(i, j)
          stream:write(line)
          assert(stream:read_until_close({ timeout = T }) == line)
          stream:close()
        end
        return true
      end)
    end
    assert.equal(50, #assert(weir.all(tasks)))
    assert.equal(1000, listener:stats().accepted)
    listener:close()
    assert(descriptors.settle(before))
  end)
end)

describe("reuse_port", function()
  it("spreads connections over three processes", function()
    local first = assert(weir.listen("127.0.0.1:0", { reuse_port = true }, hello))
    local address, workers = first:address(), {}
    for i = 1, 3 do
      workers[i] = assert(weir.process(bound({ binary, "-e", ([[
        weir.listen(%q, { reuse_port = true }, function(stream)
          stream:write("worker %d")
          stream:close()
        end)
        print("ready")
        io.stdout:flush()
      ]]):format(address, i) })))
    end
    for _, worker in ipairs(workers) do assert.equal("ready\n", worker.stdout:read_until("\n", { timeout = T })) end
    first:close()
    local seen, count = {}, 0
    for _ = 1, 1000 do
      local name = greeted(address)
      count = seen[name] and count or count + 1
      seen[name] = true
      if count == 3 then break end
    end
    assert.same({ ["worker 1"] = true, ["worker 2"] = true, ["worker 3"] = true }, seen)
    for _, worker in ipairs(workers) do
      worker:kill("TERM")
      assert.same({ "exit", 0 }, { worker:wait({ timeout = T }) })
    end
  end)
end)

describe("weir.exit", function()
  it("closes listeners: who comes while streams flush does not keep the host", function()
    local server = assert(weir.process({ binary, "-e", [[
      local listener
      listener = weir.listen("127.0.0.1:0", function(stream)
        stream:write(("x"):rep(20000000), function() end)
        weir.exit(3)
      end)
      print(listener:address())
      io.stdout:flush()
    ]] }))
    local address = server.stdout:read_until("\n", { inclusive = false, timeout = T })
    local slow = assert(weir.connect(address))
    slow:read_bytes(1, { timeout = T })
    expect.soon(function()
      local stream = weir.connect(address, { connect_timeout = T })
      if stream then stream:close() end
      return not stream
    end)
    assert.equal(19999999, #slow:read_until_close({ timeout = T }))
    slow:close()
    assert.same({ "exit", 3 }, { server:wait({ timeout = T }) })
  end)
end)

describe("at the descriptor limit", function()
  it("a listener uses no CPU, says so once an episode, and serves everybody", function()
    local server = assert(weir.process(bound({ "sh", "-c", 'ulimit -n 24; exec "$0" -e "$1"', binary, [[
      local listener = weir.listen("127.0.0.1:0", function(stream)
        local line = stream:read_until("\n")
        -- The last one hears nothing before the listener has seen that nobody
        -- waits behind it: the next ones are another episode.
        for _ = 1, 5 do weir.sleep(0) end
        stream:write(line)
        stream:close()
      end)
      print(listener:address())
      io.stdout:flush()
    ]] })))
    local address = server.stdout:read_until("\n", { inclusive = false, timeout = T })
    for _ = 1, 2 do
      local clients, tasks = {}, {}
      for i = 1, 60 do clients[i] = assert(weir.connect(address, { connect_timeout = T })) end
      assert.equal("weir: accept on " .. address .. ": Too many open files; new connections wait\n",
        server.stderr:read_until("\n", { timeout = T }))
      local before = weir_binary.used(server:pid())
      weir.sleep(0.25)
      assert.is_true(weir_binary.used(server:pid()) - before < 10) -- a tenth of a second
      for i, client in ipairs(clients) do
        tasks[i] = weir.spawn(function()
          client:write("hello\n")
          local said = client:read_until_close({ timeout = T })
          client:close()
          return said
        end)
      end
      for _, said in ipairs(weir.all(tasks)) do assert.equal("hello\n", said) end
    end
    server:kill("TERM")
    assert.equal("", server.stderr:read_until_close({ timeout = T }))
    server:wait({ timeout = T })
  end)
end)

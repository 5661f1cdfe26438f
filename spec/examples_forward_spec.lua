-- The examples that pass bytes on, run as a user runs them.

local examples = require("spec.support.examples")
local nginx = require("spec.support.nginx")
local weir_binary = require("spec.support.weir")

local start, serve, run = examples.start, examples.serve, examples.run
local kill_all = examples.kill_all

-- A listener that reads to the end, and then answers with that in capitals.
local function shouter(address)
  return assert(weir.listen(address, function(stream)
    local data = stream:read_until_close({ timeout = 30 })
    if data then stream:write(data:upper()) end
    stream:close()
  end))
end

local function ask(address, data)
  local stream, reason = weir.connect(address)
  if not stream then return nil, reason end
  stream:write(data)
  stream:shutdown()
  local answer, message = stream:read_until_close({ timeout = 30 })
  stream:close()
  return answer, message
end

-- Why a connection was lost: the reset may be faster than connect is told.
local function lost(address)
  local stream, _, code = weir.connect(address)
  if not stream then return code end
  code = select(3, stream:read_until_close({ timeout = 30 }))
  stream:close()
  return code
end

local BLOCK = ("0123456789abcdef"):rep(4096)
local BLOCKS = 256 -- 16 MiB each way

-- Sends and receives all of it at the same time; is it right?
local function exchange(stream)
  local sender = weir.spawn(function()
    for _ = 1, BLOCKS do assert(stream:write(BLOCK, { timeout = 30 })) end
    return stream:shutdown()
  end)
  for _ = 1, BLOCKS do
    if stream:read_bytes(#BLOCK, { timeout = 30 }) ~= BLOCK then return false end
  end
  local ended = select(3, stream:read_some({ timeout = 30 })) == "EOF"
  return ended and sender:join() == true
end

local forwarders = {
  { "tcp_proxy.lua", "127.0.0.1:0", "127.0.0.1:0" },
  { "bridge.lua", "unix", "127.0.0.1:0" },
  { "bridge.lua", "127.0.0.1:0", "unix" },
}

for _, forwarder in ipairs(forwarders) do
  local name, listen_at, target_at = unpack(forwarder)
  describe(name .. " from " .. listen_at .. " to " .. target_at, function()
    local folder

    local function address(pattern)
      if pattern ~= "unix" then return pattern end
      folder = folder or weir_binary.folder()
      return "unix:" .. folder .. "/socket"
    end

    after_each(function()
      kill_all()
      if folder then weir_binary.remove(folder) end
      folder = nil
    end)

    it("respects half-close", function()
      local target = shouter(address(target_at))
      local proxy = serve(name, address(listen_at), target:address())
      assert.equal("HELLO", ask(proxy, "hello"))
      assert.equal("", ask(proxy, ""))
      target:close()
    end)

    it("passes on both ways at once", function()
      local right = weir.channel(1)
      local target = assert(weir.listen(address(target_at), function(stream)
        right:put(exchange(stream))
        stream:close()
      end))
      local client = assert(weir.connect((serve(name, address(listen_at), target:address()))))
      assert.is_true(exchange(client))
      assert.is_true(right:get({ timeout = 30 }))
      client:close()
      target:close()
    end)

    it("does not make an end of a reset", function()
      local tcp = target_at ~= "unix" and listen_at ~= "unix"
      local target = assert(weir.listen(address(target_at), function(stream)
        stream:read_until("\n", { timeout = 30 })
        stream:abort()
      end))
      local client = assert(weir.connect((serve(name, address(listen_at), target:address()))))
      client:write("request\n")
      local answer, _, code = client:read_until_close({ timeout = 30 })
      -- An abort on a unix socket is an end.
      if tcp then
        assert.is_nil(answer)
        assert.equal("ECONNRESET", code)
      else
        assert.is_true(answer == "" or code == "ECONNRESET")
      end
      client:close()
      target:close()
    end)

    it("goes on after a target that cannot be reached", function()
      local target = shouter(address(target_at))
      local there = target:address()
      target:close()
      local proxy, process = serve(name, address(listen_at), there)
      assert.is_nil((ask(proxy, "x") or ""):match("X"))
      assert.matches("^[%w_]+: connect .*\n$", process.stderr:read_until("\n", { timeout = 30 }))
      target = shouter(there)
      assert.equal("AGAIN", ask(proxy, "again"))
      target:close()
    end)

    it("explains itself", function()
      local out, err, status = run({ weir_binary.binary, "scripts/examples/" .. name })
      assert.equal("", out)
      assert.matches("^usage: " .. name, err)
      assert.equal(2, status)
    end)
  end)
end

describe("tcp_proxy.lua", function()
  local server

  setup(function()
    server = nginx.start()
    os.execute(("cd %s/www; echo hello >small; head -c 20000000 /dev/urandom >large; chmod 644 *")
      :format(server.folder))
  end)

  teardown(function() server.stop() end)
  after_each(kill_all)

  it("stands between curl and nginx", function()
    local proxy = serve("tcp_proxy.lua", "127.0.0.1:0", server.address)
    local out, _, status = run({ "curl", "-sS", "http://" .. proxy .. "/small" })
    assert.equal("hello\n", out)
    assert.equal(0, status)
    out = run({ "sh", "-c", ([[
      for i in 1 2 3 4; do curl -sS "http://$0/large" | cmp - %s/www/large && echo same & done
      wait]]):format(server.folder), proxy })
    assert.equal("same\nsame\nsame\nsame\n", out)
  end)
end)

describe("bridge.lua", function()
  after_each(kill_all)

  it("stands between socat and another", function()
    local folder = weir_binary.folder()
    local target = shouter("127.0.0.1:0")
    local address = serve("bridge.lua", "unix:" .. folder .. "/socket", target:address())
    local out, err = run({ "socat", "-t", "30", "-", (address:gsub("^unix:", "UNIX-CONNECT:")) }, "hi\n")
    assert.equal("HI\n", out)
    assert.equal("", err)
    target:close()
    weir_binary.remove(folder)
  end)

  it("lets connections go on after SIGINT, and tidies up", function()
    local folder = weir_binary.folder()
    local path = folder .. "/socket"
    local target = shouter("127.0.0.1:0")
    local address, process = serve("bridge.lua", "unix:" .. path, target:address())
    local client = assert(weir.connect(address))
    client:write("still ")
    assert.equal("", ask(address, ""))
    process:kill("INT")
    assert.equal("bridge: 1 connections go on\n", process.stderr:read_until("\n", { timeout = 30 }))
    assert.is_nil(io.open(path))
    client:write("here")
    client:shutdown()
    assert.equal("STILL HERE", client:read_until_close({ timeout = 30 }))
    assert.same({ "exit", 0 }, { process:wait({ timeout = 30 }) })
    client:close()
    target:close()
    weir_binary.remove(folder)
  end)
end)

describe("line_client.lua", function()
  after_each(kill_all)

  it("sends its input and prints the answer", function()
    local target = shouter("127.0.0.1:0")
    assert.same({ "LINE\nREST", "", 0 }, { run({
      weir_binary.binary, "scripts/examples/line_client.lua", target:address() }, "line\nrest") })
    target:close()
  end)

  it("goes both ways at once, with socat at the other end", function()
    local folder = weir_binary.folder()
    examples.start_other({ "socat", "UNIX-LISTEN:" .. folder .. "/socket", "EXEC:cat" })
    weir.deadline(30, function()
      while not os.rename(folder .. "/socket", folder .. "/socket") do assert(weir.sleep(0.005)) end
    end)
    local client = start("line_client.lua", "unix:" .. folder .. "/socket")
    local writer = weir.spawn(function()
      for _ = 1, 64 do assert(client.stdin:write(BLOCK)) end
      client.stdin:close()
      return true
    end)
    for _ = 1, 64 do
      assert.is_true(BLOCK == client.stdout:read_bytes(#BLOCK, { timeout = 30 }))
    end
    assert.is_true(writer:join())
    assert.equal("", client.stdout:read_until_close({ timeout = 30 }))
    assert.same({ "exit", 0 }, { client:wait({ timeout = 30 }) })
    weir_binary.remove(folder)
  end)

  it("answers line by line", function()
    local target = assert(weir.listen("127.0.0.1:0", function(stream)
      for line in stream:lines() do stream:write({ "you said ", line, "\n" }) end
      stream:close()
    end))
    local client = start("line_client.lua", target:address())
    for _, word in ipairs({ "one", "two" }) do
      client.stdin:write(word .. "\n")
      assert.equal("you said " .. word .. "\n", client.stdout:read_until("\n", { timeout = 30 }))
    end
    client.stdin:close()
    assert.same({ "exit", 0 }, { client:wait({ timeout = 30 }) })
    target:close()
  end)

  it("ends with the answer, whatever might still be typed", function()
    local target = assert(weir.listen("127.0.0.1:0", function(stream)
      stream:write("bye\n")
      stream:close()
    end))
    local client = start("line_client.lua", target:address())
    assert.equal("bye\n", client.stdout:read_until_close({ timeout = 30 }))
    assert.same({ "exit", 0 }, { client:wait({ timeout = 30 }) })
    target:close()
  end)

  it("says what went wrong", function()
    local target = shouter("127.0.0.1:0")
    local address = target:address()
    target:close()
    local out, err, status = run({ weir_binary.binary, "scripts/examples/line_client.lua", address })
    assert.equal("", out)
    assert.matches("^line_client: connect 127%.0%.0%.1:%d+: Connection refused\n$", err)
    assert.equal(1, status)
    assert.equal(2, select(3, run({ weir_binary.binary, "scripts/examples/line_client.lua" })))
  end)
end)

describe("exec_server.lua", function()
  after_each(kill_all)

  it("runs a filter for each connection", function()
    local address, process = serve("exec_server.lua", "127.0.0.1:0", "sort", "-n")
    local out = run({ "socat", "-t", "30", "-", "TCP:" .. address }, "10\n9\n1\n")
    assert.equal("1\n9\n10\n", out)
    assert.matches("^exec_server: %d+: exit 0\n$", process.stderr:read_until("\n", { timeout = 30 }))
    local clients = {}
    for i = 1, 20 do
      clients[i] = weir.spawn(ask, address, ("%d\n"):format(i):rep(2) .. "0\n")
    end
    for i, answer in ipairs(weir.all(clients)) do
      assert.equal(("0\n%d\n%d\n"):format(i, i), answer)
    end
  end)

  it("passes on much, both ways at once", function()
    local address = serve("exec_server.lua", "127.0.0.1:0", "cat")
    local client = assert(weir.connect(address))
    assert.is_true(exchange(client))
    client:close()
  end)

  it("tells the command who is there", function()
    local address = serve("exec_server.lua", "127.0.0.1:0", "sh", "-c", "echo $PEER")
    local client = assert(weir.connect(address))
    assert.equal(client:local_address() .. "\n", client:read_until_close({ timeout = 30 }))
    client:close()
  end)

  it("ends a command whose peer is lost", function()
    local address, process = serve("exec_server.lua", "127.0.0.1:0", "sh", "-c", "echo ready; exec sleep 100")
    local client = assert(weir.connect(address))
    assert.equal("ready\n", client:read_until("\n", { timeout = 30 }))
    client:abort()
    assert.matches("^exec_server: %d+: signal TERM\n$", process.stderr:read_until("\n", { timeout = 30 }))
  end)

  it("resets the connection where the command failed", function()
    local address, process = serve("exec_server.lua", "127.0.0.1:0", "sh", "-c", "exit 3")
    assert.equal("ECONNRESET", lost(address))
    assert.matches("^exec_server: %d+: exit 3\n$", process.stderr:read_until("\n", { timeout = 30 }))
  end)

  it("goes on when the command cannot be started", function()
    local address, process = serve("exec_server.lua", "127.0.0.1:0", "no-such-command")
    for _ = 1, 2 do
      assert.equal("ECONNRESET", lost(address))
      assert.equal("exec_server: process no-such-command: No such file or directory\n",
        process.stderr:read_until("\n", { timeout = 30 }))
    end
  end)
end)

-- What close does after it has returned (R18), and what nobody closes.

local transports = require "spec.support.transports"
local weir_binary = require "spec.support.weir"

local PATIENCE = { timeout = 20 }
local MUCH = ("x"):rep(2 ^ 23) -- more than the kernel takes

transports.each("close", function(pair, kind)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  it("gives up when linger runs out: what is unfinished fails", function()
    local told, written = weir.channel(1), weir.channel(1)
    b:set_close_callback(function(message, code) told:put({ message, code }) end)
    b:write(MUCH, function(...) written:put({ ... }) end)
    b:close({ linger = 0.02 })
    local write = written:get(PATIENCE)
    assert.is_nil(write[1])
    assert.equal("ETIMEDOUT", write[3])
    assert.matches("not sent within the linger of close$", write[2])
    assert.equal("ETIMEDOUT", told:get(PATIENCE)[2])
    local data, _, code = a:read_bytes(#MUCH, PATIENCE)
    assert.is_nil(data)
    if kind:find("tcp") then assert.equal("ECONNRESET", code) end
  end)

  if not kind:find("faults") then
    it("with a linger of 0 sends what the kernel takes at once", function()
      b:write("last words")
      b:close({ linger = 0 })
      assert.equal("last words", a:read_bytes(10, PATIENCE))
    end)
  end

  it("tells the callback before the peer ends too", function()
    local told = weir.channel(1)
    b:set_close_callback(function(_, code) told:put(code or "closed") end)
    b:write("bye")
    b:close()
    assert.equal("closed", told:get(PATIENCE))
    assert.equal("bye", a:read_until_close(PATIENCE))
  end)

  it("takes every byte along, the peer's being unread", function()
    a:write("never read")
    a:flush(PATIENCE)
    b:write("answer")
    b:close()
    assert.equal("answer", a:read_until_close(PATIENCE))
  end)
end)

describe("after close, over TCP,", function()
  it("the peer may go on writing, and is not reset", function()
    local a, b = transports.list[1].pair()
    b:write("enough")
    b:close()
    assert.equal("enough", a:read_until_close(PATIENCE))
    for _ = 1, 20 do
      assert.is_true(a:write(("more"):rep(1000)))
      assert.is_true(a:flush(PATIENCE))
    end
    a:close()
  end)

  it("the host waits for the peer, no longer than linger", function()
    local out, err, status = weir_binary.run({ "-e", [[
      local kept
      local listener = weir.listen("127.0.0.1:0", function(stream)
        stream:set_close_callback(function(_, code) print("over", code) end)
        stream:write("x")
        stream:close({ linger = 0.1 })
      end)
      kept = weir.connect(listener:address())
      print(kept:read_until_close())
      listener:close()
      kept:unref() ]] })
    assert.equal("", err)
    assert.equal("over\tnil\nx\n", out)
    assert.equal(0, status)
  end)
end)

describe("a stream that nobody can reach", function()
  -- All at once: the collector takes its time, and is the same for each.
  local function each_at_once(f)
    local tasks = {}
    for i, transport in ipairs(transports.list) do
      tasks[i] = weir.spawn(f, transport.pair, transport.name)
    end
    for _, task in ipairs(tasks) do assert(task:join(PATIENCE)) end
  end

  -- In a task of its own: its stack is gone with it.
  local function peer_of_forgotten(pair, use)
    return weir.spawn(function()
      local a, b = pair()
      use(b)
      return a
    end):join()
  end

  it("is closed by the collector while the host is idle", function()
    each_at_once(function(pair, name)
      local peer = peer_of_forgotten(pair, function(stream)
        stream:read_bytes(1, { timeout = 0 }, function() end)
        stream:write("x")
      end)
      assert.equal("x", peer:read_until_close(PATIENCE), name)
      peer:abort()
      return true
    end)
  end)

  it("still sends what was written", function()
    each_at_once(function(pair, name)
      local peer = peer_of_forgotten(pair, function(stream)
        stream:write(("x"):rep(3000000), function() end)
      end)
      collectgarbage()
      assert.equal(3000000, #peer:read_until_close(PATIENCE), name)
      peer:abort()
      return true
    end)
  end)

  it("is not, while a callback of it waits, or for its end", function()
    local kept, got, over = nil, weir.channel(1), weir.channel(1)
    weir.spawn(function()
      local a, b = weir.pair()
      b:read_bytes(1, function(data) got:put(data) end)
      local c, d = weir.pair()
      d:set_close_callback(function(_, code) over:put(code) end)
      kept = { a, c }
    end):join()
    for _ = 1, 4 do
      collectgarbage()
      weir.sleep(0)
    end
    kept[1]:write("x")
    assert.equal("x", got:get(PATIENCE))
    kept[2]:close()
    assert.equal("EOF", over:get(PATIENCE))
    kept[1]:abort()
  end)
end)

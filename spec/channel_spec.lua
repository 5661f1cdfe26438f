local expect = require("spec.support.expect")

local code_of = expect.code_of

local function spawned(f, ...)
  local task = weir.spawn(f, ...)
  weir.sleep(0)
  return task
end

describe("a channel without capacity", function()
  it("hands over directly: a put waits for its get", function()
    local channel = weir.channel()
    local putter = spawned(channel.put, channel, "value")
    assert.equal("waiting", putter:status())
    assert.equal("value", channel:get())
    assert.is_true(putter:join())
  end)

  it("serves getters and putters in their order", function()
    local channel, got = weir.channel(), {}
    local getters = {}
    for i = 1, 3 do
      getters[i] = spawned(function() got[i] = channel:get() end)
    end
    for i = 1, 3 do assert.is_true(channel:put(i * 10)) end
    weir.all(getters)
    assert.same({ 10, 20, 30 }, got)
    local putters = {}
    for i = 1, 3 do putters[i] = spawned(channel.put, channel, i) end
    assert.same({ 1, 2, 3 }, { channel:get(), channel:get(), channel:get() })
    assert.same({ true, true, true }, weir.all(putters))
  end)

  it("carries false, and refuses nil", function()
    local channel = weir.channel(1)
    channel:put(false)
    assert.is_false(channel:get())
    local ok, message = pcall(channel.put, channel, nil)
    assert.is_false(ok)
    assert.matches("nil cannot be put", message)
    expect.raises("channel put: nil cannot be put", function() channel:put() end)
  end)
end)

describe("a channel with capacity", function()
  it("holds that many, then a put waits", function()
    local channel = weir.channel(2)
    assert.is_true(channel:put(1))
    assert.is_true(channel:put(2))
    local third = spawned(channel.put, channel, 3)
    assert.equal("waiting", third:status())
    assert.equal("weir.channel: 2 of 2", tostring(channel))
    assert.equal(1, channel:get())
    assert.is_true(third:join())
    assert.same({ 2, 3 }, { channel:get(), channel:get() })
  end)

  it("of math.huge never waits", function()
    local channel = weir.channel(math.huge)
    for i = 1, 1000 do channel:put(i) end
    for i = 1, 1000 do assert.equal(i, channel:get()) end
  end)

  it("is a whole number", function()
    for _, wrong in ipairs({ -1, 1.5, "x", 0 / 0, {} }) do
      expect.raises("channel: a whole number, 0 or more, or math.huge expected", function() weir.channel(wrong) end)
    end
  end)
end)

describe("closing a channel", function()
  it("wakes all getters and all putters", function()
    local channel, tasks = weir.channel(), {}
    for i = 1, 3 do tasks[i] = spawned(function() return code_of(channel:get()) end) end
    channel:close()
    assert.same({ "ECLOSED", "ECLOSED", "ECLOSED" }, weir.all(tasks))
    channel = weir.channel(1)
    channel:put("kept")
    for i = 1, 3 do tasks[i] = spawned(function() return code_of(channel:put(i)) end) end
    channel:close()
    assert.same({ "ECLOSED", "ECLOSED", "ECLOSED" }, weir.all(tasks))
    assert.equal("kept", channel:get())
  end)

  it("leaves what is in it to be got, then says ECLOSED", function()
    local channel = weir.channel(3)
    channel:put(1)
    channel:put(2)
    channel:close()
    channel:close()
    assert.equal("weir.channel: 2 of 3 (closed)", tostring(channel))
    local value, message, code = channel:put(3)
    assert.is_nil(value)
    assert.equal("channel put: the channel is closed", message)
    assert.equal("ECLOSED", code)
    assert.same({ 1, 2 }, { channel:get(), channel:get() })
    value, message, code = channel:get()
    assert.is_nil(value)
    assert.equal("channel get: the channel is closed", message)
    assert.equal("ECLOSED", code)
  end)

  it("tells callbacks", function()
    local channel, told = weir.channel(), weir.channel(2)
    channel:get(function(...) told:put(code_of(...)) end)
    channel:close()
    channel:put(1, function(...) told:put(code_of(...)) end)
    assert.same({ "ECLOSED", "ECLOSED" }, { told:get({ timeout = 5 }), told:get({ timeout = 5 }) })
  end)
end)

describe("what waits in a channel", function()
  it("times out without losing or leaving a value", function()
    local channel = weir.channel()
    local value, message, code = channel:put("lost?", { timeout = 0.001 })
    assert.is_nil(value)
    assert.equal("channel put: timed out after 0.001 s", message)
    assert.equal("ETIMEDOUT", code)
    assert.equal("ETIMEDOUT", code_of(channel:get({ timeout = 0.001 })))
    local putter = spawned(channel.put, channel, "second")
    assert.equal("second", channel:get({ timeout = 5 }))
    assert.is_true(putter:join())
    assert.equal("ETIMEDOUT", code_of(channel:get({ timeout = 0.001 })))
  end)

  it("is cancelled without losing a value", function()
    local channel = weir.channel()
    local getter = spawned(channel.get, channel)
    getter:cancel()
    local putter = spawned(channel.put, channel, "kept")
    assert.equal("ECANCELED", code_of(getter:join()))
    assert.equal("waiting", putter:status())
    assert.equal("kept", channel:get())
    putter = spawned(channel.put, channel, "withdrawn")
    putter:cancel()
    assert.equal("ECANCELED", code_of(putter:join()))
    assert.equal("ETIMEDOUT", code_of(channel:get({ timeout = 0.001 })))
  end)

  it("keeps a value that was handed over before the cancel", function()
    local channel, codes = weir.channel(), {}
    local getter = spawned(function()
      codes[1] = channel:get()
      codes[2] = code_of(weir.sleep(0))
    end)
    channel:put("handed over")
    getter:cancel()
    getter:join()
    assert.same({ "handed over", "ECANCELED" }, codes)
  end)

  it("takes callbacks, which never run inside the call", function()
    local channel, order, done = weir.channel(1), {}, weir.channel(1)
    channel:put("v", function(ok) order[#order + 1] = ok end)
    channel:get(function(value)
      order[#order + 1] = value
      done:put(true)
    end)
    order[#order + 1] = "calls returned"
    done:get({ timeout = 5 })
    assert.same({ "calls returned", true, "v" }, order)
  end)

  it("refuses what is no channel, at the caller's line", function()
    for _, name in ipairs({ "put", "get", "close" }) do
      local ok, message = pcall(function()
        weir.channel()[name]({}, 1)
      end)
      assert.is_false(ok)
      assert.matches("^%S*channel_spec.lua:%d+: channel " .. name
        .. ": a channel expected, got table", message)
    end
  end)

  it("refuses options that it does not know", function()
    assert.has_error(function() weir.channel():get({ time = 1 }) end,
      "channel get: unknown option 'time' (known: timeout)")
    assert.has_error(function() weir.channel():get(1) end,
      "channel get: options (a table) or a callback expected, got number")
  end)
end)

it("a thousand producers and consumers lose nothing", function()
  local channel, sum, tasks = weir.channel(7), 0, {}
  for i = 1, 1000 do tasks[#tasks + 1] = weir.spawn(channel.put, channel, i) end
  for _ = 1, 1000 do
    tasks[#tasks + 1] = weir.spawn(function()
      sum = sum + channel:get()
      return true
    end)
  end
  assert.equal(2000, #weir.all(tasks, { timeout = 20 }))
  assert.equal(500500, sum)
end)

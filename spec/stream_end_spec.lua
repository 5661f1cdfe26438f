local transports = require "spec.support.transports"
local weir_binary = require "spec.support.weir"

transports.each("ending", function(pair, kind)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  it("delivers what was written before close, then EOF", function()
    a:write("data")
    a:close()
    assert.equal("data", b:read_until_close())
    local _, _, code = b:read_bytes(1)
    assert.equal("EOF", code)
  end)

  it("delivers a large write before close, input being unread", function()
    b:write("never read")
    b:flush()
    weir.spawn(function()
      a:write(("z"):rep(3000000), function() end)
      a:close()
    end)
    assert.equal(3000000, #b:read_until_close())
  end)

  it("keeps what does not satisfy a read at the peer's end", function()
    a:write("partial")
    a:close()
    local _, _, code = b:read_until("\n")
    assert.equal("EOF", code)
    assert.equal("part", b:read_bytes(4))
    assert.equal("ial", b:read_until_close())
    assert.equal("", b:read_until_close())
  end)

  it("goes on writing after the peer's half-close", function()
    a:write("question")
    assert.is_true(a:shutdown())
    assert.equal("question", b:read_until_close())
    assert.is_true(b:write("answer"))
    b:close()
    assert.equal("answer", a:read_until_close())
    local ok, _, code = a:write("more")
    assert.is_nil(ok)
    assert.equal("EPIPE", code)
  end)

  it("fails the pending read of a stream closed here with ECLOSED", function()
    local code
    local task = weir.spawn(function() code = select(3, b:read_bytes(10)) end)
    weir.sleep(0)
    b:close()
    task:join()
    assert.equal("ECLOSED", code)
    assert.is_true(b:closed())
    b:close()
    local _, _, later = b:write("x")
    assert.equal("ECLOSED", later)
  end)

  it("reads what was buffered after close here", function()
    a:write("abcdef")
    assert.equal("a", b:read_bytes(1))
    b:close()
    assert.equal("bcdef", b:read_bytes(5))
    assert.equal("ECLOSED", (select(3, b:read_bytes(1))))
  end)

  it("calls the close callback once: nil after close here", function()
    local calls = {}
    b:set_close_callback(function(message, code)
      calls[#calls + 1] = { message or "nil", code or "nil" }
    end)
    b:close()
    assert.same({}, calls)
    b:close()
    weir.sleep(0)
    assert.same({ { "nil", "nil" } }, calls)
  end)

  it("calls the close callback with EOF once all was read", function()
    local events = weir.channel(10)
    b:set_close_callback(function(_, code) events:put("closed " .. tostring(code)) end)
    a:write("12")
    a:close()
    assert.equal("1", b:read_bytes(1))
    b:read_bytes(1, function(data) events:put(data) end)
    assert.equal("2", events:get({ timeout = 5 }))
    assert.equal("closed EOF", events:get({ timeout = 5 }))
    assert.is_true(b:closed())
    assert.equal("EOF", (select(3, b:read_bytes(1))))
  end)

  it("calls a close callback that was set late", function()
    b:close()
    local told = weir.channel(1)
    b:set_close_callback(function() told:put(true) end)
    assert.is_true(told:get({ timeout = 5 }))
  end)

  it("leaves the stream open with half_open", function()
    local c, d = pair({ half_open = true })
    local over = false
    d:set_close_callback(function() over = true end)
    c:shutdown()
    assert.equal("EOF", (select(3, d:read_bytes(1))))
    for _ = 1, 5 do weir.sleep(0) end
    assert.is_false(over)
    assert.is_true(d:write("still"))
    assert.equal("still", c:read_bytes(5))
    c:abort()
    d:abort()
  end)

  if kind == "tcp" or kind == "tcp6" then
    it("sees a reset after abort, and keeps what had come", function()
      a:write("before")
      a:flush()
      assert.equal("b", b:read_bytes(1))
      a:abort()
      local _, _, code = b:read_until("\n")
      assert.equal("ECONNRESET", code)
      assert.equal("efore", b:read_some())
      assert.equal("ECONNRESET", (select(3, b:read_until_close())))
    end)
  end

  -- The reads before it had emptied the kernel: that says nothing any more.
  for _, watched in ipairs({ false, true }) do
    it("reads what had come before a write failed, "
      .. (watched and "" or "no ") .. "close callback set", function()
      local over = weir.channel(9)
      if watched then b:set_close_callback(function(_, code) over:put(code) end) end
      a:write("first")
      assert.equal("first", b:read_bytes(5, { timeout = 20 }))
      b:write("never read")
      b:flush()
      a:write("last")
      a:flush()
      a:abort()
      b:write("into the void", function() end)
      local failed, _, code = b:flush({ timeout = 20 })
      assert.is_nil(failed)
      if not watched then assert.equal(code, (select(3, b:write("x")))) end
      assert.equal("last", b:read_bytes(4, { timeout = 20 }))
      assert.equal("ECONNRESET", (select(3, b:read_bytes(1, { timeout = 20 }))))
      assert.is_true(b:closed())
      assert.equal("ECONNRESET", (select(3, b:write("x"))))
      if watched then assert.equal("ECONNRESET", over:get({ timeout = 20 })) end
    end)
  end

  it("detaches the descriptor and what is buffered", function()
    if not transports.is_plain(kind) then
      assert.has_error(function() b:detach() end,
        "detach: not possible on a TLS stream")
      return
    end
    a:write("head rest")
    assert.equal("head ", b:read_until(" "))
    local fd, rest = b:detach()
    assert.is_number(fd)
    assert.equal("rest", rest)
    assert.is_true(b:closed())
    local again = weir.stream(fd)
    a:write("more")
    assert.equal("more", again:read_bytes(4))
    again:abort()
  end)

  if transports.is_plain(kind) then
    it("detaches once: who also waits for that hears that it is closed", function()
      local got = weir.channel(9)
      local function tell(...) got:put({ ... }) end
      b:write(("x"):rep(3000000), function() end)
      b:detach({}, tell)
      b:detach({}, tell)
      assert.equal(3000000, #a:read_bytes(3000000))
      local codes, fd = {}, nil
      for i = 1, 2 do
        local result = got:get({ timeout = 5 })
        codes[i], fd = result[3] or "none", result[1] or fd
      end
      table.sort(codes)
      assert.same({ "ECLOSED", "none" }, codes)
      weir.stream(fd):close()
      assert.equal("", a:read_until_close())
    end)
  end

  it("ends its side once: who asks again is told the same, or that it is closed", function()
    local told = weir.channel(9)
    a:write(("x"):rep(3000000), function() end)
    for _ = 1, 2 do a:shutdown({}, function(...) told:put({ ... }) end) end
    assert.equal(3000000, #b:read_until_close())
    for _ = 1, 2 do assert.same({ true }, told:get({ timeout = 5 })) end
    assert.is_true(a:shutdown())
    b:shutdown({}, function(...) told:put({ ... }) end)
    b:close()
    assert.same({ true }, told:get({ timeout = 5 }))
    assert.equal("ECLOSED", (select(3, b:shutdown())))
  end)

  it("is described by tostring", function()
    assert.matches("^weir%.stream #%d+ %(", tostring(a))
    assert.is_number(a:id())
    assert.is_number(a:fd())
    assert.is_true(a:set_keepalive(true))
    assert.is_true(a:set_nodelay(false))
  end)
end)

describe("an error in a callback", function()
  local function run(script)
    local out, err, status = weir_binary.run({ stdin = script })
    return ("%s%sstatus %d"):format(out, err, status)
  end

  it("is reported once, closes that stream, and the host goes on", function()
    local output = run([[
      local a, b = weir.pair()
      b:set_close_callback(function(message, code) print("over", code) end)
      b:read_bytes(1, function() error("boom") end)
      a:write("x")
      weir.sleep(0.01)
      print("closed", b:closed())
    ]])
    local _, count = output:gsub("boom", "")
    assert.is_true(count >= 1)
    assert.matches("uncaught error on stream #%d+", output)
    assert.matches("stack traceback", output)
    assert.matches("over%s+ETASK", output)
    assert.matches("closed%s+true", output)
    assert.matches("status 1", output)
  end)

  it("in the main chunk ends the host at once", function()
    local output = run([[
      weir.listen("127.0.0.1:0", function() end)
      error("main")
    ]])
    assert.matches("main", output)
    assert.matches("status 1", output)
  end)

  it("a deadlock is told, with status 1", function()
    local output = run([[local a, b = weir.pair() a:read_until("x") print(b)]])
    assert.matches("deadlock", output)
    assert.matches("read_until", output)
    assert.matches("status 1", output)
  end)
end)

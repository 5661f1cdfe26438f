local expect = require("spec.support.expect")
local transports = require "spec.support.transports"

-- source → from, copied to → sink.
local function four(pair_in, pair_out, options)
  local source, from = pair_in(options)
  local to, sink = pair_out(options)
  return source, from, to, sink
end

local function abort_all(...)
  for _, stream in ipairs({ ... }) do stream:abort() end
end

-- Unlike at every offset, so that what is lost or doubled shows.
local function text_of(size)
  local words = {}
  for i = 1, math.ceil(size / 8) do words[i] = ("%07d\n"):format(i) end
  return table.concat(words):sub(1, size)
end

local LARGE = text_of(700000)

describe("copy_to", function()
  for _, first in ipairs(transports.list) do
    for _, second in ipairs(transports.list) do
      it(("copies from %s to %s until the end"):format(first.name, second.name), function()
        local source, from, to, sink = four(first.pair, second.pair)
        source:write("head " .. LARGE, function() end)
        source:close()
        assert.equal("head ", from:read_until(" "))
        local copied
        local task = weir.spawn(function()
          copied = from:copy_to(to, { timeout = 30 })
          to:shutdown()
        end)
        assert.is_true(sink:read_until_close({ timeout = 30 }) == LARGE)
        task:join()
        assert.equal(#LARGE, copied)
        abort_all(source, from, to, sink)
      end)
    end
  end
end)

transports.each("copy_to", function(pair)
  local source, from, to, sink
  before_each(function() source, from, to, sink = four(pair, pair) end)
  after_each(function() abort_all(source, from, to, sink) end)

  it("copies what is buffered first, and `length` bytes in all", function()
    source:write("abcdefghij")
    assert.equal("ab", from:read_bytes(2))
    assert.equal(3, from:copy_to(to, { length = 3 }))
    assert.equal("cde", sink:read_bytes(3))
    assert.equal("f", from:read_bytes(1))
    assert.equal(0, from:copy_to(to, { length = 0 }))
    source:close()
    assert.equal(4, from:copy_to(to, { length = 100, timeout = 30 }))
    assert.equal("ghij", sink:read_bytes(4))
    assert.is_true(to:write("!"))
    assert.equal("!", sink:read_bytes(1))
  end)

  it("calls back once, never inside the call", function()
    source:write("abc")
    source:close()
    from:read_bytes(1)
    local results = weir.channel(9)
    local inside = true
    from:copy_to(to, function(...) results:put({ inside, ... }) end)
    inside = false
    assert.same({ false, 2 }, results:get({ timeout = 30 }))
    assert.equal("bc", sink:read_bytes(2))
    weir.sleep(0)
    assert.equal("ETIMEDOUT", (select(3, results:get({ timeout = 0.01 }))))
  end)

  it("is the read of its stream, and leaves the other's alone", function()
    from:copy_to(to, function() end)
    assert.is_true(from:reading())
    assert.is_false(to:reading())
    local ok, message = pcall(from.read_bytes, from, 1)
    assert.is_false(ok)
    assert.matches("already reading %(copy_to%)", message)
    ok, message = pcall(from.copy_to, from, to)
    assert.is_false(ok)
    assert.matches("already reading %(copy_to%)", message)
    sink:write("back")
    assert.equal("back", to:read_bytes(4, { timeout = 30 }))
  end)

  it("echoes: a stream copied to itself", function()
    local copied
    local task = weir.spawn(function()
      copied = from:copy_to(from, { timeout = 30 })
      from:close()
    end)
    source:write(LARGE, function() end)
    assert.is_true(source:read_bytes(#LARGE, { timeout = 30 }) == LARGE)
    source:shutdown()
    assert.equal("", source:read_until_close({ timeout = 30 }))
    task:join()
    assert.equal(#LARGE, copied)
  end)

  it("forwards both ways at once", function()
    local tasks = {
      weir.spawn(function() from:copy_to(to) to:shutdown() end),
      weir.spawn(function() to:copy_to(from) from:shutdown() end),
    }
    source:write(LARGE, function() end)
    sink:write(LARGE:reverse(), function() end)
    source:shutdown({}, function() end)
    sink:shutdown({}, function() end)
    local back
    local task = weir.spawn(function()
      back = source:read_until_close({ timeout = 30 })
    end)
    assert.is_true(sink:read_until_close({ timeout = 30 }) == LARGE)
    task:join()
    assert.is_true(back == LARGE:reverse())
    weir.all(tasks)
  end)

  it("copies two streams into one, and lets others write to it", function()
    local second_source, second = pair()
    local done = weir.channel(2)
    source:write(("a"):rep(200000), function() end)
    second_source:write(("b"):rep(300000), function() end)
    source:close()
    second_source:close()
    from:copy_to(to, function(n) done:put(n) end)
    second:copy_to(to, function(n) done:put(n) end)
    to:write(("c"):rep(100000), function() end)
    local all = sink:read_bytes(600000, { timeout = 30 })
    assert.equal(200000, select(2, all:gsub("a", "")))
    assert.equal(300000, select(2, all:gsub("b", "")))
    assert.equal(100000, select(2, all:gsub("c", "")))
    assert.equal(500000, done:get({ timeout = 30 }) + done:get({ timeout = 30 }))
    abort_all(second_source, second)
  end)

  it("holds the sender back: one chunk waits, and no more is read", function()
    local sent = 0
    local writer = weir.spawn(function()
      while source:write(("x"):rep(65536)) and source:flush() do
        sent = sent + 65536
      end
    end)
    from:copy_to(to, function() end)
    local before
    repeat
      before = sent
      for _ = 1, 50 do weir.sleep(0) end
    until sent == before
    assert.is_true(from:buffered() <= 65536)
    assert.is_true(transports.queued(to) <= 65536)
    source:abort()
    writer:join()
  end)

  it("leaves every byte in its place when time runs out", function()
    local huge = LARGE:rep(20) -- more than kernel buffers take
    source:write(huge, function() end)
    source:shutdown({}, function() end)
    local ok, message, code = from:copy_to(to, { timeout = 0.02 })
    assert.is_nil(ok)
    assert.equal("ETIMEDOUT", code)
    assert.matches("^copy_to from .* to .*: timed out after 0.02 s", message)
    assert.is_false(from:reading())
    local rest
    local task = weir.spawn(function()
      rest = from:read_until_close({ timeout = 30 })
      to:shutdown()
    end)
    local got = sink:read_until_close({ timeout = 30 })
    task:join()
    assert.is_true(got .. rest == huge)
  end)

  it("leaves every byte in its place when it is cancelled", function()
    local code
    local task = weir.spawn(function() code = select(3, from:copy_to(to)) end)
    source:write("abc")
    assert.equal("abc", sink:read_bytes(3, { timeout = 30 }))
    task:cancel()
    task:join()
    assert.equal("ECANCELED", code)
    source:write("def")
    assert.equal("def", from:read_bytes(3, { timeout = 30 }))
    assert.is_true(to:write("ghi"))
    assert.equal("ghi", sink:read_bytes(3, { timeout = 30 }))
  end)

  it("fails when the other is closed here, with what it read in place", function()
    local result = weir.channel(1)
    from:copy_to(to, function(...) result:put({ ... }) end)
    source:write("abc")
    assert.equal("abc", sink:read_bytes(3, { timeout = 30 }))
    to:close()
    local failure = result:get({ timeout = 30 })
    assert.is_nil(failure[1])
    assert.equal("ECLOSED", failure[3])
    assert.matches("^copy_to: writing ", failure[2])
    source:write("def")
    assert.equal("def", from:read_bytes(3, { timeout = 30 }))
    local _, message, code = from:copy_to(to)
    assert.equal("ECLOSED", code)
    assert.matches("^copy_to: writing ", message)
  end)

  it("fails when the other's peer is gone, and ends nothing else", function()
    sink:abort()
    local result = weir.channel(1)
    from:copy_to(to, function(...) result:put({ ... }) end)
    local writer = weir.spawn(function()
      while source:write(LARGE, { timeout = 30 }) do end
    end)
    local failure = result:get({ timeout = 30 })
    assert.is_nil(failure[1])
    assert.matches("^copy_to: writing ", failure[2])
    assert.is_true(failure[3] == "EPIPE" or failure[3] == "ECONNRESET")
    assert.is_false(from:closed())
    assert.is_string(from:read_some({ timeout = 30 }))
    source:abort()
    writer:join()
  end)

  it("fails when this one is closed here", function()
    local result = weir.channel(1)
    from:copy_to(to, function(...) result:put({ ... }) end)
    source:write("abc")
    assert.equal("abc", sink:read_bytes(3, { timeout = 30 }))
    from:close()
    local failure = result:get({ timeout = 30 })
    assert.equal("ECLOSED", failure[3])
    assert.matches("^copy_to: reading ", failure[2])
    assert.is_true(to:write("still"))
    assert.equal("still", sink:read_bytes(5, { timeout = 30 }))
  end)

  it("completes when the other is closed after the last byte", function()
    source:write(LARGE, function() end)
    source:close()
    local copied
    local task = weir.spawn(function()
      copied = from:copy_to(to, { length = #LARGE, timeout = 30 })
      to:close()
    end)
    assert.is_true(sink:read_until_close({ timeout = 30 }) == LARGE)
    task:join()
    assert.equal(#LARGE, copied)
  end)

  it("keeps the other open for it, whatever its close callback", function()
    local over = weir.channel(1)
    to:set_close_callback(function(_, code) over:put(code) end)
    from:copy_to(to, function() end)
    sink:shutdown()
    assert.equal("EOF", (select(3, to:read_bytes(1, { timeout = 30 }))))
    weir.sleep(0)
    source:write("answer")
    assert.equal("answer", sink:read_bytes(6, { timeout = 30 }))
    source:close()
    assert.equal("EOF", over:get({ timeout = 30 }))
  end)

  it("raises for wrong arguments, consuming nothing", function()
    source:write("abc")
    assert.equal("a", from:read_bytes(1))
    expect.raises("bad argument #1 to 'copy_to' %(weir.stream expected, got no value%)", function() from:copy_to() end)
    expect.raises("bad argument #1 to 'copy_to' %(weir.stream expected, got string%)", function() from:copy_to("x") end)
    expect.raises("bad option 'length' %(a whole number, 0 or more, expected, got %-1%)",
      function() from:copy_to(to, { length = -1 }) end)
    expect.raises("bad option 'length' %(a whole number, 0 or more, expected, got 1.5%)",
      function() from:copy_to(to, { length = 1.5 }) end)
    local ok, message = pcall(from.copy_to, from, to, { size = 1 })
    assert.is_false(ok)
    assert.matches("unknown option 'size' %(known: length, timeout%)", message)
    assert.equal("ENOTCONN", (select(3, from:copy_to(weir.stream()))))
    assert.equal("bc", from:read_bytes(2))
  end)
end)

describe("copy_to", function()
  it("fails with the reset of this one, after what it brought", function()
    local pair = transports.list[1].pair
    local source, from, to, sink = four(pair, pair)
    local result = weir.channel(1)
    from:copy_to(to, function(...) result:put({ ... }) end)
    source:write("before")
    assert.equal("before", sink:read_bytes(6, { timeout = 30 }))
    source:abort()
    local failure = result:get({ timeout = 30 })
    assert.equal("ECONNRESET", failure[3])
    assert.matches("^copy_to: reading .*: Connection reset by peer$", failure[2])
    assert.is_false(to:closed())
    abort_all(source, from, to, sink)
  end)

  it("waits until both are connected", function()
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      stream:copy_to(stream)
    end))
    local source, from = weir.pair()
    local to = weir.stream()
    to:connect(listener:address(), function() end)
    source:write("early")
    local done = weir.channel(1)
    from:copy_to(to, function(...) done:put({ ... }) end)
    assert.equal("early", to:read_bytes(5, { timeout = 30 }))
    source:close()
    assert.same({ 5 }, done:get({ timeout = 30 }))
    listener:close()
    abort_all(from, to)
  end)

  it("never queues more than max_write_buffer_size", function()
    local pair = transports.list[1].pair
    local source, from = pair()
    local to, sink = pair({ max_write_buffer_size = 1000 })
    source:write(LARGE, function() end)
    source:shutdown({}, function() end)
    local copied
    local task = weir.spawn(function() copied = from:copy_to(to, { timeout = 30 }) end)
    assert.is_true(sink:read_bytes(#LARGE, { timeout = 30 }) == LARGE)
    task:join()
    assert.equal(#LARGE, copied)
    abort_all(source, from, to, sink)
  end)

  it("copies between pipes", function()
    local ffi = require "ffi"
    pcall(ffi.cdef, "int pipe(int *);")
    local ends = ffi.new("int[2]")
    ffi.C.pipe(ends)
    local read_end, write_end = weir.stream(ends[0]), weir.stream(ends[1])
    local to, sink = weir.pair()
    write_end:write(LARGE, function() end)
    write_end:close()
    local copied
    local task = weir.spawn(function()
      copied = read_end:copy_to(to, { timeout = 30 })
      to:close()
    end)
    assert.is_true(sink:read_until_close({ timeout = 30 }) == LARGE)
    task:join()
    assert.equal(#LARGE, copied)
    abort_all(read_end, sink)
  end)
end)

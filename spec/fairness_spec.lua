-- That nobody starves, in turns and counts, never in time (R2, R3, R13, R38).

local expect = require("spec.support.expect")

describe("operations that complete at once", function()
  it("do not suspend the task, 128 in a row", function()
    local channel, ran = weir.channel(math.huge), false
    weir.sleep(0)
    weir.defer(function() ran = true end)
    for i = 1, 128 do
      channel:put(i)
      assert.is_false(ran)
    end
    channel:put(129)
    assert.is_true(ran)
  end)

  it("of any kind count, successes and failures", function()
    local open, closed, ran = weir.channel(math.huge), weir.channel(), 0
    local ended = weir.spawn(function() end)
    local a, b = weir.pair()
    b:write(("x"):rep(1000))
    closed:close()
    ended:join()
    a:read_bytes(1)
    weir.defer(function() ran = ran + 1 end)
    for i = 1, 64 do
      open:put(i)
      closed:get()
      ended:join()
      a:read_bytes(1)
      a:read_until("no", { max = 1 })
    end
    assert.equal(1, ran)
    a:close()
    b:close()
  end)

  it("let timers and other streams in", function()
    local a, b = weir.pair()
    local channel, fired, arrived = weir.channel(math.huge), false, false
    local stop = false
    local hog = weir.spawn(function()
      while not stop do channel:put(1) end
    end)
    weir.after(0.001, function() fired = true end)
    a:read_some(function() arrived = true end)
    b:write("x")
    expect.soon(function() return fired and arrived end)
    stop = true
    hog:join()
    assert.same({ true, true }, { fired, arrived })
    a:close()
    b:close()
  end)
end)

describe("a callback", function()
  it("never runs inside the call that registered it", function()
    local a, b = weir.pair()
    b:write("1234")
    b:flush()
    a:read_bytes(1)
    local inside, calls = true, {}
    local function callback(name)
      return function() calls[#calls + 1] = inside and "inside" or name end
    end
    local channel = weir.channel(1)
    local done = weir.spawn(function() end)
    done:join()
    a:read_bytes(1, callback("read"))
    a:write("x", callback("write"))
    a:write("", callback("empty write"))
    a:flush(callback("flush"))
    channel:put(1, callback("put"))
    channel:get(callback("get"))
    done:join(callback("join"))
    weir.all({}, callback("all"))
    weir.sleep(0, callback("sleep"))
    inside = false
    expect.soon(function() return #calls == 9 end)
    for _, name in ipairs(calls) do assert.are_not.equal("inside", name) end
    a:close()
    b:close()
  end)

  it("that registers the next one for ever does not starve timers", function()
    local channel, rounds, stop = weir.channel(math.huge), 0, false
    local function again()
      rounds = rounds + 1
      if not stop then channel:put(1, again) end
    end
    again()
    assert.is_true(weir.sleep(0.001))
    stop = true
    assert.is_true(rounds > 1)
  end)
end)

describe("a turn", function()
  it("starts what it spawned and deferred in the next one, in order", function()
    local order = {}
    weir.spawn(function()
      weir.defer(function() order[#order + 1] = "deferred" end)
      weir.spawn(function() order[#order + 1] = "spawned" end)
      weir.sleep(0)
      order[#order + 1] = "slept"
    end):join()
    assert.same({ "deferred", "spawned", "slept" }, order)
  end)

  it("that makes ever more tasks does not starve timers or streams", function()
    local stop, count = false, 0
    local function breed()
      count = count + 1
      if not stop and count < 200000 then
        weir.defer(breed)
        weir.defer(breed)
      end
    end
    breed()
    local a, b = weir.pair()
    b:write("x")
    assert.is_true(weir.sleep(0.001))
    assert.equal("x", a:read_some({ timeout = 10 }))
    stop = true
    assert.is_true(count < 200000)
    a:close()
    b:close()
  end)

  it("is 1,024 resumptions at most", function()
    local there, back, resumed, most = weir.channel(), weir.channel(), 0, 0
    local function counted(get, put)
      return weir.spawn(function()
        while get:get() do
          resumed = resumed + 1
          if put then put:put(true) end
        end
      end)
    end
    local players = { counted(there, back), counted(back, there) }
    weir.sleep(0)
    there:put(true)
    for _ = 1, 10 do
      resumed = 0
      weir.sleep(0)
      most = math.max(most, resumed)
    end
    there:close()
    back:close()
    weir.all(players)
    assert.equal(1023, most) -- and this task's own
  end)

  it("resumes in order, however many are ready", function()
    local order, channel = {}, weir.channel(1)
    for i = 1, 5000 do
      weir.defer(function()
        order[#order + 1] = i
        if i == 5000 then channel:put(true) end
      end)
    end
    channel:get({ timeout = 10 })
    for i = 1, 5000 do assert.equal(i, order[i]) end
  end)
end)

describe("the budget of a stream", function()
  local ffi = require("ffi")
  ffi.cdef("int open(const char *, int, ...);")
  local BUDGET, SIZE = 262144, 1048576

  -- What `count` says now and after each turn until it says `all`.
  local function turns(count, all)
    local counts = { count() }
    repeat
      weir.sleep(0)
      counts[#counts + 1] = count()
    until counts[#counts] == all or #counts == 100
    return counts
  end

  local function check_steps(counts)
    for i = 2, #counts do
      assert.is_true(math.abs(counts[i] - counts[i - 1]) <= BUDGET)
    end
    assert.is_true(#counts >= SIZE / BUDGET)
  end

  -- A file is always ready: nothing but the budget holds it back.
  local function open_file(size, options)
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    file:write(("x"):rep(size))
    file:close()
    local stream = weir.stream(ffi.C.open(name, 0), options)
    os.remove(name)
    return stream
  end

  -- Each reads SIZE bytes into the buffer, or here.
  local memory
  local reads = {
    read_until_close = function(stream, done) stream:read_until_close({ timeout = 10 }, done) end,
    read_bytes = function(stream, done) stream:read_bytes(SIZE, { timeout = 10 }, done) end,
    read_into = function(stream, done) stream:read_into(memory, SIZE, { timeout = 10 }, done) end,
  }

  for name, read in pairs(reads) do
    for _, chunk in ipairs({ 65536, 100000, SIZE }) do
      it(("is 256 KiB read in a turn: %s, in chunks of %d"):format(name, chunk), function()
        local stream = open_file(SIZE + 1, { read_chunk_size = chunk })
        local done = weir.channel(1)
        memory = ffi.new("char[?]", SIZE + 1)
        assert.equal("x", stream:read_bytes(1))
        read(stream, function(got) done:put(type(got) == "number" and got or #got) end)
        check_steps(turns(function()
          return stream:reading() and stream:buffered() + #ffi.string(memory) or SIZE
        end, SIZE))
        assert.equal(SIZE, done:get({ timeout = 10 }))
        stream:close()
      end)
    end
  end

  it("is 256 KiB read in a turn: noticed, for a close callback", function()
    local stream = open_file(SIZE, { read_chunk_size = SIZE })
    stream:set_close_callback(function() end)
    check_steps(turns(function() return stream:buffered() end, SIZE))
    stream:close()
  end)

  it("is 256 KiB copied in a turn", function()
    local name, done = os.tmpname(), weir.channel(1)
    local from, to = open_file(SIZE + 1), weir.stream(ffi.C.open(name, 1))
    local copy = assert(io.open(name))
    assert.equal("x", from:read_bytes(1))
    weir.sleep(0) -- what is buffered counts for the one that is written to
    from:copy_to(to, { timeout = 10 }, function(...) done:put({ ... }) end)
    local counts = turns(function() return copy:seek("end") end, SIZE)
    table.insert(counts, 1, 0)
    check_steps(counts)
    assert.same({ SIZE }, done:get({ timeout = 10 }))
    copy:close()
    os.remove(name)
    from:close()
    to:close()
  end)

  it("is 256 KiB written in a turn", function()
    local stream = weir.stream(ffi.C.open("/dev/null", 1))
    local piece = ("x"):rep(65536)
    for _ = 1, SIZE / #piece do stream:write(piece, function() end) end
    check_steps(turns(function()
      for _, one in ipairs(weir.streams()) do
        if one.id == stream:id() then return one.queued end
      end
    end, 0))
    stream:close()
  end)
end)

it("a stream that floods lets the others in", function()
  local flood, sink = weir.pair()
  local a, b = weir.pair()
  local piece, stop, rounds = ("x"):rep(65536), false, 0
  local writer = weir.spawn(function()
    while not stop do flood:write(piece) end
  end)
  local reader = weir.spawn(function()
    while sink:read_some({ timeout = 10 }) do end
  end)
  local echo = weir.spawn(function()
    while b:write(b:read_bytes(1, { timeout = 10 }) or "") and not stop do end
  end)
  for _ = 1, 100 do
    a:write("x")
    assert.equal("x", a:read_bytes(1, { timeout = 10 }))
    rounds = rounds + 1
  end
  stop = true
  assert.equal(100, rounds)
  a:write("x")
  writer:join({ timeout = 10 })
  flood:close()
  reader:join({ timeout = 10 })
  echo:join({ timeout = 10 })
  sink:close()
  a:close()
  b:close()
end)

-- Wrong use raises, at the caller's line, and says what was expected (§1, R8).
local transports = require "spec.support.transports"

local NAN, HUGE = 0 / 0, math.huge

-- Calls f; it must raise one line that begins with a line of f's.
local function raises(pattern, f, ...)
  local place = debug.getinfo(f, "S")
  local ok, message = pcall(f, ...)
  assert.is_false(ok, pattern)
  local line = tonumber(message:match("stream_mistakes_spec%.lua:(%d+): "))
  assert.is_true(line and line >= place.linedefined and line <= place.lastlinedefined, message)
  assert.matches(pattern, message)
  assert.is_nil(message:find("\n", 1, true))
end

transports.each("mistakes", function(pair)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  -- After every mistake the stream is as it was.
  local function intact()
    assert.is_false(b:reading())
    assert.is_false(b:closed())
    a:write("still here\n")
    assert.equal("still here\n", b:read_until("\n"))
  end

  it("in counts raise: negative, fractional, too large, not a number, missing", function()
    for _, n in ipairs({ -1, 0.5, 1.5, NAN, HUGE, -HUGE, 2 ^ 60, "x", "1", true, {} }) do
      raises("#1 to 'read_bytes' %(a whole number, 0 or more, expected", function() local _ = b:read_bytes(n) end)
      raises("#1 to 'peek' %(a whole number, 0 or more, expected", function() local _ = b:peek(n) end)
      raises("#2 to 'read_into' %(a whole number", function()
        local _ = b:read_into(require("ffi").new("char[4]"), n) end)
    end
    raises("#1 to 'read_bytes' .*got no value", function() local _ = b:read_bytes() end)
    raises("#1 to 'read_bytes' .*got nil", function() local _ = b:read_bytes(nil, {}) end)
    intact()
  end)

  it("in the stream itself raise, with the way it is written", function()
    local colon = " %(weir.stream expected, got %a+; methods are called with ':'%)"
    raises("bad argument #1 to 'write'" .. colon, function() b.write("x") end)
    raises("bad argument #1 to 'read_some'" .. colon, function() local _ = b.read_some({}) end)
    raises("bad argument to 'lines'" .. colon, function() local _ = b.lines() end)
    intact()
  end)

  it("in delimiters raise: empty, none, not a string", function()
    raises("#1 to 'read_until' %(empty delimiter%)", function() local _ = b:read_until("") end)
    raises("#1 to 'read_until' %(empty delimiter%)", function() local _ = b:read_until({ "" }) end)
    raises("#1 to 'read_until' %(empty delimiter%)", function() local _ = b:read_until({ "a", "", "b" }) end)
    raises("'lines' %(empty delimiter%)", function() local _ = b:lines("") end)
    raises("a list of 1 to", function() local _ = b:read_until({}) end)
    raises("delimiters: nil at 2 of the list", function() local _ = b:read_until({ "a", nil, "b" }) end)
    raises("delimiters: nil at 2 of the list", function() local _ = b:lines({ "a", nil, "b" }) end)
    for _, wrong in ipairs({ 5, true, print }) do
      raises("delimiter %(a string, or a list of them%) expected", function() local _ = b:read_until(wrong) end)
      raises("a list of strings expected", function() local _ = b:read_until({ "a", wrong }) end)
      raises("'lines' %(delimiter", function() local _ = b:lines(wrong) end)
    end
    raises("delimiter %(a string", function() local _ = b:read_until() end)
    intact()
  end)

  it("in regexes raise with PCRE2's message and offset", function()
    raises("bad regex: missing closing parenthesis %(at offset 3%)", function() local _ = b:read_until_regex("a(b") end)
    raises("bad regex: quantifier does not follow a repeatable item %(at offset 0%)",
      function() local _ = b:read_until_regex("*a") end)
    raises("bad regex: .*offset 5", function() local _ = b:read_until_regex("a{5,1}") end)
    raises("regex %(a string%) expected", function() local _ = b:read_until_regex() end)
    raises("regex %(a string%) expected", function() local _ = b:read_until_regex(5) end)
    intact()
  end)

  it("in prefixes raise, and say which there are", function()
    for _, wrong in ipairs({ "u24", "U8", "", 8, true }) do
      raises("#1 to 'read_frame' %(u8, u16be, u16le, u32be, u32le, u64be, varint or netstring expected",
        function() local _ = b:read_frame(wrong) end)
    end
    raises("netstring expected", function() local _ = b:read_frame() end)
    intact()
  end)

  local READS = {
    read_until = { "x" }, read_until_regex = { "x" }, read_bytes = { 1 }, read_some = {},
    read_until_close = {}, read_frame = { "u8" },
  }

  local function with(arguments, ...)
    local list = { unpack(arguments) }
    for i = 1, select("#", ...) do list[#list + 1] = (select(i, ...)) end
    return unpack(list)
  end

  it("in max raise, for every read", function()
    for name, arguments in pairs(READS) do
      for _, wrong in ipairs({ -1, 1.5, NAN, HUGE, 2 ^ 60, "5", true }) do
        raises("bad option 'max' %(a .*whole number.* expected, got ",
          function() local _ = b[name](b, with(arguments, { max = wrong })) end)
      end
    end
    raises("bad option 'max' %(a positive whole number", function() local _ = b:read_some({ max = 0 }) end)
    raises("bad option 'max'", function() local _ = b:lines("\n", { max = -1 }) end)
    raises("bad option 'max'", function() local _ = b:lines({ max = "1" }) end)
    intact()
  end)

  it("in timeout raise, for every operation", function()
    local all = { write = { "x" }, flush = {}, shutdown = {}, send_file = { "/dev/null" }, detach = {} }
    for name, arguments in pairs(READS) do all[name] = arguments end
    for name, arguments in pairs(all) do
      for _, wrong in ipairs({ -1, NAN, "5", true, {} }) do
        raises("bad option 'timeout' %(seconds, 0 or more, expected, got ",
          function() local _ = b[name](b, with(arguments, { timeout = wrong })) end)
      end
      raises(name .. ": unknown option 'timeuot' %(known: .*timeout", function()
        local _ = b[name](b, with(arguments, { timeuot = 1 })) end)
      raises(name .. ": unknown option '1'", function() local _ = b[name](b, with(arguments, { 5 })) end)
      for _, wrong in ipairs({ 5, "x", true }) do
        raises("'" .. name .. "' %(options %(a table%) or callback expected",
          function() local _ = b[name](b, with(arguments, wrong)) end)
        raises("'" .. name .. "' %(callback %(a function%) expected",
          function() local _ = b[name](b, with(arguments, {}, wrong)) end)
      end
      raises("callback %(a function%) expected", function()
        local _ = b[name](b, with(arguments, {}, print, 1)) end)
    end
    for _, wrong in ipairs({ -1, NAN, "5", true, {} }) do
      raises("'set_timeout' %(seconds, 0 or more, expected", function() b:set_timeout(wrong) end)
      raises("bad option 'linger' %(seconds", function() b:close({ linger = wrong }) end)
    end
    intact()
  end)

  it("in what is true or false raise", function()
    for _, wrong in ipairs({ 0, 1, "true", {} }) do
      raises("bad option 'inclusive'", function() local _ = b:read_until("x", { inclusive = wrong }) end)
      raises("bad option 'partial'", function() local _ = b:read_bytes(1, { partial = wrong }) end)
      raises("bad option 'partial'", function()
        local _ = b:read_into(require("ffi").new("char[4]"), 1, { partial = wrong }) end)
      raises("'set_nodelay' %(true or false expected", function() b:set_nodelay(wrong) end)
      raises("'set_keepalive' %(true or false expected", function() b:set_keepalive(wrong) end)
    end
    intact()
  end)

  it("in other arguments raise", function()
    raises("'unread' %(a string expected", function() b:unread() end)
    raises("'unread' %(a string expected", function() b:unread({}) end)
    raises("'set_close_callback' %(a function, or nil, expected", function() b:set_close_callback(5) end)
    raises("'send_file' %(a path or a descriptor expected", function() local _ = b:send_file({}) end)
    raises("'send_file' %(a whole number", function() local _ = b:send_file(-1) end)
    raises("bad option 'offset'", function() local _ = b:send_file("/dev/null", { offset = -1 }) end)
    raises("bad option 'length'", function() local _ = b:send_file("/dev/null", { length = 1.5 }) end)
    raises("'close' %(options %(a table%) expected", function() b:close(5) end)
    raises("close: unknown option 'now' %(known: linger%)", function() b:close({ now = true }) end)
    raises("'connect' %(an address %(a string%) expected", function() local _ = b:connect() end)
    raises("connect: the stream is already in use", function() local _ = b:connect("127.0.0.1:1") end)
    raises("#1 to .read_until. %(weir%.stream expected, got string", function() local _ = b.read_until("x") end)
    raises("#1 to .copy_to. %(weir%.stream expected, got table", function() local _ = b:copy_to({}) end)
    intact()
  end)

  it("in a second read raise, whatever the kinds, and leave the first alone", function()
    local got = weir.channel(1)
    b:read_until("\n", function(data) got:put(data) end)
    for name, arguments in pairs(READS) do
      raises("already reading %(read_until%)", function() local _ = b[name](b, with(arguments)) end)
      raises("already reading %(read_until%)", function() b[name](b, with(arguments, print)) end)
    end
    raises("already reading", function() b:unread("x") end)
    raises("already reading", function() local _ = b:lines()() end)
    raises("a read is pending", function() local _ = b:detach() end)
    a:write("line\n")
    assert.equal("line\n", got:get({ timeout = 5 }))
  end)

  it("in what is written raise, and queue nothing", function()
    raises("'write' %(a string, a number or a list expected", function() local _ = a:write() end)
    for _, wrong in ipairs({ true, print, io.stdout }) do
      raises("write: a string, a number or a list of them expected, got ", function() local _ = a:write(wrong) end)
      raises("got %w+ in the list", function() local _ = a:write({ "x", { wrong } }) end)
    end
    raises("got nil", function() local _ = a:write(nil, {}) end)
    raises("write: nil at 2 of the list", function() local _ = a:write({ "a", nil, "b" }) end)
    raises("nil .*the list", function() local _ = a:write({ "a", { "b", "c", nil, 4 } }) end)
    raises("write: a list expected, got a table with the key x", function() local _ = a:write({ x = "b" }) end)
    raises("got a table with the key boolean", function() local _ = a:write({ "a", [true] = "b" }) end)
    local endless = {}
    endless[1] = endless
    raises("nested more than", function() local _ = a:write(endless) end)
    assert.is_false(a:writing())
    intact()
  end)

  it("are told with a line even in a tail call", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local ok, message = pcall(function() return b:read_bytes(-1) end)
    assert.is_false(ok)
    assert.matches("stream_mistakes_spec%.lua:" .. line .. ": bad argument #1 to 'read_bytes'", message)
  end)
end)

describe("stream options", function()
  local function each(f)
    for _, make in ipairs({
      weir.pair,
      function(options) return weir.stream(nil, options) end,
      function(options) return weir.connect("127.0.0.1:1", options) end,
      function(options) return weir.listen("127.0.0.1:0", options, print) end,
    }) do f(make) end
  end

  it("are checked, each of them, wherever they are given", function()
    each(function(make)
      for _, name in ipairs({ "max_buffer_size", "read_chunk_size", "max_write_buffer_size", "high_water" }) do
        for _, wrong in ipairs({ 0, -1, 1.5, NAN, HUGE, 2 ^ 60, "1", true }) do
          raises("bad option '" .. name .. "' %(a positive whole number expected, got ",
            function() local _ = make({ [name] = wrong }) end)
        end
      end
      for _, name in ipairs({ "timeout", "connect_timeout" }) do
        for _, wrong in ipairs({ -1, NAN, "1", true }) do
          raises("bad option '" .. name .. "' %(seconds, 0 or more, expected, got ",
            function() local _ = make({ [name] = wrong }) end)
        end
      end
      for _, name in ipairs({ "half_open", "nodelay", "keepalive" }) do
        for _, wrong in ipairs({ 0, "true", {} }) do
          raises("bad option '" .. name .. "' %(true or false expected, got ",
            function() local _ = make({ [name] = wrong }) end)
        end
      end
      for _, wrong in ipairs({ 0, true, {} }) do
        if make ~= weir.pair then
          raises("bad option 'source' %(a string expected, got ", function() local _ = make({ source = wrong }) end)
        end
      end
      raises("unknown option 'max_bufer_size' %(known: .*max_buffer_size", function()
        local _ = make({ max_bufer_size = 1 }) end)
    end)
    for _, name in ipairs({ "tls", "source" }) do
      raises("weir.pair: unknown option '" .. name .. "'", function() local _ = weir.pair({ [name] = "x" }) end)
    end
    raises("'pair' %(options %(a table%) expected", function() local _ = weir.pair(5) end)
    raises("'stream' %(options %(a table%) expected", function() local _ = weir.stream(nil, 5) end)
    raises("a whole number, 0 or more, expected", function() local _ = weir.stream("x") end)
    raises("a whole number, 0 or more, expected", function() local _ = weir.stream(-1) end)
  end)

  it("of a descriptor that is none is the world's fault", function()
    local stream, message, code = weir.stream(987654)
    assert.is_nil(stream)
    assert.equal("stream fd:987654: Bad file descriptor", message)
    assert.equal("EBADF", code)
  end)

  it("source holds for a later connect", function()
    local peer = weir.channel(1)
    local listener = assert(weir.listen("127.0.0.1:0", function(stream) peer:put(stream:peer_address()) end))
    local stream = weir.stream(nil, { source = "127.0.0.9" })
    assert.equal(stream, stream:connect(listener:address(), { timeout = 5 }))
    assert.matches("^127%.0%.0%.9:%d+$", peer:get({ timeout = 5 }))
    stream:abort()
    stream = weir.stream(nil, { source = "nowhere" })
    local _, message, code = stream:connect(listener:address())
    assert.equal("EINVAL", code)
    assert.matches("nowhere", message)
    listener:close()
  end)
end)

-- The table of endings: how a stream ends, with what pending, queued and
-- registered, and what each then gets to know (R14 to R19).

local endings = require "spec.support.endings"
local transports = require "spec.support.transports"
local weir_binary = require "spec.support.weir"

-- A unix peer that goes without having been sent anything just ends.
local function is_local(kind)
  return kind == "unix" or kind == "pair" or kind == "faults 3"
end

local function or_none(callback, code)
  return callback ~= "not" and code or nil
end

-- Each gives what a cell must come to. `rest`, what was left to read, is
-- always there; where nobody reads, it may not have come before a close here.
local expected = {}

function expected.together(cell)
  return {
    read = ({ satisfiable = "data", unsatisfiable = "EOF" })[cell.read],
    write = cell.writes == "queued" and "true" or nil,
    over = or_none(cell.callback, "EOF"),
    later = "EOF",
    closed = cell.callback ~= "not",
    answered = cell.callback == "not" or nil,
    received = cell.writes == "queued" or nil,
  }
end
expected.later = expected.together

function expected.reset(cell, kind)
  if is_local(kind) and cell.writes == "none" then
    local run = expected.together(cell)
    if run.answered then run.answered = false end
    return run
  end
  return {
    read = ({ satisfiable = "data", unsatisfiable = "ECONNRESET" })[cell.read],
    write = cell.writes == "queued" and "ECONNRESET" or nil,
    over = or_none(cell.callback, "ECONNRESET"),
    later = "ECONNRESET",
    closed = true,
  }
end

local function ended_here(cell, code, write)
  return {
    read = ({ satisfiable = "data", unsatisfiable = code })[cell.read],
    write = cell.writes == "queued" and write or nil,
    later = code,
    closed = true,
  }
end

function expected.close(cell)
  local run = ended_here(cell, "ECLOSED", "true")
  run.over = or_none(cell.callback, "nil")
  run.received = cell.writes == "queued" or nil
  return run
end

function expected.abort(cell)
  local run = ended_here(cell, "ECLOSED", "ECLOSED")
  run.over = or_none(cell.callback, "nil")
  if cell.writes == "queued" then run.received = false end
  return run
end

function expected.error(cell)
  local run = ended_here(cell, "ETASK", "true")
  run.over = or_none(cell.callback, "ETASK")
  run.received = cell.writes == "queued" or nil
  return run
end

local FIELDS = { "read", "write", "over", "later", "closed", "answered", "received" }

local function check(run, kind)
  local cell = run.cell
  local want, got = expected[cell.ending](cell, kind), {}
  for _, field in ipairs(FIELDS) do got[field] = run[field] end
  -- Which of the two a write meets depends on the kernel's kind of socket.
  if got.write == "EPIPE" and want.write == "ECONNRESET" then got.write = want.write end
  assert.same(want, got)
  -- Every byte that no read took is still there.
  if cell.read == "unsatisfiable" or (cell.read == "none" and run.rest) then
    assert.equal("data", run.rest)
  end
  -- The close callback is the last that is told, and never from inside.
  if run.over then assert.equal("over", run.log[#run.log]) end
  assert.is_false(run.inside or false)
  -- The peer's end waits for all that was buffered, and for all that is queued.
  if want.later == "EOF" then
    assert.is_false(run.early or false)
    assert.is_false(run.hasty or false)
  elseif cell.ending == "close" then
    assert.is_false(run.hasty or false)
  end
end

local function title(cell)
  return ("read %s, writes %s, callback %s"):format(cell.read, cell.writes, cell.callback)
end

transports.each("the ending", function(pair, kind)
  for _, ending in ipairs({ "together", "later", "reset", "close", "abort" }) do
    endings.each(ending, function(cell)
      it(ending .. ": " .. title(cell), function()
        check(endings.run(pair, cell), kind)
      end)
    end)
  end
end)

-- An error that nobody catches counts, so a weir of its own meets it.
describe("the ending by an error in a callback", function()
  local PROGRAM = [[
    local endings = require "spec.support.endings"
    local transports = require "spec.support.transports"
    local FIELDS = { "read", "write", "over", "later", "closed", "received" }
    for _, transport in ipairs(transports.list) do
      endings.each("error", function(cell)
        local run = endings.run(transport.pair, cell)
        local words = {}
        for i, field in ipairs(FIELDS) do words[i] = tostring(run[field]) end
        words[#words + 1] = run.log[#run.log] or "nothing"
        print(transport.name .. ": " .. table.concat(words, " "))
      end)
    end]]

  local function line(cell, kind)
    local want = expected.error(cell)
    local last = want.over and "over" or want.write and "write" or want.read and "read"
    return ("%s: %s %s %s %s %s %s %s"):format(kind, want.read, want.write, want.over,
      want.later, tostring(want.closed), tostring(want.received), last or "nothing")
  end

  it("closes the stream, tells everyone, and reports it once", function()
    local out, err, status = weir_binary.run({ "-e", PROGRAM })
    local lines, count = {}, 0
    for _, transport in ipairs(transports.list) do
      endings.each("error", function(cell)
        lines[#lines + 1] = line(cell, transport.name)
        count = count + 1
      end)
    end
    assert.equal(table.concat(lines, "\n") .. "\n", out)
    assert.equal(count, select(2, err:gsub("uncaught error on stream #%d+ %(", "")))
    assert.equal(count, select(2, err:gsub("boom", "")))
    assert.equal(1, status)
  end)
end)

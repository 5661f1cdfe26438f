-- Tests a server that is another program, Python's http.server: its answers,
-- half a request, many clients at once.
--
--     weir --test scripts/examples/http_server_spec.lua

describe("python3 -m http.server", function()
  local server, address

  setup(function()
    server = assert(weir.process({ "python3", "-u", "-m", "http.server",
      "--bind", "127.0.0.1", "0" }, { stderr = "null" }))
    local line = assert(server.stdout:read_until("\n", { timeout = 20 }))
    address = "127.0.0.1:" .. line:match("port (%d+)")
  end)

  teardown(function()
    server:kill()
    server:wait()
  end)

  -- A peer that hangs fails what waits for it after 10 s.
  local function connect()
    return assert(weir.connect(address, { timeout = 10 }))
  end

  local function ask(request)
    local stream = connect()
    stream:write(request)
    local answer = assert(stream:read_until_close())
    stream:close()
    return answer
  end

  it("answers HEAD with headers and nothing else", function()
    local answer = ask("HEAD / HTTP/1.0\r\n\r\n")
    assert.matches("^HTTP/1%.0 200 OK\r\n", answer)
    assert.matches("\r\n\r\n$", answer)
  end)

  it("refuses what is no request", function()
    assert.matches("400", ask("nonsense HTTP/1.0 or not\r\n\r\n"))
  end)

  it("waits for the second half of a request", function()
    local stream = connect()
    stream:write("GET / HTTP/1.0\r\n")
    local _, _, code = stream:read_some({ timeout = 0.05 })
    assert.equal("ETIMEDOUT", code)
    stream:write("\r\n")
    assert.matches("^HTTP/1%.0 200 OK\r\n", stream:read_until("\r\n"))
    stream:close()
  end)

  it("serves ten clients at once", function()
    local tasks = {}
    for i = 1, 10 do
      tasks[i] = weir.spawn(ask, "HEAD / HTTP/1.0\r\n\r\n")
    end
    for _, answer in ipairs(assert(weir.all(tasks, { timeout = 10 }))) do
      assert.matches("200 OK", answer)
    end
  end)
end)

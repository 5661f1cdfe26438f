describe("listen", function()
  it("refuses a port in use", function()
    local listener = weir.listen("127.0.0.1:0", function() end)
    local other, message, code = weir.listen(listener:address(), function() end)
    assert.is_nil(other)
    assert.equal("EADDRINUSE", code)
    assert.matches(listener:address(), message, 1, true)
    listener:close()
    listener:close()
  end)

  it("removes its own unix socket on close", function()
    local path = os.tmpname() .. ".sock"
    local listener = weir.listen("unix:" .. path, function() end)
    assert.equal("unix:" .. path, listener:address())
    local _, _, code = weir.listen("unix:" .. path, function() end)
    assert.equal("EADDRINUSE", code)
    listener:close()
    assert.is_nil(io.open(path))
  end)

  it("accepts no more than max_connections at once, and refuses nobody", function()
    local open, most, served = 0, 0, 0
    local listener = weir.listen("127.0.0.1:0", { max_connections = 2 }, function(stream)
      open = open + 1
      most = math.max(most, open)
      stream:read_until("\n")
      stream:write("ok\n")
      open, served = open - 1, served + 1
      stream:close()
    end)
    local tasks = {}
    for i = 1, 10 do
      tasks[i] = weir.spawn(function()
        local stream = assert(weir.connect(listener:address()))
        stream:write("go\n")
        local answer = stream:read_until("\n")
        stream:close()
        return answer
      end)
    end
    for _, answer in ipairs(weir.all(tasks)) do assert.equal("ok\n", answer) end
    assert.equal(10, served)
    assert.is_true(most <= 2)
    listener:close()
  end)

  it("adopts a descriptor that is no socket as an error", function()
    local _, message, code = weir.connect("fd:9999")
    assert.equal("EBADF", code)
    assert.matches("fd:9999", message, 1, true)
  end)
end)

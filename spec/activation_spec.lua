-- Sockets that somebody else opened: systemd's protocol, played by python.

local binary = require("spec.support.weir").binary
local run = require("spec.support.weir").run

local ACTIVATE = [[
import os, socket, sys
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
datagrams = socket.socket(type=socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", 0))
os.dup2(listener.fileno(), 13)
os.dup2(datagrams.fileno(), 14)
os.dup2(13, 3)
os.dup2(14, 4)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2",
    LISTEN_FDNAMES="http:dns")
os.closerange(5, 30)
os.execv(sys.argv[1], sys.argv[1:])
]]

local SERVE = [[
  local addresses, names = weir.listen_fds()
  print(table.concat(addresses, " "), table.concat(names, " "))
  print(#weir.listen_fds(), os.getenv("LISTEN_PID"), os.getenv("LISTEN_FDS"), os.getenv("LISTEN_FDNAMES"))
  print(io.popen("ls -l /proc/self/fd"):read("*a"):find("[34] %-> socket"))
  local listener = assert(weir.listen(addresses[1], function(stream)
    stream:write(stream:read_until("\n"))
    stream:close()
  end))
  local socket = assert(weir.udp(addresses[2]))
  print(listener:address())
  print(socket:local_address())
  io.stdout:flush()
  local data, from = socket:receive({ timeout = 10 })
  socket:send(data:upper(), from)
  listener:close()
]]

describe("listen_fds", function()
  it("gives what the process was started for, ready to listen and receive on", function()
    local server = assert(weir.process({ "python3", "-c", ACTIVATE, binary, "-e", SERVE }))
    local function line() return server.stdout:read_until("\n", { inclusive = false, timeout = 10 }) end
    assert.equal("fd:3 fd:4\thttp dns", line())
    assert.equal("2\tnil\tnil\tnil", line())
    assert.equal("nil", line())
    local stream = assert(weir.connect(line(), { timeout = 10 }))
    stream:write("over TCP\n")
    assert.equal("over TCP\n", stream:read_until_close())
    stream:close()
    local socket = assert(weir.udp("127.0.0.1:0"))
    assert(socket:send("over udp", line()))
    assert.equal("OVER UDP", socket:receive({ timeout = 10 }))
    socket:close()
    assert.equal("", server.stderr:read_until_close({ timeout = 10 }))
    assert.same({ "exit", 0 }, { server:wait({ timeout = 10 }) })
  end)

  it("is empty for a process that was not, or whose parent was", function()
    local script = "local addresses, names = weir.listen_fds() print(#addresses, #names)"
    assert.equal("0\t0\n", (run({ "-e", script })))
    assert.equal("0\t0\n", (run({ "-e", script, env = { LISTEN_PID = "1", LISTEN_FDS = "1" } })))
    assert.equal("0\t0\n", (run({ "-e", script, env = { LISTEN_PID = "x", LISTEN_FDS = "" } })))
  end)

  it("is empty where the count cannot be one", function()
    local command = "LISTEN_PID=$$ LISTEN_FDS=$1 exec $0 -e 'print(#weir.listen_fds())'"
    for _, count in ipairs({ "9223372036854775807", "2147483645", "-1", "1e3", "" }) do
      local process = assert(weir.process({ "sh", "-c", command, binary, count }))
      assert.equal("0\n", process.stdout:read_until_close({ timeout = 10 }))
      assert.same({ "exit", 0 }, { process:wait({ timeout = 10 }) })
    end
  end)
end)

-- What the machine refuses, whoever asks: descriptors when there are none
-- left, peers to whom no route leads, what only somebody else may do.

local netns = require("spec.support.netns")
local weir_runs = require("spec.support.weir")

local function lines(text) return (table.concat(text, "\n") .. "\n") end

describe("without a descriptor left", function()
  -- Another weir that has none; `chunk` may let go of one with free().
  local function without(chunk)
    local folder = weir_runs.folder()
    local out, err, status = weir_runs.run({ "-e", [[
      local ffi = require("ffi")
      ffi.cdef("int dup(int); int close(int); int setrlimit(int, const unsigned long *);")
      local listener = assert(weir.listen("127.0.0.1:0", function() end))
      listener:pause()
      local last
      local function fill()
        repeat
          local fd = ffi.C.dup(0)
          last = fd >= 0 and fd or last
        until fd < 0
      end
      local function free() ffi.C.close(last) end
      local function show(_, message, code) print(message, code) end
      ffi.C.setrlimit(7, ffi.new("unsigned long[2]", 24, 24))
      fill()
      ]] .. chunk .. [[

      weir.exit(0)]], folder = folder })
    weir_runs.remove(folder)
    assert.equal("", err)
    assert.equal(0, status)
    return out
  end

  it("connect, listen, udp, pair and process say so, and name what was asked for", function()
    assert.equal(lines({
      "connect 127.0.0.1:9: Too many open files\tEMFILE",
      "connect unix:@nobody: Too many open files\tEMFILE",
      "connect localhost:9: [::1]:9: Too many open files; 127.0.0.1:9: Too many open files\tEMFILE",
      "connect nobody.test:9: Too many open files\tEMFILE",
      "listen 127.0.0.1:0: Too many open files\tEMFILE",
      "listen unix:socket: Too many open files\tEMFILE",
      "udp 127.0.0.1:0: Too many open files\tEMFILE",
      "udp: Too many open files\tEMFILE",
      "pair: Too many open files\tEMFILE",
      "process true: Too many open files\tEMFILE",
      "nil",
    }), without([[
      local nobody = { connect_timeout = 10 }
      show(weir.connect("127.0.0.1:9", nobody))
      show(weir.connect("unix:@nobody", nobody))
      show(weir.connect("localhost:9", nobody))
      show(weir.connect("nobody.test:9", nobody))
      show(weir.listen("127.0.0.1:0", print))
      show(weir.listen("unix:socket", print))
      show(weir.udp("127.0.0.1:0"))
      show(weir.udp())
      show(weir.pair())
      show(weir.process({ "true" }))
      free()
      print((io.open("socket")))
    ]]))
  end)

  it("TLS says so, and can be had later", function()
    assert.equal("EMFILE\nEMFILE\ntrue\n", without([[
      -- This one takes none where OpenSSL is there already.
      print((select(3, weir.tls.self_signed())) or "EMFILE")
      print((select(3, weir.tls.context({ cert = "/none" }))))
      for fd = last, last - 9, -1 do ffi.C.close(fd) end
      print((assert(weir.tls.self_signed()):match("BEGIN CERTIFICATE")) ~= nil)
    ]]))
  end)

  it("everything works again as soon as there are some, also names", function()
    assert.equal("EMFILE\tEMFILE\ntrue\t127.0.0.1\nexit\t0\n", without([[
      print((select(3, weir.connect(listener:address()))), (select(3, weir.process({ "true" }))))
      for fd = last, last - 11, -1 do ffi.C.close(fd) end
      local stream = assert(weir.connect(listener:address(), { connect_timeout = 10 }))
      print(not stream:closed(), weir.resolve("localhost", { family = 4 })[1])
      stream:abort()
      print(assert(weir.process({ "true" })):wait({ timeout = 10 }))
    ]]))
  end)

  it("localhost is this machine", function()
    assert.equal("::1 127.0.0.1\n127.0.0.1\n::1\n", without([[
      print(table.concat(weir.resolve("localhost"), " "))
      print(table.concat(weir.resolve("a.localhost", { family = 4 }), " "))
      print(table.concat(weir.resolve("localhost.", { family = 6 }), " "))
    ]]))
  end)
end)

if netns.available then
  describe("without a route", function()
    it("connect, a datagram and a group say so", function()
      assert.equal(lines({
        "connect 192.0.2.1:80: Network is unreachable\tENETUNREACH",
        "connect 192.0.2.1:9: Network is unreachable\tENETUNREACH",
        "send 192.0.2.1:9: Network is unreachable\tENETUNREACH",
        "join 239.1.2.3: No such device\tENODEV",
        "join ff02::1: No such device\tENODEV",
        "resolve host.test: No name server could be reached\tECONNREFUSED",
      }), netns.run("ip link set lo up", [[
        local function show(_, message, code) print(message, code) end
        show(weir.connect("192.0.2.1:80", { connect_timeout = 10 }))
        local socket, four, six = weir.udp(), weir.udp("0.0.0.0:0"), weir.udp("[::]:0")
        show(socket:connect("192.0.2.1:9"))
        show(socket:send("x", "192.0.2.1:9"))
        show(four:join("239.1.2.3"))
        show(six:join("ff02::1"))
        show(weir.resolve("host.test", { servers = "192.0.2.1", timeout = 10 }))
      ]]))
    end)

    it("a connect to many has the code of those who could be asked", function()
      assert.equal(lines({ "connect many.test:9: 127.0.0.1:9: Connection refused; 192.0.2.1:9: Network is unreachable",
        "ECONNREFUSED" }), netns.run("ip link set lo up", [[
          local dns = require("spec.support.dns")
          local server = dns.serve_zone({ ["many.test"] = { A = { dns.ip("192.0.2.1"), dns.ip("127.0.0.1") } } })
          local _, message, code = dns.with(server, weir.connect, "many.test:9", { connect_timeout = 10 })
          print(message)
          print(code)
          server.close()
        ]]))
    end)

    it("a name server's settings that could not be read are read once they can be", function()
      local setup = "ip link set lo up; place=$(mktemp -d); "
        .. "echo nameserver 127.0.0.53 >$place/resolv.conf; mount --bind $place /etc"
      assert.equal("EMFILE\n192.0.2.1\n", netns.run(setup, [[
        local dns = require("spec.support.dns")
        local ffi = require("ffi")
        ffi.cdef("int dup(int); int setrlimit(int, const unsigned long *);")
        dns.serve_zone({ ["host.test"] = { A = { dns.ip("192.0.2.1") } } }, "127.0.0.53:53")
        ffi.C.setrlimit(7, ffi.new("unsigned long[2]", 24, 64))
        while ffi.C.dup(0) >= 0 do end
        print((select(3, weir.resolve("host.test", { timeout = 10 }))))
        ffi.C.setrlimit(7, ffi.new("unsigned long[2]", 64, 64))
        print(weir.resolve("host.test", { family = 4, timeout = 10 })[1])
        weir.exit(0)
      ]]))
    end)
  end)

  describe("without the permission", function()
    it("connect, listen, udp and process say so", function()
      local folder = weir_runs.folder({ ["script.lua"] = [[
        local function show(_, message, code) print(message, code) end
        os.execute("mkdir -m 0 closed")
        show(weir.listen("127.0.0.1:80", print))
        show(weir.listen("unix:closed/socket", print))
        show(weir.udp("127.0.0.1:53"))
        show(weir.udp("unix:closed/socket"))
        show(weir.connect("unix:closed/socket", { connect_timeout = 10 }))
        show(weir.connect("127.0.0.1:80", { source = ":1", connect_timeout = 10 }))
        local listener = assert(weir.listen("unix:socket", print))
        os.execute("chmod 0 socket")
        show(weir.connect("unix:socket", { connect_timeout = 10 }))
        show(weir.listen("unix:socket", print))
        listener:close()
        show(weir.process({ "ls" }, { cwd = "closed" }))
        show(weir.process({ "closed/ls" }))
      ]] })
      -- Root in name only: without capabilities the modes hold for it, too.
      local out = netns.run("ip link set lo up; cd " .. folder, ([[
        local process = assert(weir.process(
          { "setpriv", "--bounding-set=-all", "--inh-caps=-all", %q, "script.lua" },
          { stdin = "null", stderr = "stdout" }))
        io.write(process.stdout:read_until_close({ timeout = 20 }))
      ]]):format(weir_runs.binary))
      weir_runs.remove(folder)
      assert.equal(lines({
        "listen 127.0.0.1:80: Permission denied\tEACCES",
        "listen unix:closed/socket: Permission denied\tEACCES",
        "udp 127.0.0.1:53: Permission denied\tEACCES",
        "udp unix:closed/socket: Permission denied\tEACCES",
        "connect unix:closed/socket: Permission denied\tEACCES",
        "connect 127.0.0.1:80: Permission denied\tEACCES",
        "connect unix:socket: Permission denied\tEACCES",
        "listen unix:socket: Address already in use\tEADDRINUSE",
        "process ls: directory closed: Permission denied\tEACCES",
        "process closed/ls: Permission denied\tEACCES",
      }), out)
    end)
  end)
end

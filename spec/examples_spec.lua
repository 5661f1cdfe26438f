-- The examples, run as a user runs them, against real peers.

local function quoted(text) return "'" .. text .. "'" end

local weir_command = quoted(arg[-1])

local function output_of(command)
  local pipe = io.popen(command)
  local output = pipe:read("*a")
  pipe:close()
  return output
end

local function write_file(path, data)
  local file = assert(io.open(path, "w"))
  file:write(data)
  file:close()
end

-- Waits, without sleeping blindly, until somebody accepts on the address.
local function await(address)
  for _ = 1, 200 do
    local stream = weir.connect(address)
    if stream then return stream:close() end
    weir.sleep(0.02)
  end
  error("nobody listens on " .. address)
end

local function free_port()
  local listener = weir.listen("127.0.0.1:0", function() end)
  local port = listener:address():match(":(%d+)$")
  listener:close()
  return port
end

describe("hello.lua", function()
  it("says hello", function()
    assert.equal("hello, world\n",
      output_of(weir_command .. " scripts/examples/hello.lua"))
  end)
end)

describe("http_get.lua", function()
  local folder, port

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    os.execute("mkdir -p " .. folder .. "/www " .. folder .. "/tmp")
    os.execute("chmod -R 755 " .. folder)
    port = free_port()
    write_file(folder .. "/nginx.conf", ([[
      daemon on; pid %s/pid; error_log %s/error.log; worker_processes 1;
      events { worker_connections 64; }
      http {
        access_log off; client_body_temp_path %s/tmp; proxy_temp_path %s/tmp;
        fastcgi_temp_path %s/tmp; uwsgi_temp_path %s/tmp; scgi_temp_path %s/tmp;
        server { listen 127.0.0.1:%s; root %s/www; }
      }]])
      :format(folder, folder, folder, folder, folder, folder, folder, port, folder))
    os.execute(("head -c 1 /dev/urandom > %s/www/one; head -c 65536 /dev/urandom "
      .. "> %s/www/medium; head -c 52428800 /dev/urandom > %s/www/large")
      :format(folder, folder, folder))
    os.execute("PATH=$PATH:/usr/sbin nginx -p " .. folder .. " -c " .. folder
      .. "/nginx.conf 2>/dev/null")
    await("127.0.0.1:" .. port)
  end)

  teardown(function()
    os.execute("kill $(cat " .. folder .. "/pid); rm -rf " .. folder)
  end)

  for _, style in ipairs({ "", "--callbacks" }) do
    for _, name in ipairs({ "one", "medium", "large" }) do
      it("fetches " .. name .. " from nginx byte for byte " .. style, function()
        local url = ("http://127.0.0.1:%s/%s"):format(port, name)
        os.execute(("%s scripts/examples/http_get.lua %s %s > %s/got 2>/dev/null")
          :format(weir_command, style, url, folder))
        assert.equal("same\n", output_of(("cmp %s/got %s/www/%s && echo same")
          :format(folder, folder, name)))
      end)
    end
  end
end)

describe("echo_server.lua", function()
  it("serves 1,000 python connections at once, losing and mixing nothing", function()
    local port = free_port()
    local script = os.tmpname()
    write_file(script, [[
import asyncio, sys
async def client(port, n):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await gate(1)
    for i in range(10):
        line = b"connection %d line %d\n" % (n, i)
        writer.write(line)
        await writer.drain()
        assert await reader.readline() == line
    writer.close()
    return 10
count = 0
opened = asyncio.Event()
async def gate(n):
    global count
    count += n
    if count == 1000: opened.set()
    await opened.wait()
async def main():
    done = await asyncio.gather(*[client(int(sys.argv[1]), n) for n in range(1000)])
    print(sum(done), "lines")
asyncio.run(main())
]])
    local server = io.popen(("ulimit -n 4096; exec timeout 100 %s scripts/examples/echo_server.lua "
      .. "127.0.0.1:%s >/dev/null 2>&1 & echo $!"):format(weir_command, port))
    local pid = server:read("*l")
    await("127.0.0.1:" .. port)
    local said = output_of(("ulimit -n 4096; timeout 60 python3 %s %s 2>&1")
      :format(script, port))
    os.execute("kill " .. pid)
    server:close()
    os.remove(script)
    assert.equal("10000 lines\n", said)
  end)
end)

describe("chat_server.lua", function()
  it("tells everyone what one says", function()
    local port = free_port()
    local server = io.popen(("timeout 100 %s scripts/examples/chat_server.lua 127.0.0.1:%s >/dev/null 2>&1 & echo $!")
      :format(weir_command, port))
    local pid = server:read("*l")
    await("127.0.0.1:" .. port)
    local ann = assert(weir.connect("127.0.0.1:" .. port))
    assert.equal("your name? ", ann:read_until("? "))
    ann:write("ann\n")
    assert.equal("* ann joins\n", ann:read_until("\n"))
    local bob = assert(weir.connect("127.0.0.1:" .. port))
    bob:read_until("? ")
    bob:write("bob\n")
    assert.equal("* bob joins\n", ann:read_until("\n"))
    bob:write("hi\r\n")
    assert.equal("<bob> hi\n", ann:read_until("\n"))
    bob:close()
    assert.equal("* bob leaves\n", ann:read_until("\n"))
    ann:close()
    os.execute("kill " .. pid)
    server:close()
  end)
end)

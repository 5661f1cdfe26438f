-- Fetches a page over HTTP, as the client in Tornado's IOStream manual does:
--
--     weir http_get.lua [--callbacks] http://HOST[:PORT]/PATH > FILE
--
-- The headers go to standard error, the body to standard output.

local style, url = "task", arg[1]
if url == "--callbacks" then style, url = "callback", arg[2] end
local host, port, path = (url or ""):match("^http://([^/:]+):?(%d*)(/?.*)$")
if not host then
  io.stderr:write("usage: http_get.lua [--callbacks] http://HOST[:PORT]/PATH\n")
  os.exit(2)
end
if port == "" then port = "80" end
if path == "" then path = "/" end

local request = ("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n"):format(path, host)

local function fail(message)
  io.stderr:write("http_get: ", message, "\n")
  weir.exit(1)
end

-- The number of bytes that the head announces.
local function content_length(head)
  io.stderr:write(head)
  local length = head:lower():match("\r\ncontent%-length:%s*(%d+)")
  return tonumber(length) or fail("no Content-Length")
end

local function in_a_task()
  local stream = assert(weir.connect(host .. ":" .. port))
  stream:write(request)
  local head = assert(stream:read_until("\r\n\r\n"))
  io.write((assert(stream:read_bytes(content_length(head)))))
  stream:close()
end

local function with_callbacks()
  local stream = weir.stream()
  local function on_body(data, message)
    if not data then return fail(message) end
    io.write(data)
    stream:close()
    weir.stop()
  end
  local function on_head(head, message)
    if not head then return fail(message) end
    stream:read_bytes(content_length(head), on_body)
  end
  stream:connect(host .. ":" .. port, function(_, message)
    if message then return fail(message) end
    stream:write(request)
    stream:read_until("\r\n\r\n", on_head)
  end)
end

if style == "task" then in_a_task() else with_callbacks() end

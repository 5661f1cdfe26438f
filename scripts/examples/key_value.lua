-- A binary protocol, both ends of it: frames behind a 16-bit length, whose
-- first byte says what is wanted, and STARTTLS before anything else.
--
--     weir scripts/examples/key_value.lua serve [ADDRESS]
--     weir scripts/examples/key_value.lua set NAME VALUE [ADDRESS]
--     weir scripts/examples/key_value.lua get NAME [ADDRESS]
--
-- (127.0.0.1:7003 unless given.) The certificate is made anew by each server,
-- so the client does not verify it: an example of framing, not of trust.

local DEFAULT, LONGEST = "127.0.0.1:7003", 1000

local function serve(address)
  local cert, key = weir.tls.self_signed()
  local values = {}
  local verbs = {
    S = function(rest)
      local name, value = rest:match("^(%Z+)%z(.*)$")
      if not name then return "!a name, a zero byte and a value expected" end
      values[name] = value
      return "+"
    end,
    G = function(name) return values[name] and "+" .. values[name] or "-" end,
  }

  local function handle(stream)
    while true do
      local frame = stream:read_frame("u16be", { max = LONGEST, timeout = 60 })
      if not frame then break end
      local verb = verbs[frame:sub(1, 1)]
      if frame == "T" and not stream:tls_info() then
        stream:write_frame("u16be", "+")
        if not stream:start_tls({ server = true, cert = cert, key = key }) then
          break
        end
      else
        stream:write_frame("u16be", stream:tls_info() and verb
          and verb(frame:sub(2)) or "!not understood")
      end
    end
    stream:close()
  end

  local listener = assert(weir.listen(address or DEFAULT, handle))
  print("listening on " .. listener:address())
end

local function ask(frame, address)
  local stream = assert(weir.connect(address or DEFAULT, { timeout = 10 }))
  local function exchange(data)
    stream:write_frame("u16be", data)
    return assert(stream:read_frame("u16be"))
  end
  assert(exchange("T") == "+", "the server offers no TLS")
  assert(stream:start_tls({ verify = false }))
  local answer = exchange(frame)
  stream:close()
  return answer:match("^%+(.*)$")
end

local command, name, value = arg[1], arg[2], arg[3]
if command == "serve" then
  serve(name)
elseif command == "set" and value then
  assert(ask("S" .. name .. "\0" .. value, arg[4]), "the server refused that")
elseif command == "get" and name then
  local found = ask("G" .. name, arg[3])
  if not found then os.exit(1) end
  print(found)
else
  io.stderr:write("usage: key_value.lua serve | set NAME VALUE | get NAME\n")
  os.exit(2)
end

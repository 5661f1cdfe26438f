-- Sends a mail from standard input: connects in the clear, asks for STARTTLS,
-- and goes on with the same stream, encrypted. Nothing is sent in the clear
-- that is worth reading, and a server without TLS gets nothing.
--
--     weir scripts/examples/smtp_starttls.lua HOST:PORT FROM TO [CA-FILE] <mail

local address, from, to, ca = arg[1], arg[2], arg[3], arg[4]
if not to then
  io.stderr:write("usage: smtp_starttls.lua HOST:PORT FROM TO [CA-FILE]\n")
  os.exit(2)
end

local function check(result, message)
  if result then return result end
  io.stderr:write("smtp: ", tostring(message), "\n")
  os.exit(1)
end

local stream = check(weir.connect(address, { timeout = 60 }))

-- A reply has several lines: "250-FIRST", "250 LAST".
local function reply(expected)
  local lines = {}
  repeat
    local line = check(stream:read_until("\r\n", { max = 2048 }))
    lines[#lines + 1] = line
  until line:sub(4, 4) ~= "-"
  local last = lines[#lines]
  check(last:sub(1, 1) == expected, last)
  return lines
end

local function command(expected, ...)
  check(stream:write({ ..., "\r\n" }))
  return reply(expected)
end

local function offers(lines, name)
  for _, line in ipairs(lines) do
    if line:sub(5, -3):upper() == name then return true end
  end
  return false
end

reply("2")
local offered = command("2", "EHLO weir.localhost")
check(offers(offered, "STARTTLS"), "no STARTTLS here")
command("2", "STARTTLS")
check(stream:start_tls({ ca = ca }))
command("2", "EHLO weir.localhost") -- what was said in the clear is void
command("2", "MAIL FROM:<" .. from .. ">")
command("2", "RCPT TO:<" .. to .. ">")
command("3", "DATA")
for line in io.lines() do
  stream:write({ line:gsub("^%.", ".."):gsub("\r$", ""), "\r\n" })
end
print((command("2", ".")[1]:gsub("\r\n", "")))
command("2", "QUIT")

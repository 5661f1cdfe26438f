-- Shows what a TLS server is like: protocol, cipher, the chain that it sends,
-- when its certificate expires and whether it can be trusted. The exit status
-- is for monitoring: 0 all is well, 1 it expires within DAYS (14 unless
-- given), 2 it cannot be reached or trusted, 3 wrong usage.
--
--     weir scripts/examples/tls_probe.lua example.com:443 [DAYS] [CA-FILE]

local OK, WARNING, CRITICAL, USAGE = 0, 1, 2, 3
local DAY = 24 * 60 * 60

local address, days, ca = arg[1], tonumber(arg[2] or 14), arg[3]
if not address or not days then
  io.stderr:write("usage: tls_probe.lua HOST:PORT [DAYS] [CA-FILE]\n")
  os.exit(USAGE)
end

local function line(name, format, ...)
  print(("%-10s "):format(name) .. format:format(...))
end

local function show_chain(certificates)
  for i, certificate in ipairs(certificates) do
    line(i == 1 and "chain" or "", "%d %s", i, certificate.subject)
    line("", "  issued by %s", certificate.issuer)
  end
end

-- "optional": what is wrong with the certificate is told, and the connection
-- stands all the same, so that there is something to show.
local stream, message = weir.connect(address, {
  tls = { verify = "optional", alpn = { "h2", "http/1.1" }, ca = ca },
  connect_timeout = 10,
})
if not stream then
  io.stderr:write("CRITICAL: ", message, "\n")
  os.exit(CRITICAL)
end

local info = stream:tls_info()
local certificate = info.peer_certificates[1]
local left = (certificate.not_after - weir.time()) / DAY
line("peer", "%s", stream:peer_address())
line("protocol", "%s, %s", info.version, info.cipher)
line("alpn", "%s", info.alpn or "none")
show_chain(info.peer_certificates)
line("names", "%s", table.concat(certificate.sans, ", "))
line("key", "%s, %d bits", certificate.key_type, certificate.key_bits)
line("expires", "%s, in %d days",
  os.date("!%Y-%m-%d %H:%M:%S UTC", certificate.not_after), math.floor(left))
line("verified", "%s", info.verified and "yes" or "no: " .. info.verify_error)
stream:close()

if not info.verified then os.exit(CRITICAL) end
os.exit(left < days and WARNING or OK)

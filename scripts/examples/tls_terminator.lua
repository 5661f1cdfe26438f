-- Takes TLS from the network and passes it on in plain text, each name to its
-- own backend, with its own certificate (SNI). Half-closed connections stay
-- half-closed, and a slow side holds the other one back.
--
--     weir scripts/examples/tls_terminator.lua LISTEN NAME=BACKEND=PEM...
--     weir scripts/examples/tls_terminator.lua :8443 \
--       foo.example.com=127.0.0.1:8080=foo.pem bar.net=unix:/run/bar=bar.pem
--
-- A PEM file has the certificate, its chain and the private key. Whoever asks
-- for no name, or for one that is not there, gets the first.

local sites, first = {}, nil

local function add_site(text)
  local name, backend, pem = text:match("^([^=]+)=([^=]+)=(.+)$")
  if not name then error("not NAME=BACKEND=PEM: " .. text, 0) end
  local context = assert(weir.tls.context({ cert = pem, key = pem }))
  local site = { backend = backend, context = context, pem = pem }
  sites[name:lower()] = site
  first = first or site
end

local function site_for(name)
  return name and sites[name:lower()] or first
end

-- One direction, until its source ends; then the other side is told.
local function pump(from, to)
  if from:copy_to(to) then to:shutdown() else to:abort() end
end

local function serve(client)
  local info = client:tls_info()
  local site = site_for(info.server_name)
  local backend, message = weir.connect(site.backend, { connect_timeout = 10 })
  if not backend then
    io.stderr:write(message, "\n")
    return client:abort()
  end
  local back = weir.spawn(pump, backend, client)
  pump(client, backend)
  back:join()
  client:close()
  backend:close()
end

for i = 2, #arg do add_site(arg[i]) end
if not first then
  io.stderr:write("usage: tls_terminator.lua LISTEN NAME=BACKEND=PEM...\n")
  os.exit(2)
end
local listener = assert(weir.listen(arg[1], { tls = {
  cert = first.pem, key = first.pem,
  on_sni = function(name) return site_for(name).context end,
} }, serve))
weir.stdout:write({ "listening on ", listener:address(), "\n" })

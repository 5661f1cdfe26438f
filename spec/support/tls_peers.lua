-- What TLS specs share: an authority with certificates for this machine, and
-- TLS peers of other makes, which run as processes.

local ports = require("spec.support.ports")
local shell = require("spec.support.weir")

local M = {}

local LIMIT = 20 -- seconds, for whatever must not hang

local made

--- root, rsa, ec, client: each { cert, key }, PEM texts; all but the root are
--- signed by it. rsa and ec are for localhost, 127.0.0.1 and foo.example.com.
function M.certificates()
  if made then return made end
  local names = { "localhost", "127.0.0.1", "foo.example.com" }
  local function pair(options)
    local cert, key = assert(weir.tls.self_signed(options))
    return { cert = cert, key = key }
  end
  local root = pair({ ca = true, subject = "O=weir, CN=Root" })
  local function signed(options)
    options.issuer_cert, options.issuer_key = root.cert, root.key
    return pair(options)
  end
  made = {
    root = root, signed = signed,
    rsa = signed({ names = names, key = "rsa" }),
    ec = signed({ names = names, key = "ec" }),
    client = signed({ subject = "CN=a client", usage = "client" }),
  }
  return made
end

--- A new folder with all of them: root.pem, rsa.pem, rsa.key, …; its path.
function M.folder()
  local certificates, files = M.certificates(), {}
  for name, pair in pairs(certificates) do
    if type(pair) == "table" then
      files[name .. ".pem"] = pair.cert
      files[name .. ".key"] = pair.key
    end
  end
  return shell.folder(files)
end

M.remove = shell.remove

--- Asserts that the text contains what is expected, which is no pattern.
function M.contains(expected, text)
  assert(tostring(text):find(expected, 1, true),
    ("'%s' expected in: %s"):format(expected, tostring(text)))
end

--- Runs a command to its end: what it printed on both outputs, and its status.
--- `input` is its standard input; it ends after that, or, with `stay`, stays
--- open until the command ends.
function M.run(argv, input, stay, folder)
  local process = assert(weir.process(argv, { stderr = "stdout", cwd = folder }))
  if input then process.stdin:write(input) end
  if not stay then process.stdin:close() end
  local output, message = process.stdout:read_until_close({ timeout = LIMIT })
  if not output then process:kill("KILL") end
  local _, status = process:wait({ timeout = LIMIT })
  process.stdin:close()
  return output or message, status
end

--- Starts a server on options.port, which is held, or on one that is put for
--- "PORT" in argv, and waits until it accepts. Returns its address, a function that stops
--- it, and the process.
function M.serve(argv, options)
  options = options or {}
  local port, list = options.port or ports.hold(), {}
  for i, word in ipairs(argv) do list[i] = (word:gsub("PORT", port)) end
  local process = assert(weir.process(shell.bound(list),
    { stdout = options.stdout or "null", stderr = "null" }))
  local address = "127.0.0.1:" .. port
  local probe
  for _ = 1, 2000 do
    probe = weir.connect(address, { timeout = LIMIT })
    if probe then break end
    weir.sleep(0.01)
  end
  assert(probe, "nobody listens: " .. table.concat(list, " "))
  probe:abort()
  ports.release(port)
  return address, function()
    -- Not KILL: nginx ends its workers only if it is asked to end itself.
    process:kill("TERM")
    if not process:wait({ timeout = LIMIT }) then
      process:kill("KILL")
      process:wait({ timeout = LIMIT })
    end
    if process.stdin then process.stdin:close() end
    if process.stdout then process.stdout:close() end
  end, process
end

--- Runs f(address, process) beside such a server.
function M.with(argv, f, options)
  local address, stop, process = M.serve(argv, options)
  local good, message = pcall(f, address, process)
  stop()
  if not good then error(message, 0) end
end

return M

-- weir.tls.self_signed: what a person gives, made into what core.issue takes.
local weir, core = ...

local DAY = 24 * 60 * 60

-- In the order in which a distinguished name has them.
local SUBJECT_ORDER = { "C", "ST", "L", "O", "OU", "CN", "emailAddress" }

-- What each option must be.
local KINDS = {
  host = "string or list", names = "string or list", usage = "string or list",
  subject = "string or table", key = "string", curve = "string",
  issuer_cert = "string", issuer_key = "string", bits = "number",
  days = "number", not_before = "number", not_after = "number", ca = "boolean",
}

local function known_names()
  local names = {}
  for name in pairs(KINDS) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

-- Without a position: weir.tls.self_signed raises it at its caller's line.
local function wrong(message, ...)
  error(message:format(...), 0)
end

local function check(options)
  for name, value in pairs(options) do
    local kind = KINDS[name]
    if not kind then
      wrong("unknown option '%s' (known: %s)", tostring(name), known_names())
    end
    local given = type(value)
    if given == "table" then given = kind:match("list") or given end
    if not kind:find(given, 1, true) then
      wrong("bad option '%s' (%s expected, got %s)", name, kind, type(value))
    end
  end
  if (options.issuer_cert == nil) ~= (options.issuer_key == nil) then
    wrong("issuer_cert and issuer_key belong together")
  end
end

-- Appends what is a string or a list of them.
local function append(list, name, value)
  if type(value) == "string" then value = { value } end
  for _, one in ipairs(value or {}) do
    if type(one) ~= "string" then
      wrong("bad option '%s' (strings expected, got a %s in it)", name,
        type(one))
    end
    list[#list + 1] = one
  end
end

local function names_of(options)
  local names = {}
  append(names, "host", options.host)
  append(names, "names", options.names)
  local given = options.host or options.names or options.subject or options.ca
  if not given then names = { "localhost", "127.0.0.1", "::1" } end
  return names
end

-- "O=Example, CN=foo" or "/O=Example/CN=foo", with \, or quotes for a comma
-- within a value; or "foo", a common name.
local function parse_subject(text)
  if not text:find("=", 1, true) then return { { "CN", text } } end
  local fields = {}
  local function escape(bytes)
    return (bytes:gsub(".", function(byte)
      return ("\\%03d"):format(byte:byte())
    end))
  end
  local escaped = text:gsub("\\(.)", escape):gsub('"(.-)"', escape)
  local separator = text:sub(1, 1) == "/" and "/" or ","
  for field in escaped:gmatch("[^" .. separator .. "]+") do
    local kind, value = field:match("^%s*([%w.]+)%s*=%s*(.-)%s*$")
    if not kind then
      wrong("bad option 'subject' (\"O=Example, CN=foo\" expected, got \"%s\")",
        text)
    end
    value = value:gsub("\\(%d%d%d)", function(code)
      return string.char(tonumber(code))
    end)
    fields[#fields + 1] = { kind, value }
  end
  return fields
end

local function subject_of(options, names)
  local subject = options.subject
  if type(subject) == "string" then return parse_subject(subject) end
  if not subject then
    -- A longer one is no valid common name; the names count anyway.
    local common = names[1] or options.ca and "weir test CA" or ""
    return #common > 0 and #common <= 64 and { { "CN", common } } or {}
  end
  local fields, placed = {}, {}
  local function place(kind)
    local values = {}
    append(values, "subject", subject[kind])
    for _, value in ipairs(values) do fields[#fields + 1] = { kind, value } end
    placed[kind] = true
  end
  for _, kind in ipairs(SUBJECT_ORDER) do place(kind) end
  for kind in pairs(subject) do
    if not placed[kind] then place(kind) end
  end
  return fields
end

-- Clocks differ a little: valid since an hour ago unless one says so.
local function validity_of(options)
  local length = (options.days or 365) * DAY
  local from, to = options.not_before, options.not_after
  if not from then
    from = weir.time() - 60 * 60
    if to then from = math.min(from, to - length) end
  end
  to = to or from + length
  for _, time in ipairs({ from, to }) do
    if not (time > -62135596800 and time < 253402300800) then
      wrong("not_before and not_after are unix seconds, years 1 to 9999")
    end
  end
  return from, to
end

local function plan(options)
  check(options)
  local bits = options.bits or 2048
  if bits < 512 or bits > 16384 or bits % 1 ~= 0 then
    wrong("bad option 'bits' (512 to 16384 expected, got %g)", bits)
  end
  local names = names_of(options)
  local from, to = validity_of(options)
  local usage = {}
  append(usage, "usage", options.usage)
  return {
    names = names, subject = subject_of(options, names),
    not_before = from, not_after = to, ca = options.ca or false,
    usage = options.usage and usage, bits = bits,
    key = options.key or "ec", curve = options.curve or "P-256",
    issuer_cert = options.issuer_cert, issuer_key = options.issuer_key,
  }
end

--- weir.tls.self_signed([options]): a certificate and its private key, PEM
-- texts both, for tests and experiments. Does not wait; an RSA key takes the
-- whole host some tenths of a second.
function weir.tls.self_signed(options)
  if options ~= nil and type(options) ~= "table" then
    error("self_signed: a table of options expected, got " .. type(options), 2)
  end
  local good, planned = pcall(plan, options or {})
  if not good then error("self_signed: " .. planned, 2) end
  local certificate, key, code = core.issue(planned)
  if code == "EINVAL" then error("self_signed: " .. key, 2) end
  if code then return nil, "self_signed: " .. key, code end
  return certificate, key
end

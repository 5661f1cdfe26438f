-- Runs another weir, the same binary, to its end, and says what came of it.

local M = {}

local function read_all(source)
  local text = source:read("*a")
  source:close()
  return text
end

local function write_file(path, content)
  local file = assert(io.open(path, "w"))
  file:write(content)
  file:close()
end

local function quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

-- The shell that popen starts is a child of this weir.
M.binary = read_all(io.popen("readlink /proc/$PPID/exe")):gsub("\n$", "")

--- The command of the list argv, asked to end when this weir ends, however it
--- does, be it in the midst of a spec (Linux).
function M.bound(argv)
  return { "setpriv", "--pdeathsig", "TERM", unpack(argv) }
end

--- A new folder with `files`, a map of names to contents; its path.
function M.folder(files)
  local path = read_all(io.popen("mktemp -d")):gsub("\n$", "")
  for name, content in pairs(files or {}) do
    write_file(path .. "/" .. name, content)
  end
  return path
end

function M.remove(folder)
  os.execute("rm -rf " .. quote(folder))
end

--- `weir` with the arguments of the list `run`; run.stdin is its standard
--- input (none if it is not given), run.env a map of variables, run.folder
--- where it starts. Returns its output, its errors and its exit status (as
--- the shell counts: 128 + the number of a signal; 124 if it did not end within
--- a minute). Blocks the whole host.
function M.run(run)
  local input, errors = os.tmpname(), os.tmpname()
  write_file(input, run.stdin or "")
  local words = { "timeout", "-k", "5", "60", "env" }
  for name, value in pairs(run.env or {}) do
    words[#words + 1] = quote(name .. "=" .. value)
  end
  words[#words + 1] = quote(M.binary)
  for _, argument in ipairs(run) do words[#words + 1] = quote(argument) end
  local command = ("cd %s && %s <%s 2>%s; printf '\\n%%d' $? >>%s"):format(
    quote(run.folder or "."), table.concat(words, " "), input, errors, errors)
  local out = read_all(io.popen(command))
  local err, status = read_all(io.open(errors)):match("^(.*)\n(%d+)$")
  os.remove(input)
  os.remove(errors)
  return out, err, tonumber(status)
end

--- Hundredths of a second of processor time that a process has used (Linux).
function M.used(pid)
  local file = assert(io.open(("/proc/%d/stat"):format(pid)))
  local user, system = file:read("*a"):match("%) %S" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
  file:close()
  return tonumber(user) + tonumber(system)
end

return M

-- Starts servers, pinned to a core, and sees that none outlives the run: the
-- kernel kills them when this process ends, however it ends.

local ffi = require("ffi")

ffi.cdef([[
  int fork(void);
  int execvp(const char *file, char *const argv[]);
  int open(const char *path, int flags, int mode);
  int dup2(int from, int to);
  int setenv(const char *name, const char *value, int overwrite);
  int prctl(int option, unsigned long a, ...);
  int sched_setaffinity(int pid, size_t size, const void *mask);
  int kill(int pid, int signal);
  int waitpid(int pid, int *status, int options);
  void _exit(int status);
]])

local C = ffi.C
local O_APPEND_WRITE_CREATE = 1024 + 1 + 64
local PR_SET_PDEATHSIG, SIGKILL, WNOHANG = 1, 9, 1

local M = {}

local function to_argv(arguments)
  local argv = ffi.new("const char *[?]", #arguments + 1)
  for i, argument in ipairs(arguments) do argv[i - 1] = argument end
  return ffi.cast("char *const *", argv), argv
end

local function pin(core)
  local mask = ffi.new("uint64_t[16]")
  mask[math.floor(core / 64)] = 2ULL ^ (core % 64)
  C.sched_setaffinity(0, ffi.sizeof(mask), mask)
end

--- Starts `arguments` on `core`, its output going to the file `log`, with
--- `environment` added; returns its process id.
function M.start(arguments, core, log, environment)
  local argv, anchor = to_argv(arguments)
  local pid = C.fork()
  if pid ~= 0 then return pid, anchor end
  C.prctl(PR_SET_PDEATHSIG, ffi.cast("unsigned long", SIGKILL))
  pin(core)
  local out = C.open(log, O_APPEND_WRITE_CREATE, 420)
  C.dup2(out, 1)
  C.dup2(out, 2)
  for name, value in pairs(environment or {}) do C.setenv(name, value, 1) end
  C.execvp(arguments[1], argv)
  C._exit(127)
end

--- Kills the process and waits for its end.
function M.stop(pid)
  C.kill(pid, SIGKILL)
  C.waitpid(pid, nil, 0)
end

--- Has it ended by itself?
function M.ended(pid)
  return C.waitpid(pid, nil, WNOHANG) ~= 0
end

local function quote(argument)
  return "'" .. tostring(argument):gsub("'", "'\\''") .. "'"
end

--- Runs a command to its end; returns what it printed, or nil and what it
--- said on standard error.
function M.run(arguments)
  local words = {}
  for i, argument in ipairs(arguments) do words[i] = quote(argument) end
  local errors = os.tmpname()
  local pipe = io.popen(table.concat(words, " ") .. " 2>" .. errors ..
    " || echo failed")
  local output = pipe:read("*a")
  pipe:close()
  local file = io.open(errors)
  local message = file:read("*a")
  file:close()
  os.remove(errors)
  if output:find("failed\n$") then return nil, message end
  return output
end

--- Is there such a command?
function M.exists(command)
  return M.run({ "sh", "-c", 'command -v "$0"', command }) ~= nil
end

return M

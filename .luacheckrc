std = "luajit"
max_line_length = 80
read_globals = { "weir" }
files["spec"] = { std = "luajit+busted" }
files["lua/weir/coroutine.lua"] = { globals = { "coroutine" } }

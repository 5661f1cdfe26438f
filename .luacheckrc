std = "luajit"
max_line_length = 80
read_globals = { "weir" }
files["spec"] = { std = "luajit+busted" }
files["scripts/examples/*_spec.lua"] = { std = "luajit+busted" }
files["lua/weir/coroutine.lua"] = { globals = { "coroutine" } }

-- Specs and benchmarks quote what goes over the wire, line by line.
files["spec"].max_line_length = 120
files["scripts/bench"] = { max_line_length = 100 }

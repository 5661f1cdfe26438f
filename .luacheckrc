std = "luajit"
max_line_length = 80
files["spec"] = { std = "luajit+busted" }

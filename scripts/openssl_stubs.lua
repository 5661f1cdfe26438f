-- `luajit openssl_stubs.lua NM LIBRARY...`: x86-64 assembly that defines every
-- function of these libraries as a jump to where src/io/openssl.c finds it
-- when it is first called. So OpenSSL, whose loading takes longer than all
-- else that weir does before a script starts, is loaded by scripts that use
-- it. The linker drops what is not called.

local HEAD = [[
	.section .note.GNU-stack,"",@progbits
	.section .text.openssl_enter,"ax",@progbits
	.hidden openssl_enter
	.hidden openssl_find
openssl_enter:
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq %r8
	pushq %r9
	pushq %rax
	pushq %r10
	subq $8, %rsp
	movq %r11, %rdi
	movq %r10, %rsi
	call openssl_find
	movq %rax, %r11
	addq $8, %rsp
	popq %r10
	popq %rax
	popq %r9
	popq %r8
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
	jmp *%r11
]]

-- Arguments stay in their registers; r10 and r11 belong to nobody.
local STUB = [[
	.section .bss.openssl.NAME,"aw",@nobits
	.balign 8
.Lslot_NAME:
	.zero 8
	.section .text.openssl.NAME,"ax",@progbits
	.globl NAME
	.hidden NAME
	.type NAME, @function
NAME:
	movq .Lslot_NAME(%rip), %r11
	testq %r11, %r11
	jz 1f
	jmp *%r11
1:	leaq .Lslot_NAME(%rip), %r10
	leaq 2f(%rip), %r11
	jmp openssl_enter
2:	.asciz "NAME"
	.size NAME, . - NAME
]]

local function functions(nm, library, each)
  local pipe = assert(io.popen(("'%s' -D --defined-only '%s'"):format(nm,
    library)))
  for line in pipe:lines() do
    local name = line:match("^%x+ [TW] ([%w_]+)")
    if name and not name:find("^_") then each(name) end
  end
  pipe:close()
end

local seen = {}
io.write(HEAD)
for i = 2, #arg do
  functions(arg[1], arg[i], function(name)
    if seen[name] then return end
    seen[name] = true
    io.write((STUB:gsub("NAME", name)))
  end)
end
if not next(seen) then error("no functions found") end

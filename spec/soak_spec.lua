-- A short soak; scripts/check/soak runs for as long as one likes.
local weir_binary = require("spec.support.weir")

it("a soak loses nothing, tells nothing twice and leaves nothing over", function()
  local out, err, status = weir_binary.run({ "scripts/check/soak.lua", "1", "1" })
  assert.equal("", err)
  assert.matches("^soak: 1 s, seed 1: %d+ operations, 0 faults\n$", out)
  assert.equal(0, status)
end)

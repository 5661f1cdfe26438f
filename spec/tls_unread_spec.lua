-- Closing while there is input that was received but not read, in records that
-- nobody has opened, from a peer that does not end: in another host, because a
-- loop that spins would take this one along.

local run = require "spec.support.weir"

describe("closing a TLS stream with unread input", function()
  for _, version in ipairs({ "1.2", "1.3" }) do
    it("lets the host go on, TLS " .. version, function()
      local out, errors, status = run.run({ "-e", ([[
        local cert, key = weir.tls.self_signed()
        local release = weir.channel()
        local tls = { cert = cert, key = key, max_version = %q }
        local listener = weir.listen("127.0.0.1:0", { tls = tls }, function(stream)
          stream:write("a")
          stream:flush()
          stream:write("b")
          stream:flush()
          release:get()
          stream:close()
        end)
        for round = 1, 5 do
          local client = weir.connect(listener:address(), { tls = { ca = cert,
            server_name = "localhost" } })
          weir.sleep(0.01)
          if round > 1 then client:read_bytes(1) end
          client:close()
          for _ = 1, 10 do weir.sleep(0.001) end
          release:put(true)
        end
        listener:close()
        print("done")
      ]]):format(version) })
      assert.equal("", errors)
      assert.equal("done\n", out)
      assert.equal(0, status)
    end)
  end
end)

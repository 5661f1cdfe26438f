-- What a server says when on_sni leaves a client without a certificate.

local run = require "spec.support.weir"

-- Connects, asking for `name`, to a server that has `on_sni` alone: what the
-- client got and what the server reported.
local function refused(name, on_sni)
  local out, errors, status = run.run({ "-e", ([[
    local cert, key = weir.tls.self_signed()
    context = weir.tls.context({ cert = cert, key = key })
    client_only = weir.tls.context({ verify = false })
    local listener = weir.listen("127.0.0.1:0", { tls = { on_sni = %s } }, error)
    print(select(2, weir.connect(listener:address(), { connect_timeout = 10,
      tls = { verify = false, server_name = %q } })))
    listener:close()
  ]]):format(on_sni, name) })
  assert.equal(0, status)
  return out:match("TLS: .*"):gsub("\tETLS\n$", ""),
    errors:gsub("^weir: TLS handshake with 127.0.0.1:%d+: ", ""):gsub("\n$", "")
end

describe("a server without a certificate of its own", function()
  local UNRECOGNIZED = "TLS: tlsv1 unrecognized name (the peer does not serve that name)"

  it("says that on_sni gave none", function()
    for _, answer in ipairs({ "nil", "false", "client_only" }) do
      local client, server = refused("two.example", "function() return " .. answer .. " end")
      assert.equal(UNRECOGNIZED, client)
      assert.equal("on_sni gave no context for two.example", server)
    end
  end)

  it("says that a client names nobody", function()
    local _, server = refused("127.0.0.1", "function() return context end")
    assert.equal("no certificate for a client that names no server", server)
  end)

  it("shows no control characters of a client's", function()
    local _, server = refused("\27[2Jevil\n", "function() end")
    assert.equal([[on_sni gave no context for \1B[2Jevil\0A]], server)
  end)
end)

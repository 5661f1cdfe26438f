-- What TLS asks of scripts.
local _, core = ...

--- A server's client named whom it wants: on_sni says with which context that
-- one is served (nil: with the server's own). It may wait; the handshake does
-- meanwhile.
function core.tls_choose(stream, on_sni, name)
  core.tls_answer(stream, (on_sni(name)))
end

-- An address of loopback where nobody ever answers a connect: a listener
-- that accepts nothing and whose backlog is full.

--- Listens on `address`; returns the address, and a function that ends it.
return function(address)
  local listener = assert(weir.listen(address, { backlog = 1 }, function() end))
  listener:pause()
  local fillers = {}
  for i = 1, 2 do
    fillers[i] = assert(weir.connect(listener:address(), { connect_timeout = 10 }))
  end
  return listener:address(), function()
    for _, filler in ipairs(fillers) do filler:abort() end
    listener:close()
  end
end

-- For wrk: creates as cdrelay sends them, each another call. The argument says which second of the day comes first.

local before, after, count, second

local function begin()
  local text = string.format("2026-02-%02dT%02d%%3A%02d%%3A%02dZ",
    1 + math.floor(second / 86400) % 28, math.floor(second / 3600) % 24, math.floor(second / 60) % 60, second % 60)
  before = "GET /direct/items/phonecalls/create?token=sandbox&initiated=" .. text .. "&source="
end

function init(args)
  count, second = 0, tonumber(args[1]) or 0
  after = "&duration=120&url=https%3A%2F%2Fpbx.example.com%2Frec%2F2026%2F02%2F01%2F"
    .. "out-902125550000-200-20260201-120000-1769961600.100000.wav HTTP/1.1\r\nHost: "
    .. wrk.host .. ":" .. wrk.port .. "\r\n\r\n"
  begin()
end

-- 80 extensions and 9,000 numbers give 18,000 pairs before one comes again; then the next second begins.
function request()
  if count == 18000 then
    count, second = 0, second + 1
    begin()
  end
  local one = before .. (200 + count % 80) .. "&destination=0" .. (2125550000 + count % 9000) .. after
  count = count + 1
  return one
end

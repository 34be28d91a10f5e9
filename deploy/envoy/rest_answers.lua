-- Makes a transcoded answer look like plain HTTP: 201 for what was created, the content type of a
-- stream, and no header that only gRPC or a service's insides know. Runs after the transcoder, on
-- routes that name it; what it shall do there stands in the route's filter context.

local KEPT = {
  [":status"] = true,
  ["allow"] = true,
  ["cache-control"] = true,
  ["connection"] = true,
  ["content-disposition"] = true,
  ["content-encoding"] = true,
  ["content-length"] = true,
  ["content-type"] = true,
  ["date"] = true,
  ["etag"] = true,
  ["retry-after"] = true,
  ["server"] = true,
  ["transfer-encoding"] = true,
  ["vary"] = true,
  ["www-authenticate"] = true,
  ["x-captured-at"] = true,
  ["x-next-page-token"] = true,
  ["x-request-id"] = true,
}

function envoy_on_response(handle)
  local context = handle:filterContext()
  local headers = handle:headers()
  local unwanted = {}
  for name, _ in pairs(headers) do
    if not KEPT[name] then
      unwanted[#unwanted + 1] = name
    end
  end
  for _, name in ipairs(unwanted) do
    headers:remove(name)
  end
  if headers:get(":status") == "200" then
    if context:get("created") then
      headers:replace(":status", "201")
    end
    if context:get("content_type") ~= nil then
      headers:replace("content-type", context:get("content_type"))
    end
  end
  if headers:get("cache-control") == nil then
    headers:add("cache-control", "no-store")
  end
  -- What is served is data, pictures that came from outside among it: no page may be made of it.
  headers:replace("x-content-type-options", "nosniff")
  headers:replace("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
end

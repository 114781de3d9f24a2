-- Fields and expert infos ------------------------------------------------------------------------

local ep = Proto("ep", "Energy Protocol")

local experts = {}
for code, row in pairs(CODES) do
    local severity = row.severity == "error" and expert.severity.ERROR or expert.severity.WARN
    local group = row.severity == "error" and expert.group.MALFORMED or expert.group.PROTOCOL
    experts[code] = ProtoExpert.new("ep.diagnostic." .. code, row.text, group, severity)
end
ep.experts = experts

local fields = {
    frame = ProtoField.none("ep.frame", "Frame"),
    headers = ProtoField.bytes("ep.headers", "Headers"),
    type = ProtoField.uint32("ep.type", "Message type", base.HEX, TYPES),
    payload = ProtoField.bytes("ep.payload", "Payload"),
    unknown = ProtoField.bytes("ep.unknown", "Field that is not known"),
    skipped = ProtoField.bytes("ep.skipped", "Bytes that are no frame"),
}

local PROTO_FIELDS = {
    quantity = ProtoField.double,
    percentage = ProtoField.double,
    text = ProtoField.string,
    names = ProtoField.string,
    currency = ProtoField.string,
    timestamp = ProtoField.string,
    flag = ProtoField.bool,
    binary = ProtoField.bytes,
    other = ProtoField.bytes,
}

-- Make the field of that name in filters, and those of what is in it.
local function declare(path, label, kind)
    local make = kind and PROTO_FIELDS[kind.form] or not kind and ProtoField.string
    fields[path] = (make or ProtoField.none)(path, label)
    for _, part in ipairs(kind and kind.parts or {}) do
        if kind.sources then
            for source, title in pairs(SOURCES) do
                declare(path .. "." .. SOURCE_FILTERS[source], title, part.kind)
            end
            declare(path .. ".other", "Another source", part.kind)
        else
            declare(path .. "." .. part.name, part.name, part.kind)
        end
    end
end

for _, message in pairs(MESSAGES) do
    local path = "ep." .. message.label
    fields[path] = ProtoField.none(path, message.name)
    for _, row in pairs(message.fields) do
        declare(path .. "." .. row.name, row.description, row.kind)
    end
end
ep.fields = fields

-- Values -----------------------------------------------------------------------------------------
--
-- A place is where something goes in the packet's tree: {tree = , range = , path = }, where range
-- makes the bytes of an item out of it.  A value that is invalid raises a fault, as the field is
-- then invalid; lesser deviations are noted where they are.

local function note(node, code, text)
    node:add_proto_expert_info(experts[code], code .. ": " .. text)
end

local function mismatch(code, item, expected)
    if item.major == TAG then
        local text = string.format("tag %.0f where %s belongs", item.tag, expected)
        fault("value.tag", item.start, text)
    elseif item.bad then
        fault("value.text", item.start, "a text that is not valid UTF-8")
    end
    fault(code, item.start, expected .. " belongs here")
end

local function put(place, item, value, kind)
    local node = place.tree:add(fields[place.path], place.range(item), value)
    if kind and kind.unit ~= "" then
        node:append_text(" " .. kind.unit)
    end
    return node
end

local function inside(place, node, name)
    return { tree = node, range = place.range, path = place.path .. "." .. name }
end

local takes = {}

-- A value map, from the id of that kind to its data.
local function read(place, kind, item)
    if item.major ~= MAP or #item.parts == 0 then
        mismatch("value.shape", item, "a map with a " .. kind.name)
    end
    local data
    for _, part in ipairs(item.parts) do
        if isInteger(part.key) and part.key.value == kind.id then
            data = part.item
        end
    end
    if not data then
        local form = "another value type where 0x%02x (%s) belongs"
        local text = string.format(form, kind.id, kind.name)
        fault("value.type", item.start, text)
    elseif #item.parts > 1 then
        note(place.tree, "value.extra", #item.parts .. " entries in a value map")
    end
    return takes[kind.form](place, kind, data)
end

function takes.quantity(place, kind, data)
    if not isInteger(data) and not data.float then
        mismatch("value.data", data, "a number")
    elseif data.value ~= data.value or math.abs(data.value) == math.huge then
        fault("value.not-finite", data.start, "the number is " .. data.value)
    end
    return data.value, put(place, data, data.value, kind)
end

function takes.percentage(place, kind, data)
    local value, node = takes.quantity(place, kind, data)
    if value < 0 or value > 100 then
        note(node, "percentage.range", value .. " %")
    end
    return value, node
end

function takes.text(place, kind, data)
    if data.major ~= TEXT or data.bad then
        mismatch("value.data", data, "a text")
    end
    local length = characters(data.value)
    if kind.maxLength and length > kind.maxLength then
        local text = string.format("%d characters, the most is %d", length, kind.maxLength)
        fault("field.length", data.start, text)
    end
    put(place, data, data.value, kind)
    return data.value
end

function takes.names(place, kind, data)
    if data.major ~= ARRAY then
        mismatch("value.shape", data, "an array of texts")
    elseif #data.parts > kind.most then
        local text = string.format("%d identities, the most is %d", #data.parts, kind.most)
        fault("field.length", data.start, text)
    end
    for _, name in ipairs(data.parts) do
        takes.text(place, kind, name)
    end
end

function takes.currency(place, kind, data)
    if data.major == TEXT and not data.bad and not data.value:find("^[A-Z][A-Z][A-Z]$") then
        fault("currency.form", data.start, "not three capital letters")
    end
    return takes.text(place, kind, data)
end

function takes.flag(place, kind, data)
    if data.simple ~= "true" and data.simple ~= "false" then
        mismatch("value.data", data, "true or false")
    end
    put(place, data, data.simple == "true", kind)
end

function takes.binary(place, kind, data)
    if data.major ~= BINARY then
        mismatch("value.data", data, "a byte string")
    end
    place.tree:add(fields[place.path], place.range(data))
end

function takes.other(place, kind, data)
    place.tree:add(fields[place.path], place.range(data))
end

local function daysIn(year, month)
    if month == 2 then
        return (year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)) and 29 or 28
    end
    return (month == 4 or month == 6 or month == 9 or month == 11) and 30 or 31
end

-- The codes of what deviates from RFC 3339 in a timestamp; nothing if it is none.
local function timestampCodes(text)
    local date, rest = text:match("^(%d%d%d%d%-%d%d%-%d%d)(.*)$")
    if not date then
        return nil
    end
    local year, month, day = date:match("(%d+)-(%d+)-(%d+)")
    year, month, day = tonumber(year), tonumber(month), tonumber(day)
    if year < 1 or month < 1 or month > 12 or day < 1 or day > daysIn(year, month) then
        return nil
    elseif rest == "" then
        return { "timestamp.form", "timestamp.zone" }
    end
    local separator, hour, minute, zone = rest:match("^([Tt ])(%d%d):(%d%d)(.*)$")
    if not separator then
        return nil
    end
    local second, fraction, codes = nil, "", {}
    if zone:find("^:%d%d") then
        second, zone = zone:match("^:(%d%d)(.*)$")
        if zone:find("^%.%d") then
            fraction, zone = zone:match("^%.(%d+)(.*)$")
        end
    end
    local sign, zoneHour, zoneMinute = zone:match("^([+-])(%d%d):(%d%d)$")
    if zone ~= "" and zone ~= "Z" and zone ~= "z" and not sign
        or sign and (tonumber(zoneHour) > 23 or tonumber(zoneMinute) > 59)
        or tonumber(hour) > 23 or tonumber(minute) > 59 or tonumber(second or 0) > 60 then
        return nil
    end
    if separator == " " or not second then
        codes[#codes + 1] = "timestamp.form"
    end
    if zone == "" then
        codes[#codes + 1] = "timestamp.zone"
    end
    if second == "60" or fraction:sub(7):find("[1-9]") then
        codes[#codes + 1] = "timestamp.precision"
    end
    return codes
end

function takes.timestamp(place, kind, data)
    if data.major == TAG and data.tag == 0 then
        data = data.inner
    end
    if data.major ~= TEXT or data.bad then
        mismatch("value.data", data, "a timestamp as text")
    end
    local codes = timestampCodes(data.value)
    if not codes then
        fault("timestamp.invalid", data.start, "no timestamp")
    end
    local node = put(place, data, data.value, kind)
    for _, code in ipairs(codes) do
        note(node, code, data.value)
    end
end

-- A node for an item with others in it.
local function group(place, item)
    return place.tree:add(fields[place.path], place.range(item))
end

function takes.bounds(place, kind, data)
    if data.major ~= ARRAY or #data.parts ~= 2 then
        mismatch("value.shape", data, "an array of a minimum and a maximum")
    end
    local node, values = group(place, data), {}
    for i, part in ipairs(kind.parts) do
        values[i] = read(inside(place, node, part.name), part.kind, data.parts[i])
    end
    node:append_text(string.format(": %.15g to %.15g %s", values[1], values[2], kind.unit))
    if values[1] > values[2] then
        fault("bounds.order", data.start, "the minimum is above the maximum")
    end
end

function takes.prices(place, kind, data)
    if data.major ~= ARRAY then
        mismatch("value.shape", data, "an array of prices")
    end
    for _, price in ipairs(data.parts) do
        if price.major ~= ARRAY or #price.parts < 3 then
            mismatch("value.shape", price, "an array of timestamp, amount and currency")
        end
        local node = group(place, price)
        if #price.parts > 3 then
            note(node, "value.extra", #price.parts .. " entries in a price")
        end
        for i, part in ipairs(kind.parts) do
            read(inside(place, node, part.name), part.kind, price.parts[i])
        end
    end
end

local function readSources(place, node, kind, map, totals)
    for _, part in ipairs(map.parts) do
        if part.key.major ~= UNSIGNED then
            fault("value.data", part.key.start, "an unsigned integer as source belongs here")
        end
        local source = part.key.value
        local name = SOURCE_FILTERS[source] or "other"
        local value, leaf = read(inside(place, node, name), kind.parts[1].kind, part.item)
        if name == "other" then
            leaf:append_text(string.format(" (source %.0f)", source))
        end
        totals[source] = (totals[source] or 0) + value
        if math.abs(totals[source]) == math.huge then
            fault("value.not-finite", map.start, "entries add up to more than a number can say")
        end
    end
end

function takes.mix(place, kind, data)
    local node, totals = group(place, data), {}
    if data.major == MAP then
        note(node, "mix.form", "one map instead of an array of maps")
        readSources(place, node, kind, data, totals)
        return totals, node
    elseif data.major ~= ARRAY then
        mismatch("value.shape", data, "an array of maps {source: value}")
    end
    for _, map in ipairs(data.parts) do
        if map.major ~= MAP then
            mismatch("value.shape", map, "a map {source: value}")
        elseif #map.parts ~= 1 then
            note(node, "mix.form", "a map with " .. #map.parts .. " entries")
        end
        readSources(place, node, kind, map, totals)
    end
    return totals, node
end

function takes.shares(place, kind, data)
    local totals, node = takes.mix(place, kind, data)
    local sum = 0
    for _, value in pairs(totals) do
        sum = sum + value
    end
    if sum < 99.5 or sum > 100.5 then
        note(node, "mix.sum", "the shares add up to " .. sum .. " %")
    end
end

function takes.isolation(place, kind, data)
    if data.major ~= ARRAY or #data.parts == 0 then
        mismatch("value.shape", data, "an array of state and resistances")
    end
    local node, state = group(place, data), data.parts[1]
    if #data.parts > 3 then
        note(node, "value.extra", #data.parts .. " entries in an isolation")
    end
    if state.major ~= UNSIGNED then
        mismatch("value.data", state, "an isolation state")
    end
    local title = kind.parts[1].titles[state.value]
    if not title then
        title = string.format("%.0f", state.value)
        note(node, "isolation.state", "state " .. title .. " is not in the table")
    end
    put(inside(place, node, kind.parts[1].name), state, title)
    for i = 2, 3 do
        local item, part = data.parts[i], kind.parts[i]
        if item and item.simple ~= "null" then
            read(inside(place, node, part.name), part.kind, item)
        end
    end
end


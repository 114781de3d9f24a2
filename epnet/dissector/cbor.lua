local UNSIGNED, NEGATIVE, BINARY, TEXT, ARRAY, MAP, TAG, OTHER = 0, 1, 2, 3, 4, 5, 6, 7
local INDEFINITE = 31
local BREAK = 0xff

-- CBOR -------------------------------------------------------------------------------------------
--
-- An item is a table: where it starts and stops in the data, its major type, and by that
--   value     of integers, floats, texts and byte strings; of flags and null as kind "simple"
--   parts     of arrays, a list of items; of maps, a list of {key = item, item = item}
-- Offsets count from 0.  What is no CBOR raises a fault: {code = , at = , text = }.

local function fault(code, at, text)
    error({ code = code, at = at, text = text }, 0)
end

local function number(data, at, count)
    local value = 0.0
    for i = 1, count do
        value = value * 256 + data:byte(at + i)
    end
    return value
end

-- The head of the item there: major type, additional information, argument, where it ends.
-- Nothing if the data ends in it.
local function readHead(data, at)
    local first = data:byte(at + 1)
    if not first then
        return nil
    end
    local major, info = math.floor(first / 32), first % 32
    if info < 24 or info == INDEFINITE then
        return major, info, info, at + 1
    end
    if info > 27 then
        fault("payload.cbor", at, string.format("byte 0x%02x starts no CBOR item", first))
    end
    local size = 2 ^ (info - 24)
    if at + 1 + size > #data then
        return nil
    end
    return major, info, number(data, at + 1, size), at + 1 + size
end

-- A float of IEEE 754 with so many bytes, of which so many bits are the exponent.  The mantissa is
-- put together without its neighbours: all bits at once are more than a Lua number can hold.
local function float(data, at, size, exponentBits)
    local head = number(data, at, 2)
    local sign = head >= 2 ^ 15 and -1 or 1
    local headBits = 15 - exponentBits
    local mantissaBits = headBits + 8 * (size - 2)
    local exponent = math.floor(head % 2 ^ 15 / 2 ^ headBits)
    local mantissa = head % 2 ^ headBits * 2 ^ (8 * (size - 2)) + number(data, at + 2, size - 2)
    local bias = 2 ^ (exponentBits - 1) - 1
    if exponent == 2 ^ exponentBits - 1 then
        return mantissa == 0 and sign * math.huge or 0 / 0
    elseif exponent == 0 then
        return sign * mantissa * 2 ^ (1 - bias - mantissaBits)
    end
    return sign * (1 + mantissa / 2 ^ mantissaBits) * 2 ^ (exponent - bias)
end

local FLOATS = { [25] = { 2, 5 }, [26] = { 4, 8 }, [27] = { 8, 11 } }
local SIMPLE = { [20] = "false", [21] = "true", [22] = "null" }

-- How many characters a text of valid UTF-8 has; nothing if it is not valid.
local function characters(text)
    local at, count = 1, 0
    while at <= #text do
        local a, b = text:byte(at, at + 1)
        local size
        if a < 0x80 then
            size = 1
        elseif a >= 0xc2 and a <= 0xdf then
            size = 2
        elseif a >= 0xe0 and a <= 0xef then
            size = 3
        elseif a >= 0xf0 and a <= 0xf4 then
            size = 4
        else
            return nil
        end
        -- No form that is too long, no half of a surrogate pair, nothing above U+10FFFF.
        if size > 2 and (not b
            or a == 0xe0 and b < 0xa0 or a == 0xed and b > 0x9f
            or a == 0xf0 and b < 0x90 or a == 0xf4 and b > 0x8f) then
            return nil
        end
        for i = at + 1, at + size - 1 do
            local next = text:byte(i)
            if not next or next < 0x80 or next > 0xbf then
                return nil
            end
        end
        at, count = at + size, count + 1
    end
    return count
end

-- What two map keys have in common if they are the same, however they are written.
local function identity(data, item)
    if item.major == UNSIGNED or item.major == NEGATIVE then
        local _, info, _, stop = readHead(data, item.start)
        local bytes = info < 24 and string.char(info) or data:sub(item.start + 2, stop)
        return item.major .. bytes:gsub("^\0+", "")
    elseif item.major == TEXT and not item.bad or item.major == BINARY then
        return item.major .. item.value
    elseif item.float and item.value == item.value then
        return "f" .. string.format("%.17g", item.value)
    end
    return "raw" .. data:sub(item.start + 1, item.stop)
end

local readItem

local function readParts(data, item, at, count, walk)
    item.parts = {}
    while count ~= 0 do
        if count < 0 and data:byte(at + 1) == BREAK then
            at = at + 1
            break
        end
        local part = readItem(data, at, walk)
        if item.major == MAP then
            part = { key = part, item = readItem(data, part.stop, walk) }
            at = part.item.stop
        else
            at = part.stop
        end
        item.parts[#item.parts + 1] = part
        count = count - 1
    end
    return at
end

local function noteDuplicate(data, item, walk)
    local seen = {}
    for _, part in ipairs(item.parts) do
        local key = identity(data, part.key)
        if seen[key] and not walk.duplicate then
            walk.duplicate = part.key.start
        end
        seen[key] = true
    end
end

-- A byte string or text in pieces.
local function readPieces(data, item, at, walk)
    local pieces = {}
    while data:byte(at + 1) ~= BREAK do
        local major, info = readHead(data, at)
        if major and (major ~= item.major or info == INDEFINITE) then
            fault("payload.cbor", at, "something else in a string of several pieces")
        end
        local piece = readItem(data, at, walk)
        item.bad = item.bad or piece.bad
        pieces[#pieces + 1] = piece.value
        at = piece.stop
    end
    item.value = table.concat(pieces)
    return at + 1
end

local function readContainer(data, item, at, count, walk)
    walk.depth = walk.depth + 1
    if walk.depth > LIMITS.depth then
        fault("payload.depth", item.start, "nested more than " .. LIMITS.depth .. " deep")
    end
    if item.major == BINARY or item.major == TEXT then
        at = readPieces(data, item, at, walk)
    elseif item.major == TAG then
        item.tag = count
        item.inner = readItem(data, at, walk)
        at = item.inner.stop
    else
        at = readParts(data, item, at, count, walk)
        if item.major == MAP then
            noteDuplicate(data, item, walk)
        end
    end
    walk.depth = walk.depth - 1
    return at
end

local function readString(data, item, at, length)
    if at + length > #data then
        fault("payload.truncated", #data, "ends inside an item")
    end
    item.value = data:sub(at + 1, at + length)
    item.bad = item.major == TEXT and not characters(item.value)
    return at + length
end

local function readOther(data, item, info, argument, stop)
    local form = FLOATS[info]
    if form then
        item.float = true
        item.value = float(data, item.start + 1, form[1], form[2])
    elseif info == INDEFINITE then
        fault("payload.cbor", item.start, "a break where nothing can end")
    elseif info == 24 and argument < 32 then
        fault("payload.cbor", item.start, "a simple value in two bytes instead of one")
    else
        item.simple = SIMPLE[argument] or string.format("simple(%.0f)", argument)
    end
    return stop
end

-- The item there.  walk: {depth = 0}; gets `indefinite` and `duplicate`, where the first are.
function readItem(data, at, walk)
    local major, info, argument, stop = readHead(data, at)
    if not major then
        fault("payload.truncated", #data, "ends inside an item")
    end
    local item = { start = at, major = major }
    if info == INDEFINITE and major ~= OTHER then
        if major < BINARY or major == TAG then
            fault("payload.cbor", at, "an integer or tag without a value")
        end
        walk.indefinite = walk.indefinite or at
        item.stop = readContainer(data, item, stop, -1, walk)
    elseif major == UNSIGNED or major == NEGATIVE then
        item.value = major == UNSIGNED and argument or -1 - argument
        item.stop = stop
    elseif major == BINARY or major == TEXT then
        item.stop = readString(data, item, stop, argument)
    elseif major == OTHER then
        item.stop = readOther(data, item, info, argument, stop)
    else
        item.stop = readContainer(data, item, stop, argument, walk)
    end
    return item
end

local function isInteger(item)
    return item.major == UNSIGNED or item.major == NEGATIVE
end

-- Data that is exactly one item, and where its first indefinite length is.
local function parse(data)
    local walk = { depth = 0 }
    local item = readItem(data, 0, walk)
    if item.stop < #data then
        local text = string.format("%d bytes after the item", #data - item.stop)
        fault("payload.trailing", item.stop, text)
    elseif walk.duplicate then
        fault("payload.duplicate", walk.duplicate, "a key for the second time in a map")
    end
    return item, walk.indefinite
end


-- Messages ---------------------------------------------------------------------------------------

local function noteTags(tree, item)
    if item.major == TAG then
        note(tree, "value.tag", "a tag in an unknown field")
        noteTags(tree, item.inner)
    end
    for _, part in ipairs(item.parts or {}) do
        noteTags(tree, part.item or part)
    end
end

-- Read a known field; return whether it is valid.
local function dissectField(place, row, item)
    local ok, problem = pcall(read, inside(place, place.tree, row.name), row.kind, item)
    if not ok then
        if type(problem) ~= "table" then
            error(problem, 0)
        end
        note(place.tree, problem.code, row.name .. ": " .. problem.text)
    end
    return ok
end

local function dissectUnknown(place, part)
    local range = place.range({ start = part.key.start, stop = part.item.stop })
    local node = place.tree:add(fields.unknown, range)
    if not isInteger(part.key) then
        note(node, "field.id", "the field id is no integer")
    end
    noteTags(node, part.item)
end

local function dissectFields(place, message, item)
    local valid = {}
    for _, part in ipairs(item.parts) do
        local row = isInteger(part.key) and message.fields[part.key.value]
        if row then
            valid[row.name] = dissectField(place, row, part.item)
        else
            dissectUnknown(place, part)
        end
    end
    for _, row in pairs(message.fields) do
        if row.required and not valid[row.name] then
            note(place.tree, "field.required", "without " .. row.name)
        end
    end
end

local function dissectPayload(tree, tvb, frame, message)
    local data = frame.payload or ""
    if data == "" or data == "\xf6" then
        data = "\xa0"
    end
    local path = "ep." .. message.label
    local ok, item, indefinite = pcall(parse, data)
    if ok and item.major ~= MAP then
        ok, item = false, { code = "payload.map", text = "the payload is no map" }
    end
    if not ok then
        note(tree, frame.hasHeaders and "payload.not-understood" or item.code, item.text)
        return
    end
    local at, last = frame.contentAt, frame.stop
    local function range(part)
        return tvb:range(at + part.start, part.stop - part.start)
    end
    if at == last or frame.payload == "\xf6" then
        range = function() return tvb:range(at, last - at) end
    end
    local node = tree:add(fields[path], tvb:range(at, last - at))
    if indefinite then
        note(node, "payload.indefinite", "an item of indefinite length")
    end
    dissectFields({ tree = node, range = range, path = path }, message, item)
end

-- Frames -----------------------------------------------------------------------------------------

local MAGIC = "\x9a\x00\x00\x00\x03"
local DRAFT = "\x9a\x00\x00\x00\x04"

-- Raise that the frame goes on after the data: with so many bytes, if that is known.
local function more(missing)
    error({ more = true, missing = missing }, 0)
end

-- Note a deviation of the frame, before there is anything in the tree.
local function deviate(frame, code, text)
    frame.deviations[#frame.deviations + 1] = { code = code, text = text }
end

-- A head in a frame, not in a payload.
local function frameHead(data, at, code)
    local ok, major, info, argument, stop = pcall(readHead, data, at)
    if not ok then
        fault(code, at, major.text)
    elseif not major then
        more()
    end
    return major, info, argument, stop
end

local function readStart(data, at, frame)
    local found = data:sub(at + 1, at + #MAGIC)
    if found:sub(1, 1) == "\x83" then
        deviate(frame, "frame.start-short", "starts with 83 instead of 9A 00 00 00 03")
        return at + 1
    elseif found == MAGIC then
        return at + #MAGIC
    elseif found == DRAFT then
        fault("frame.draft", at, "a frame of the draft of April 2025 (9A 00 00 00 04)")
    elseif MAGIC:sub(1, #found) == found or DRAFT:sub(1, #found) == found then
        more()
    end
    fault("frame.start", at, "9A 00 00 00 03 belongs here")
end

local function readHeaders(data, at, frame)
    local major, info, count, stop = frameHead(data, at, "frame.headers")
    if data:byte(at + 1) == 0xf6 then
        return stop
    elseif major ~= MAP then
        fault("frame.headers", at, "null or a map of headers belongs here")
    end
    local walk = { depth = 0 }
    local ok, item = pcall(readItem, data:sub(at + 1, at + LIMITS.headers), 0, walk)
    if not ok and item.code == "payload.truncated" then
        if #data - at >= LIMITS.headers then
            fault("frame.headers-size", at, "larger than " .. LIMITS.headers .. " bytes")
        end
        more()
    elseif not ok then
        fault("frame.headers", at, "in the headers: " .. tostring(item.text))
    elseif walk.duplicate then
        fault("frame.headers", at, "a header for the second time")
    end
    for _, part in ipairs(item.parts) do
        if part.key.major ~= UNSIGNED then
            fault("frame.headers", at, "a header key that is no unsigned integer")
        elseif part.key.value <= LIMITS.reservedHeader then
            local text = string.format("header key 0x%02x is reserved", part.key.value)
            deviate(frame, "frame.headers-reserved", text)
        end
    end
    frame.hasHeaders = #item.parts > 0
    if #item.parts == 0 then
        deviate(frame, "frame.headers-empty", "an empty header map instead of null")
    end
    if info == INDEFINITE then
        deviate(frame, "frame.headers-indefinite", "no definite length")
    end
    return at + item.stop
end

local function readType(data, at, frame)
    local major, info, typeId, stop = frameHead(data, at, "frame.type")
    if major ~= UNSIGNED or info > 26 then
        fault("frame.type", at, "a message type of 32 bits belongs here")
    end
    frame.typeId = typeId
    if info < 26 then
        deviate(frame, "frame.type-short", "shorter than 5 bytes")
    end
    if typeId <= LIMITS.reservedType then
        local text = string.format("message type 0x%08x is reserved", typeId)
        deviate(frame, "frame.type-reserved", text)
    end
    return stop
end

local function readPayload(data, at, frame)
    local first = data:byte(at + 1)
    local major, info, argument, stop = frameHead(data, at, "frame.payload")
    local tagged = first == 0xc2
    if tagged then
        at = stop
        major, info, argument, stop = frameHead(data, at, "frame.payload")
    end
    frame.contentAt, frame.stop = stop, stop
    if major == BINARY and info ~= INDEFINITE then
        if argument > LIMITS.payload then
            local form = "a payload of %.0f bytes, the most is %d"
            fault("frame.size", at, string.format(form, argument, LIMITS.payload))
        end
        frame.stop = stop + argument
        if frame.stop > #data then
            more(frame.stop - #data)
        end
        frame.payload = data:sub(stop + 1, frame.stop)
    elseif first ~= 0xf6 or tagged then
        fault("frame.payload", at, "null or a byte string of definite length belongs here")
    end
    if tagged then
        deviate(frame, "frame.payload-tag", "tag 2 before the payload")
    end
end

-- The frame there.  Raises a fault if there is none, and `more` if it is not there to its end.
local function readFrame(data, at)
    local frame = { start = at, deviations = {} }
    frame.headersAt = readStart(data, at, frame)
    frame.typeAt = readHeaders(data, frame.headersAt, frame)
    frame.payloadAt = readType(data, frame.typeAt, frame)
    readPayload(data, frame.payloadAt, frame)
    return frame
end

local function dissectFrame(tree, tvb, frame)
    local node = tree:add(fields.frame, tvb:range(frame.start, frame.stop - frame.start))
    local message = MESSAGES[frame.typeId]
    node:append_text(": " .. (message and message.name or "a message that is not known"))
    if frame.hasHeaders then
        node:add(fields.headers, tvb:range(frame.headersAt, frame.typeAt - frame.headersAt))
    end
    node:add(fields.type, tvb:range(frame.typeAt, frame.payloadAt - frame.typeAt), frame.typeId)
    for _, each in ipairs(frame.deviations) do
        note(node, each.code, each.text)
    end
    if message then
        dissectPayload(node, tvb, frame, message)
    end
    if frame.payload and frame.payload ~= "" then
        node:add(fields.payload, tvb:range(frame.contentAt, frame.stop - frame.contentAt))
    end
    return message and message.name or string.format("0x%08x", frame.typeId)
end

-- Where the next frame may start: at its first bytes, or at what the data ends with of them.
local function nextStart(data, at)
    local found = data:find(MAGIC, at + 1, true)
    if found then
        return found - 1
    end
    for size = #MAGIC - 1, 1, -1 do
        if #data - size >= at and data:sub(-size) == MAGIC:sub(1, size) then
            return #data - size
        end
    end
    return #data
end

-- TLS records have the content types 0x14 to 0x18 and the major version 3; no frame starts so.
local function isTls(data)
    local kind, version = data:byte(1, 2)
    return version == 3 and kind >= 0x14 and kind <= 0x18
end

local inTls = false

function ep.dissector(tvb, pinfo, tree)
    local data = tvb:raw()
    if not inTls and isTls(data) then
        inTls = true
        local ok, result = pcall(function()
            return Dissector.get("tls"):call(tvb, pinfo, tree)
        end)
        inTls = false
        if not ok then
            error(result, 0)
        end
        return result
    end
    pinfo.cols.protocol = "EP"
    local top, at, names = tree:add(ep, tvb:range()), 0, {}
    while at < #data do
        local ok, frame = pcall(readFrame, data, at)
        if ok then
            names[#names + 1] = dissectFrame(top, tvb, frame)
            at = frame.stop
        elseif frame.more and pinfo.can_desegment > 0 then
            pinfo.desegment_offset = at
            pinfo.desegment_len = frame.missing or DESEGMENT_ONE_MORE_SEGMENT
            break
        elseif frame.more then
            local node = top:add(fields.skipped, tvb:range(at))
            note(node, "frame.truncated", "the frame goes on in bytes that were not captured")
            break
        elseif frame.code then
            local stop = nextStart(data, at + 1)
            local node = top:add(fields.skipped, tvb:range(at, stop - at))
            note(node, frame.code, frame.text)
            names[#names + 1] = "[bytes that are no frame]"
            at = stop
        else
            error(frame, 0)
        end
    end
    if #names > 0 then
        -- Several calls for one packet add to each other: hence the space at the end.
        pinfo.cols.info = table.concat(names, " ") .. " "
    end
    return tvb:len()
end

DissectorTable.get("tcp.port"):add(LIMITS.port, ep)
DissectorTable.get("tls.port"):add(LIMITS.port, ep)

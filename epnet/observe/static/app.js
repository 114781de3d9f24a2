// The live page: asks the router for its state each second and shows it.
//
// Texts come from devices and are not to be trusted: they go into the page as text only.

const POLL_MS = 1000;
const TIMEOUT_MS = 2500;
const STALE_MS = 3000;
const SVG = "http://www.w3.org/2000/svg";

const KINDS = {
  solar: "solar", wind: "wind", battery: "battery", vehicle: "vehicle",
  home: "home", grid: "grid", router: "router",
};
const SIDES = {
  A: "load side", B: "utility grid side", C: "router side", D: "local source side",
};

const at = (id) => document.getElementById(id);

// --- Words and numbers ---------------------------------------------------------------------------

function watts(power) {
  if (power === null || power === undefined) return "–";
  const size = Math.abs(power);
  if (size < 999.5) return `${Math.round(power)} W`;
  if (size < 999500) return `${(power / 1000).toFixed(2)} kW`;
  return `${(power / 1e6).toFixed(2)} MW`;
}

function span(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86400)} days`;
}

const sum = (devices, field) => devices.reduce((total, each) => total + (each[field] ?? 0), 0);

// What a device last said about itself; a port keeps its name on the page while it is away.
const said = new Map();

function remember(devices) {
  const present = new Set(devices.map((device) => device.identity));
  for (const identity of said.keys()) if (!present.has(identity)) said.delete(identity);
  for (const { identity, name, type } of devices) {
    if (name !== null || type !== null) said.set(identity, { name, type });
  }
}

const typeOf = (device) => device.type ?? said.get(device.identity)?.type ?? null;
const nameOf = (device) => device.name ?? said.get(device.identity)?.name ?? device.identity;

function kindOf(device) {
  if (device.side === "B") return "grid";
  if (device.side === "C") return "router";
  return KINDS[typeOf(device)] ?? "other";
}

// The least of what a message says of power and of current times voltage, in W; null for neither.
function powerOf(message, current, voltage) {
  const limits = [];
  if (Number.isFinite(message.power_limit)) limits.push(message.power_limit);
  if (Number.isFinite(current) && Number.isFinite(voltage)) limits.push(current * voltage);
  return limits.length ? Math.max(0, Math.min(...limits)) : null;
}

function offered(device) {
  const supply = device.supply;
  if (!supply) return null;
  return powerOf(supply, supply.current_limit?.max, supply.voltage ?? supply.voltage_limit?.min);
}

function wanted(device) {
  const demand = device.demand;
  if (!demand) return null;
  return powerOf(demand, demand.current_limit, demand.voltage);
}

function measured(device) {
  const sign = device.estimated ? "≈ " : "";
  if (device.import_w > 0) return `${sign}${watts(device.import_w)} in`;
  if (device.export_w > 0) return `${sign}${watts(device.export_w)} out`;
  return device.import_w === null && device.export_w === null ? "–" : `${sign}0 W`;
}

function granted(device) {
  if (device.granted_import_w > 0) return `${watts(device.granted_import_w)} in`;
  if (device.granted_export_w > 0) return `${watts(device.granted_export_w)} out`;
  return device.session.connected ? "0 W" : "–";
}

// --- Small helpers for the document --------------------------------------------------------------

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function svg(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function icon(kind) {
  const picture = svg("svg", { class: "icon", "aria-hidden": "true" });
  picture.append(svg("use", { href: `#icon-${kind}` }));
  return picture;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Things of the page by key: made once, updated while the key is there, removed when it is gone.
class Kept {
  constructor(make) {
    this.make = make;
    this.things = new Map();
  }

  show(keys) {
    const shown = new Set(keys);
    for (const [key, thing] of this.things) {
      if (!shown.has(key)) {
        thing.root.remove();
        this.things.delete(key);
      }
    }
    return keys.map((key) => {
      if (!this.things.has(key)) this.things.set(key, this.make(key));
      return this.things.get(key);
    });
  }
}

// --- The head and the totals ---------------------------------------------------------------------

function showHead(state) {
  const router = state.router;
  setText(at("router-name"), router.name || "Energy router");
  setText(at("router-facts"), `${router.identity} · up ${span(router.uptime_s)}`);
  document.title = `${router.name || router.identity}: ${watts(state.totals.bus_w)}`;
  const deviations = Object.values(state.diagnostics).reduce((total, count) => total + count, 0);
  const open = state.sessions.open ?? 0;
  setText(at("counters"), `${open} open ${open === 1 ? "session" : "sessions"}; `
    + `${watts(state.totals.losses_w)} lost in conversion; `
    + `${deviations} ${deviations === 1 ? "deviation" : "deviations"} from the specs seen.`);
}

function showTotals(devices) {
  const groups = { local: [], grid: [], storage: [], load: [] };
  for (const device of devices) {
    const kind = kindOf(device);
    if (kind === "grid") groups.grid.push(device);
    else if (kind === "battery") groups.storage.push(device);
    else groups[sum([device], "import_w") > 0 || (device.supply && !device.demand) ? "local" : "load"].push(device);
  }
  const count = (list) => `${list.length} ${list.length === 1 ? "device" : "devices"}`;
  setText(at("total-local"), watts(sum(groups.local, "import_w")));
  setText(at("total-local-note"), count(groups.local));
  setText(at("total-load"), watts(sum(groups.load, "export_w")));
  setText(at("total-load-note"), count(groups.load));
  showNet("grid", groups.grid, "drawn from the grid", "fed into the grid", "nothing drawn or fed in");
  showNet("storage", groups.storage, "discharging", "charging", "at rest");
}

function showNet(name, devices, inWords, outWords, restWords) {
  const net = sum(devices, "import_w") - sum(devices, "export_w");
  setText(at(`total-${name}`), watts(Math.abs(net)));
  const words = Math.abs(net) < 0.5 ? restWords : net > 0 ? inWords : outWords;
  setText(at(`total-${name}-note`), devices.length ? words : "none connected");
}

// --- The picture ---------------------------------------------------------------------------------
//
// Sources on the left, the bus in the middle, sinks on the right.  A ribbon is as thick as its
// power; at the bus the ribbons of a side stand one on the other.

const ROW = 64;
const BOX = 52;
const LABEL = 20;
const NARROW = 480;
const picture = { nodes: new Kept(makeNode), state: null };

function makeNode() {
  const root = svg("g");
  const parts = { root };
  for (const name of ["ribbon", "motion"]) {
    parts[name] = root.appendChild(svg("path", { class: name }));
  }
  parts.box = root.appendChild(svg("rect", { class: "box", rx: 9, height: BOX }));
  parts.edge = root.appendChild(svg("rect", { class: "edge", rx: 2, width: 4, height: BOX - 16 }));
  parts.icon = root.appendChild(svg("use", { class: "icon" }));
  parts.name = root.appendChild(svg("text"));
  parts.power = root.appendChild(svg("text", { class: "power" }));
  parts.tip = root.appendChild(svg("title"));
  return parts;
}

function flowsOut(device) {
  if (device.import_w > 0 || device.export_w > 0) return device.export_w > (device.import_w ?? 0);
  if (device.supply && !device.demand) return false;
  if (device.demand && !device.supply) return true;
  return device.side !== "B" && kindOf(device) !== "solar" && kindOf(device) !== "wind";
}

function fitted(text, letters) {
  const characters = [...text];
  return characters.length <= letters ? text : `${characters.slice(0, letters - 1).join("")}…`;
}

function showPicture(state) {
  picture.state = state;
  const canvas = at("flows");
  const devices = state.devices;
  at("flows-empty").hidden = devices.length > 0;
  canvas.toggleAttribute("hidden", devices.length === 0);
  const sides = [devices.filter((each) => !flowsOut(each)), devices.filter(flowsOut)];
  const width = Math.max(300, canvas.clientWidth || 700);
  const height = Math.max(2, sides[0].length, sides[1].length) * ROW + LABEL;
  canvas.setAttribute("viewBox", `0 0 ${width} ${height}`);
  canvas.setAttribute("height", height);
  canvas.setAttribute("aria-label", inWords(devices));
  const boxWidth = Math.min(230, Math.round(width * 0.37));
  const scale = scaleOf(devices, height - LABEL, width / 2 - boxWidth);
  const nodes = new Map();
  const all = picture.nodes.show(devices.map((each) => each.identity));
  devices.forEach((each, index) => nodes.set(each.identity, all[index]));
  sides.forEach((side, right) => {
    const total = sum(side, right ? "export_w" : "import_w");
    let place = (height - LABEL - total * scale) / 2;
    const top = (height - LABEL - side.length * ROW) / 2;
    side.forEach((device, row) => {
      const power = (right ? device.export_w : device.import_w) ?? 0;
      const thickness = power * scale;
      const y = top + row * ROW + ROW / 2;
      const layout = { right, width, boxWidth, y, bus: place + thickness / 2, thickness };
      drawNode(nodes.get(device.identity), device, layout);
      place += thickness;
      if (!nodes.get(device.identity).root.parentNode) canvas.append(nodes.get(device.identity).root);
    });
  });
  drawBus(canvas, state, width / 2, (height - LABEL) / 2, scale);
}

// Pixels a watt: all ribbons fit the bus, each one its box, and none is too thick for its bend.
function scaleOf(devices, height, gap) {
  const powers = devices.flatMap((each) => [each.import_w ?? 0, each.export_w ?? 0]);
  const total = Math.max(1, sum(devices, "import_w"), sum(devices, "export_w"));
  return Math.min((0.75 * height) / total, Math.min(BOX - 8, 0.35 * gap) / Math.max(1, ...powers));
}

function drawBus(canvas, state, x, y, scale) {
  if (!picture.bus) {
    picture.bus = svg("rect", { class: "bus", rx: 4, width: 8 });
    picture.busText = svg("text", { class: "note middle" });
  }
  if (canvas.lastChild !== picture.busText) canvas.append(picture.bus, picture.busText);
  const total = Math.max(sum(state.devices, "import_w"), sum(state.devices, "export_w"));
  const long = Math.max(40, total * scale + 16);
  picture.bus.setAttribute("x", x - 4);
  picture.bus.setAttribute("y", y - long / 2);
  picture.bus.setAttribute("height", long);
  picture.busText.setAttribute("x", x);
  picture.busText.setAttribute("y", y + long / 2 + 18);
  setText(picture.busText, `Bus ${watts(state.totals.bus_w)}`);
}

function drawNode(node, device, { right, width, boxWidth, y, bus, thickness }) {
  const x = right ? width - boxWidth : 0;
  const power = right ? device.export_w : device.import_w;
  node.root.setAttribute("class", `kind-${kindOf(device)}${power > 0 ? "" : " idle"}`);
  node.box.setAttribute("x", x);
  node.box.setAttribute("y", y - BOX / 2);
  node.box.setAttribute("width", boxWidth);
  node.edge.setAttribute("x", right ? x : x + boxWidth - 4);
  node.edge.setAttribute("y", y - BOX / 2 + 8);
  node.icon.setAttribute("href", `#icon-${kindOf(device)}`);
  const [pad, size] = width < NARROW ? [7, 18] : [12, 24];
  for (const name of ["width", "height"]) node.icon.setAttribute(name, size);
  node.icon.setAttribute("x", x + pad);
  node.icon.setAttribute("y", y - size / 2);
  const indent = pad + size + (width < NARROW ? 5 : 8);
  for (const [part, dy] of [[node.name, -5], [node.power, 15]]) {
    part.setAttribute("x", x + indent);
    part.setAttribute("y", y + dy);
  }
  const letter = width < NARROW ? 6.7 : 7.4;
  setText(node.name, fitted(nameOf(device), Math.floor((boxWidth - indent - 8) / letter)));
  setText(node.power, device.session.connected ? watts(power) : "away");
  setText(node.tip, `${nameOf(device)} (${device.identity}): ${device.why}`);
  const from = right ? [width / 2 + 4, bus] : [boxWidth, y];
  const to = right ? [x, y] : [width / 2 - 4, bus];
  const middle = (from[0] + to[0]) / 2;
  const path = `M${from[0]} ${from[1]}C${middle} ${from[1]} ${middle} ${to[1]} ${to[0]} ${to[1]}`;
  node.ribbon.setAttribute("d", path);
  node.ribbon.setAttribute("stroke-width", power > 0 ? Math.max(1.5, thickness).toFixed(2) : 0);
  node.motion.setAttribute("d", power > 0 ? path : "");
}

function inWords(devices) {
  const list = (field) => devices
    .filter((each) => each[field] > 0)
    .map((each) => `${nameOf(each)} ${watts(each[field])}`)
    .join(", ") || "nobody";
  return `Power flows from ${list("import_w")} over the bus to ${list("export_w")}. `
    + "The table below has every value.";
}

// --- The table -----------------------------------------------------------------------------------

const rows = new Kept(makeRow);

function makeRow() {
  const root = element("tr");
  root.setAttribute("role", "row");
  const head = root.appendChild(element("th"));
  head.setAttribute("role", "rowheader");
  head.scope = "row";
  const who = head.appendChild(element("div", "who"));
  const parts = { root, picture: who.appendChild(icon("other")) };
  parts.name = who.appendChild(element("b"));
  parts.identity = who.appendChild(element("span", "quiet"));
  for (const [key, className, label] of [
    ["place", "place", "Port"], ["offers", "number", "Offers"], ["wants", "number", "Wants"],
    ["granted", "number", "Granted"], ["flows", "number", "Flows"], ["charge", "charge", "Charge"],
    ["why", "why", "Why"],
  ]) {
    parts[key] = root.appendChild(element("td", className));
    parts[key].setAttribute("role", "cell");
    parts[key].dataset.label = label;
    parts[key] = parts[key].appendChild(element("span"));
  }
  return parts;
}

function showTable(devices) {
  const shown = rows.show(devices.map((each) => each.identity));
  devices.forEach((device, index) => {
    showRow(shown[index], device);
    const there = at("rows").children[index];
    if (there !== shown[index].root) at("rows").insertBefore(shown[index].root, there ?? null);
  });
}

function showRow(row, device) {
  const kind = kindOf(device);
  row.root.className = `kind-${kind}${device.session.connected ? "" : " away"}`;
  row.picture.firstChild.setAttribute("href", `#icon-${kind}`);
  setText(row.name, nameOf(device));
  setText(row.identity, [device.identity, typeOf(device)].filter(Boolean).join(" · "));
  setText(row.place, `${device.side} · ${device.kind}`);
  row.place.title = SIDES[device.side] ?? "";
  setText(row.offers, watts(offered(device)));
  setText(row.wants, watts(wanted(device)));
  setText(row.granted, granted(device));
  setText(row.flows, measured(device));
  showCharge(row.charge, device.storage?.soc);
  setText(row.why, device.why);
}

function showCharge(cell, soc) {
  if (!Number.isFinite(soc)) {
    setText(cell, "–");
    return;
  }
  if (!cell.firstElementChild) {
    cell.textContent = "";
    const bar = element("meter");
    bar.max = 100;
    bar.setAttribute("aria-hidden", "true");
    cell.append(bar, element("span"));
  }
  cell.firstElementChild.value = soc;
  setText(cell.lastElementChild, ` ${soc.toFixed(1)} %`);
}

// --- Asking --------------------------------------------------------------------------------------

let heardAt = null;
let failure = null;

function showStatus() {
  const age = heardAt === null ? null : performance.now() - heardAt;
  let [look, text] = ["waiting", "Connecting…"];
  if (failure !== null) {
    const since = age === null ? "" : ` Last values are ${span(age / 1000)} old.`;
    [look, text] = ["lost", `${failure}; trying again each second.${since}`];
  } else if (age !== null && age > STALE_MS) {
    [look, text] = ["stale", `No news for ${span(age / 1000)}: what you see is old`];
  } else if (age !== null) {
    [look, text] = ["live", "Live"];
  }
  at("status").className = `status ${look}`;
  setText(at("status-text"), text);
  at("live").classList.toggle("old", look === "lost" || look === "stale");
}

function show(state) {
  remember(state.devices);
  showHead(state);
  showTotals(state.devices);
  showPicture(state);
  showTable(state.devices);
}

async function fetchState() {
  const settings = { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" };
  const response = await fetch("api/v1/state", settings).catch(() => {
    throw new Error("No connection to the router");
  });
  if (!response.ok) throw new Error(`The router answers with error ${response.status}`);
  return response.json();
}

async function ask() {
  try {
    show(await fetchState());
    heardAt = performance.now();
    failure = null;
  } catch (error) {
    failure = error.message;
  }
  showStatus();
  setTimeout(ask, POLL_MS);
}

setInterval(showStatus, 500);
new ResizeObserver(() => picture.state && showPicture(picture.state)).observe(at("flows"));
ask();

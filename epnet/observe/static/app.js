// The live page: shows the state that the router sends each second.
//
// Texts come from devices and are not to be trusted: they go into the page as text only.

import { Kept, at, element, icon, setText } from "./dom.js";
import { showPicture } from "./picture.js";
import {
  SIDES, granted, kindOf, measured, nameOf, offered, remember, span, sum, typeOf, wanted, watts,
} from "./words.js";

const RETRY_MS = 2000;
const STALE_MS = 3000;

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
    const gives = device.import_w > 0 || (device.supply && !device.demand);
    if (kind === "grid") groups.grid.push(device);
    else if (kind === "battery") groups.storage.push(device);
    else groups[gives ? "local" : "load"].push(device);
  }
  const count = (list) => `${list.length} ${list.length === 1 ? "device" : "devices"}`;
  setText(at("total-local"), watts(sum(groups.local, "import_w")));
  setText(at("total-local-note"), count(groups.local));
  setText(at("total-load"), watts(sum(groups.load, "export_w")));
  setText(at("total-load-note"), count(groups.load));
  showNet("grid", groups.grid, "drawn from the grid", "fed into the grid", "at rest");
  showNet("storage", groups.storage, "discharging", "charging", "at rest");
}

function showNet(name, devices, inWords, outWords, restWords) {
  const net = sum(devices, "import_w") - sum(devices, "export_w");
  setText(at(`total-${name}`), watts(Math.abs(net)));
  const words = Math.abs(net) < 0.5 ? restWords : net > 0 ? inWords : outWords;
  setText(at(`total-${name}-note`), devices.length ? words : "none connected");
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
  const identity = nameOf(device) === device.identity ? null : device.identity;
  setText(row.identity, [identity, typeOf(device)].filter(Boolean).join(" · "));
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

// --- Listening -----------------------------------------------------------------------------------

let heardAt = null;
let failure = null;

function showStatus() {
  const age = heardAt === null ? 0 : performance.now() - heardAt;
  let [look, text] = ["live", "Live"];
  if (failure !== null) [look, text] = ["lost", `${failure}; trying again.`];
  else if (heardAt === null) [look, text] = ["waiting", "Connecting…"];
  else if (age > STALE_MS) [look, text] = ["stale", "No news from the router."];
  const old = heardAt !== null && (look === "lost" || look === "stale");
  at("status").className = `status ${look}`;
  setText(at("status-text"), text);
  setText(at("status-age"), old ? `What you see is ${span(age / 1000)} old.` : "");
  at("live").classList.toggle("old", old);
}

function show(state) {
  remember(state.devices);
  at("live").classList.toggle("none", state.devices.length === 0);
  showHead(state);
  showTotals(state.devices);
  showPicture(state);
  showTable(state.devices);
}

// The browser dials again by itself after a break, but gives up on an answer that is no stream: then
// we ask anew.
function listen() {
  const source = new EventSource("api/v1/events");
  source.addEventListener("state", (event) => {
    show(JSON.parse(event.data));
    heardAt = performance.now();
    failure = null;
    showStatus();
  });
  source.addEventListener("error", () => {
    failure = "No connection to the router";
    showStatus();
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(listen, RETRY_MS);
  });
}

setInterval(showStatus, 500);
listen();

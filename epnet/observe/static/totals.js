// The head, who is held back, and the totals of the network.

import { Kept, at, element, icon, setText, whyButton } from "./dom.js";
import {
  energy, flowing, flowsOut, kindOf, nameOf, percent, possible, sentence, shares, sourceName, span,
  sum, wanted, watts, wattsOf,
} from "./words.js";

const HELD_MOST = 3;
const NEVER_HELD = new Set(["grid", "router", "battery"]);
const PASSING = new Set([
  null, "request", "ramp", "unconfirmed", "old_grants", "stands_in", "dead_band", "reversal",
]);
const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

export function showHead(state) {
  const router = state.router;
  setText(at("router-name"), router.name || "Energy router");
  setText(at("router-facts"), `${router.identity} · up ${span(router.uptime_s)}`);
  document.title = `${router.name || router.identity}: ${watts(state.totals.bus_w)}`;
  const deviations = Object.values(state.diagnostics).reduce((total, count) => total + count, 0);
  setText(at("counters"), `${plural(state.sessions.open ?? 0, "open session", "open sessions")}; `
    + `${watts(state.totals.losses_w)} lost in conversion; `
    + `${plural(deviations, "deviation", "deviations")} from the specs seen.`);
}

// --- Who gets less than it wants -----------------------------------------------------------------

const held = new Kept((identity) => {
  const root = element("li");
  const parts = { root, icon: root.appendChild(icon("other")) };
  const text = root.appendChild(element("p"));
  for (const name of ["what", "why", "more"]) {
    parts[name] = text.appendChild(element(name === "what" ? "strong" : "span"));
    text.append(" ");
  }
  root.append(whyButton(identity, "Why?"));
  return parts;
});

// Whether something else than its own request holds it back, for more than a moment.
function isHeld(device) {
  if (!device.session.connected || NEVER_HELD.has(kindOf(device)) || PASSING.has(device.reason)) return false;
  const most = wanted(device);
  return flowsOut(device) && most > 50 && device.export_w !== null && device.export_w < 0.95 * most;
}

export function showHeld(devices) {
  const few = devices.filter(isHeld).slice(0, HELD_MOST);
  const shown = held.showIn(at("held"), few.map((each) => each.identity));
  few.forEach((device, index) => {
    const kind = kindOf(device);
    const row = shown[index];
    const some = wattsOf(device.export_w, wanted(device));
    const { why, more } = device;
    row.root.className = `kind-${kind}`;
    row.icon.firstChild.setAttribute("href", `#icon-${kind}`);
    setText(row.what, `${nameOf(device)} ${
      !(device.export_w > 0) ? `gets nothing of the ${watts(wanted(device))} that it wants`
        : kind === "vehicle" ? `charges slowly, with ${some}` : `gets ${some}`}.`);
    setText(row.why, sentence(why));
    setText(row.more, more ? `For more: ${more}.` : "");
    row.root.lastChild.setAttribute("aria-label", `Why ${nameOf(device)}?`);
  });
}

// --- The tiles -----------------------------------------------------------------------------------

export function showTotals(state) {
  const groups = { local: [], grid: [], storage: [], load: [] };
  for (const device of state.devices) {
    const kind = kindOf(device);
    if (kind === "grid") groups.grid.push(device);
    else if (kind === "battery") groups.storage.push(device);
    else groups[flowsOut(device) ? "load" : "local"].push(device);
  }
  showPower("local", groups.local);
  showPower("load", groups.load);
  showOutside(state.network);
  showStorage(groups.storage);
  showNetwork(state.network);
  showMix(state.network.mix);
}

function showPower(name, devices) {
  const now = devices.reduce((total, each) => total + flowing(each), 0);
  const most = devices.reduce((total, each) => total + (possible(each) ?? 0), 0);
  const verb = name === "local" ? "offered" : "wanted";
  const count = plural(devices.length, "device", "devices");
  setText(at(`total-${name}`), watts(now));
  setText(at(`total-${name}-note`), most > now * 1.03 + 5 ? `${watts(most)} ${verb}` : count);
}

function showOutside(network) {
  const out = network.export_w > network.import_w;
  setText(at("total-grid-title"), out ? "Export" : "Import");
  setText(at("total-grid"), watts(out ? network.export_w : network.import_w));
  setText(at("total-grid-note"),
    `${energy(network.energy_import_wh)} in, ${energy(network.energy_export_wh)} out`);
}

function showStorage(devices) {
  const known = devices.filter((each) => Number.isFinite(each.storage?.soc));
  const room = (each) => each.storage.capacity || 1;
  const full = known.reduce((total, each) => total + room(each), 0);
  const charge = known.reduce((total, each) => total + each.storage.soc * room(each), 0) / full;
  const net = sum(devices, "export_w") - sum(devices, "import_w");
  const words = Math.abs(net) < 0.5 ? "at rest" : net > 0 ? "charging with" : "giving";
  const power = Math.abs(net) < 0.5 ? "" : ` ${watts(Math.abs(net))}`;
  setText(at("total-storage"), known.length ? percent(charge / 100) : "–");
  setText(at("total-storage-note"), devices.length ? words + power : "none connected");
}

function showNetwork(network) {
  setText(at("total-self"), percent(network.self_consumption));
  setText(at("total-share"), percent(network.local));
  const carbon = network.carbon_g_kwh;
  setText(at("total-carbon"), Number.isFinite(carbon) ? `${Math.round(carbon)}\u00a0g/kWh` : "–");
  setText(at("total-carbon-note"), "CO₂e of what is used");
  const price = network.price;
  setText(at("total-price"), Number.isFinite(price) ? price.toFixed(3) : "–");
  setText(at("total-price-note"), Number.isFinite(price)
    ? `${network.currency ?? ""} per kWh used`.trim() : "not known");
}

// --- The sources of what is used, as the legend of the picture -----------------------------------

const sources = new Kept((source) => {
  const root = element("li", `source-${source}`);
  root.append(element("span", "swatch"));
  return { root, text: root.appendChild(element("span")) };
});

function showMix(mix) {
  const parts = shares(mix);
  const shown = sources.showIn(at("mix"), parts.map(([source]) => source));
  parts.forEach(([source, share], index) => {
    setText(shown[index].text, `${sourceName(source)} ${share}\u00a0%`);
  });
}

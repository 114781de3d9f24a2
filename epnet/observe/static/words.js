// What a device's state means, in words and numbers for people.

const KINDS = {
  solar: "solar", wind: "wind", battery: "battery", vehicle: "vehicle",
  home: "home", grid: "grid", router: "router",
};
export const SIDES = {
  A: "load side", B: "utility grid side", C: "router side", D: "local source side",
};
const SOURCES = {
  LocalSolar: "Local solar", LocalWind: "Local wind", Solar: "Solar", Wind: "Wind", Hydro: "Hydro",
  Nuclear: "Nuclear", Gas: "Gas", Oil: "Oil", Coal: "Coal", Unknown: "Unknown source",
};
// Number and unit stay together on a line.
const GAP = "\u00a0";

// --- Numbers -------------------------------------------------------------------------------------

function scaled(amount, unit) {
  const size = Math.abs(amount);
  if (size < 999.5) return [String(Math.round(amount) + 0), unit];
  if (size < 999500) return [(amount / 1000).toFixed(2), `k${unit}`];
  return [(amount / 1e6).toFixed(2), `M${unit}`];
}

export function watts(power) {
  return Number.isFinite(power) ? scaled(power, "W").join(GAP) : "–";
}

export function energy(wattHours) {
  return Number.isFinite(wattHours) ? scaled(wattHours, "Wh").join(GAP) : "–";
}

// "3.43 of 11.00 kW" where less flows than could; else the power alone.
export function wattsOf(power, most) {
  if (!Number.isFinite(power) || !(most > power * 1.03 + 5)) return watts(power);
  const [[part, unit], [whole, wholeUnit]] = [scaled(power, "W"), scaled(most, "W")];
  return `${part}${unit === wholeUnit ? "" : GAP + unit} of ${whole}${GAP}${wholeUnit}`;
}

export function percent(part) {
  return Number.isFinite(part) ? `${Math.round(part * 100)}${GAP}%` : "–";
}

export function span(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)}${GAP}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${GAP}min`;
  const hours = Math.floor(seconds / 3600);
  if (hours < 48) return `${hours}${GAP}h ${Math.floor(seconds / 60) % 60}${GAP}min`;
  return `${Math.floor(hours / 24)}${GAP}days`;
}

export function sum(devices, field) {
  return devices.reduce((total, each) => total + (each[field] ?? 0), 0);
}

export function sentence(text) {
  const words = text.charAt(0).toUpperCase() + text.slice(1);
  return words.endsWith(".") ? words : `${words}.`;
}

// --- Devices -------------------------------------------------------------------------------------

// What a device last said about itself; a port keeps its name on the page while it is away.
const said = new Map();

export function remember(devices) {
  const present = new Set(devices.map((device) => device.identity));
  for (const identity of said.keys()) if (!present.has(identity)) said.delete(identity);
  for (const { identity, name, type } of devices) {
    if (name !== null || type !== null) said.set(identity, { name, type });
  }
}

export const typeOf = (device) => device.type ?? said.get(device.identity)?.type ?? null;
export const nameOf = (device) => device.name ?? said.get(device.identity)?.name ?? device.identity;
export const nameOfIdentity = (identity) => said.get(identity)?.name ?? identity;

export function kindOf(device) {
  if (device.side === "B") return "grid";
  if (device.side === "C") return "router";
  return KINDS[typeOf(device)] ?? "other";
}

// Whether power flows, or would flow, from the router to the device.
export function flowsOut(device) {
  if (device.import_w > 0 || device.export_w > 0) return device.export_w > (device.import_w ?? 0);
  if (device.supply && !device.demand) return false;
  if (device.demand && !device.supply) return true;
  return device.side !== "B" && kindOf(device) !== "solar" && kindOf(device) !== "wind";
}

export const flowing = (device) => (flowsOut(device) ? device.export_w : device.import_w) ?? 0;
export const possible = (device) => (flowsOut(device) ? wanted(device) : offered(device));

// The least of what a message says of power and of current times voltage, in W; null for neither.
function powerOf(message, current, voltage) {
  const limits = [];
  if (Number.isFinite(message.power_limit)) limits.push(message.power_limit);
  if (Number.isFinite(current) && Number.isFinite(voltage)) limits.push(current * voltage);
  return limits.length ? Math.max(0, Math.min(...limits)) : null;
}

export function offered(device) {
  const supply = device.supply;
  if (!supply) return null;
  return powerOf(supply, supply.current_limit?.max, supply.voltage ?? supply.voltage_limit?.min);
}

export function wanted(device) {
  const demand = device.demand;
  if (!demand) return null;
  return powerOf(demand, demand.current_limit, demand.voltage);
}

export function measured(device) {
  const sign = device.estimated ? `≈${GAP}` : "";
  if (device.import_w > 0) return `${sign}${watts(device.import_w)} in`;
  if (device.export_w > 0) return `${sign}${watts(device.export_w)} out`;
  return device.import_w === null && device.export_w === null ? "–" : `${sign}0${GAP}W`;
}

export function granted(device) {
  if (device.granted_import_w > 0) return `${watts(device.granted_import_w)} in`;
  if (device.granted_export_w > 0) return `${watts(device.granted_export_w)} out`;
  return device.session.connected ? `0${GAP}W` : "–";
}

// What a reason means, for whoever does not know the words of routers.
const MEANINGS = {
  supply: "All sources together give less than is asked for. Higher classes are served first; "
    + "a class shares what is left by weight.",
  bid: "It takes power only up to a price, and what is left costs more.",
  port: "The port of the router carries no more.",
  cable: "The cable to the device carries no more.",
  group: "Several devices share one limit.",
  policy: "Whoever runs the network has set this limit.",
  operator: "Somebody has set this limit by hand; after its time it is lifted by itself.",
  reserve: "Some power is kept free in case the largest source fails.",
  minimum: "It needs a least power to run, and so much is not left.",
  charge: "Its storage is kept between two bounds.",
  share: "Cheaper sources come first; those of one price share what is needed.",
  spare: "Cheaper sources are enough.",
  silent: "Nothing may flow without the consent of the device, said anew all the time.",
};
export const meaning = (reason) => MEANINGS[reason] ?? "";

// --- Sources of energy ---------------------------------------------------------------------------

// The shares of a mix as [source, percent]; what this page knows no colour for is one, `Other`.
export function shares(mix) {
  const found = new Map();
  for (const [title, share] of Object.entries(mix ?? {})) {
    const source = title in SOURCES ? title : "Other";
    if (share > 0) found.set(source, (found.get(source) ?? 0) + share);
  }
  const order = [...Object.keys(SOURCES), "Other"];
  return [...found].sort(([one], [other]) => order.indexOf(one) - order.indexOf(other));
}

export const sourceName = (source) => SOURCES[source] ?? "Other source";

export function mixWords(mix) {
  return shares(mix).map(([source, share]) => `${share}${GAP}% ${sourceName(source).toLowerCase()}`)
    .join(", ") || "–";
}

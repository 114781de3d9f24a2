// What a device's state means, in words and numbers for people.

const KINDS = {
  solar: "solar", wind: "wind", battery: "battery", vehicle: "vehicle",
  home: "home", grid: "grid", router: "router",
};
export const SIDES = {
  A: "load side", B: "utility grid side", C: "router side", D: "local source side",
};

export function watts(power) {
  if (power === null || power === undefined) return "–";
  const size = Math.abs(power);
  if (size < 999.5) return `${Math.round(power)} W`;
  if (size < 999500) return `${(power / 1000).toFixed(2)} kW`;
  return `${(power / 1e6).toFixed(2)} MW`;
}

export function span(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  const hours = Math.floor(seconds / 3600);
  if (hours < 48) return `${hours} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

export function sum(devices, field) {
  return devices.reduce((total, each) => total + (each[field] ?? 0), 0);
}

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

export function kindOf(device) {
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
  const sign = device.estimated ? "≈ " : "";
  if (device.import_w > 0) return `${sign}${watts(device.import_w)} in`;
  if (device.export_w > 0) return `${sign}${watts(device.export_w)} out`;
  return device.import_w === null && device.export_w === null ? "–" : `${sign}0 W`;
}

export function granted(device) {
  if (device.granted_import_w > 0) return `${watts(device.granted_import_w)} in`;
  if (device.granted_export_w > 0) return `${watts(device.granted_export_w)} out`;
  return device.session.connected ? "0 W" : "–";
}

// The history as charts: asked of the router when a range is chosen, then only what is new.

import { at, choose, setText } from "./dom.js";
import { Plot } from "./plot.js";
import { kindOf, nameOf, watts } from "./words.js";

// How far back, s; how long a span is, s: for each range about as many spans.
const RANGES = {
  "15 min": [900, 3], "1 h": [3600, 15], "6 h": [21600, 120], "1 day": [86400, 300],
  "1 week": [604800, 2700], "1 month": [2592000, 10800], "1 year": [31622400, 129600],
};
const FIELDS = "import_w,export_w,storage.soc";
const LEAST_MS = 5000;
const RETRY_MS = 10000;
// With more devices the spans get longer, so that an answer keeps its size.
const MANY = 100;
const SHOWN_MOST = 7;
const ORDER = ["solar", "wind", "home", "other", "vehicle", "battery", "router", "grid"];

const power = new Plot({ title: "Power: in above the line, out below it", unit: inKilowatts });
const charge = new Plot({ title: "State of charge", unit: inPercent, lines: true, range: [0, 100] });
at("charts").append(power.root, charge.root);

let range = null;
let devices = [];
// Whether the router keeps a history; it is asked for nothing before that is known.
let kept = false;
// By time the values of each device: Map of time to Map of identity to [import, export, charge].
let past = new Map();
let step = 1;
let timer = null;
let turn = 0;

export function rememberDevices(state) {
  devices = state.devices;
  const before = kept;
  kept = state.history !== null;
  if (kept && !before) load();
  if (kept) return;
  setText(at("history-note"), "No history is kept here.");
  at("charts").hidden = true;
}

choose(at("ranges"), Object.keys(RANGES).map((each) => [each, each]), "15 min", (chosen) => {
  range = chosen;
  load();
});

// A page that nobody looks at asks for nothing.
document.addEventListener("visibilitychange", () => document.hidden || ask(turn));

function load() {
  if (!kept) return;
  const [, wide] = RANGES[range];
  past = new Map();
  step = wide * Math.max(1, Math.ceil(devices.length / MANY));
  turn += 1;
  ask(turn);
}

async function ask(mine) {
  clearTimeout(timer);
  if (document.hidden || !kept || mine !== turn) return;
  let pause = Math.max(LEAST_MS, step * 1000);
  try {
    const newest = Math.max(...past.keys());
    const from = past.size ? newest - step : -RANGES[range][0];
    const answer = await fetch(`api/v1/history?field=${FIELDS}&from=${from}&step=${step}`);
    if (mine !== turn) return;
    if (!answer.ok) throw new Error("The history cannot be read now; trying again.");
    const { series } = await answer.json();
    if (mine !== turn) return;
    take(series);
    show();
  } catch (error) {
    if (mine !== turn) return;
    const lost = error instanceof TypeError;
    setText(at("history-note"), lost ? "No connection to the router; trying again." : error.message);
    pause = RETRY_MS;
  }
  clearTimeout(timer);
  timer = setTimeout(() => ask(mine), pause);
}

function take(series) {
  const places = { import_w: 0, export_w: 1, "storage.soc": 2 };
  for (const { device, field, points } of series) {
    for (const [time, mean] of points) {
      if (!past.has(time)) past.set(time, new Map());
      const values = past.get(time);
      if (!values.has(device)) values.set(device, [null, null, null]);
      values.get(device)[places[field]] = mean;
    }
  }
  const oldest = Math.max(...past.keys()) - RANGES[range][0];
  for (const time of past.keys()) if (time < oldest) past.delete(time);
}

function show() {
  const some = past.size > 1;
  setText(at("history-note"), some ? "" : "There is not yet enough history for a picture.");
  at("charts").hidden = !some;
  if (!some) return;
  const times = [];
  const final = Math.max(...past.keys());
  for (let time = Math.min(...past.keys()); time <= final; time += step) times.push(time);
  const powers = seriesOf(times, ([imported, exported]) => (
    imported === null && exported === null ? null : (imported ?? 0) - (exported ?? 0)));
  const charges = seriesOf(times, ([, , soc]) => soc);
  power.show({ times, step, series: merged(powers.filter(hasPower)) });
  charge.root.hidden = charges.length === 0;
  if (charges.length) charge.show({ times, step, series: charges.slice(0, SHOWN_MOST) });
}

const hasPower = ({ values }) => values.some((value) => value !== null && Math.abs(value) >= 1);

// A series for each device that has any value, in an order that puts alike ones together.
function seriesOf(times, pick) {
  const known = new Map(devices.map((each) => [each.identity, each]));
  const identities = new Set([...past.values()].flatMap((values) => [...values.keys()]));
  const series = [...identities].map((key) => {
    const device = known.get(key);
    const values = times.map((time) => {
      const found = past.get(time)?.get(key);
      return found ? pick(found) : null;
    });
    return { key, values, name: device ? nameOf(device) : key, kind: device ? kindOf(device) : "other" };
  }).filter(({ values }) => values.some((value) => value !== null));
  series.sort((one, other) => ORDER.indexOf(one.kind) - ORDER.indexOf(other.kind)
    || one.key.localeCompare(other.key));
  const seen = {};
  for (const each of series) {
    seen[each.kind] = (seen[each.kind] ?? 0) + 1;
    each.look = (seen[each.kind] - 1) % 3;
  }
  return series;
}

// The largest, and the others as one.
function merged(series) {
  if (series.length <= SHOWN_MOST + 1) return series;
  const size = ({ values }) => values.reduce((total, value) => total + Math.abs(value ?? 0), 0);
  const large = new Set([...series].sort((one, other) => size(other) - size(one)).slice(0, SHOWN_MOST));
  const rest = series.filter((each) => !large.has(each));
  const values = rest[0].values.map((_, index) => {
    const there = rest.map((each) => each.values[index]).filter((value) => value !== null);
    return there.length ? there.reduce((total, value) => total + value, 0) : null;
  });
  const others = { key: " others", name: `${rest.length} others`, kind: "other", look: 0, values };
  return [...series.filter((each) => large.has(each)), others];
}

// Above 0 a device gives power, below it gets some.  On an axis all numbers are alike.
function inKilowatts(value, ticks) {
  if (value === null || value === undefined) return "–";
  if (ticks) {
    const most = Math.max(...ticks.map(Math.abs));
    return most < 2000 ? `${Math.abs(value)}\u00a0W` : `${Math.abs(value) / 1000}\u00a0kW`;
  }
  return Math.abs(value) < 0.5 ? "0\u00a0W" : `${watts(Math.abs(value))} ${value > 0 ? "in" : "out"}`;
}

function inPercent(value, ticks) {
  if (value === null || value === undefined) return "–";
  return `${ticks ? value : value.toFixed(1)}\u00a0%`;
}

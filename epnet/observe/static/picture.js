// The picture of who feeds whom.
//
// Sources on the left, the bus in the middle, sinks on the right.  A ribbon is as thick as its
// power; at the bus the ribbons of a side stand one on the other.

import { Kept, at, set, setText, svg } from "./dom.js";
import { kindOf, nameOf, sum, watts } from "./words.js";

const ROW = 64;
const BOX = 52;
const LABEL = 20;
const NARROW = 480;
const picture = {
  nodes: new Kept(makeNode),
  bus: svg("rect", { class: "bus", rx: 4, width: 8 }),
  label: svg("text", { class: "note middle" }),
  most: { one: 1, all: 1 },
  state: null,
};

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

export function showPicture(state) {
  picture.state = state;
  const canvas = at("flows");
  const devices = state.devices;
  const sides = [devices.filter((each) => !flowsOut(each)), devices.filter(flowsOut)];
  const width = Math.max(300, canvas.clientWidth || 700);
  const height = Math.max(2, sides[0].length, sides[1].length) * ROW;
  const boxWidth = Math.min(230, Math.round(width * 0.39));
  const scale = scaleOf(devices, height, width / 2 - boxWidth);
  set(canvas, { viewBox: `0 0 ${width} ${height + LABEL}`, height: height + LABEL });
  set(canvas, { "aria-label": inWords(devices) });
  const nodes = picture.nodes.show(devices.map((each) => each.identity));
  sides.forEach((side, right) => {
    let bus = (height - sum(side, right ? "export_w" : "import_w") * scale) / 2;
    side.forEach((device, row) => {
      const y = (height - side.length * ROW) / 2 + row * ROW + ROW / 2;
      const power = (right ? device.export_w : device.import_w) ?? 0;
      const node = nodes[devices.indexOf(device)];
      if (!node.root.parentNode) canvas.append(node.root);
      set(node.root, { class: `kind-${kindOf(device)}${power > 0 ? "" : " idle"}` });
      const x = right ? width - boxWidth : 0;
      drawBox(node, device, { right, power, narrow: width < NARROW, x, y, boxWidth });
      const ends = right ? [width / 2 + 4, width - boxWidth] : [width / 2 - 4, boxWidth];
      drawFlow(node, { ends, y, bus: bus + (power * scale) / 2, power, thickness: power * scale });
      bus += power * scale;
    });
  });
  drawBus(canvas, state, width, height, scale);
}

// Pixels a watt: all ribbons fit the bus, each one its box, and none is too thick for its bend.
// The most ever seen on this page sets the scale, so that a thin ribbon stays a small power.
function scaleOf(devices, height, gap) {
  const most = picture.most;
  const powers = devices.flatMap((each) => [each.import_w ?? 0, each.export_w ?? 0]);
  most.one = Math.max(most.one, ...powers);
  most.all = Math.max(most.all, sum(devices, "import_w"), sum(devices, "export_w"));
  return Math.min((0.75 * height) / most.all, Math.min(BOX - 8, 0.35 * gap) / most.one);
}

function drawBus(canvas, state, width, height, scale) {
  const [x, y] = [width / 2, height / 2];
  const total = Math.max(sum(state.devices, "import_w"), sum(state.devices, "export_w"));
  const long = Math.max(40, total * scale + 16);
  // Where there is no room between the ribbons, the label stands at the foot.
  const foot = width < NARROW ? height + LABEL - 5 : y + long / 2 + 18;
  set(picture.bus, { x: x - 4, y: y - long / 2, height: long });
  setText(set(picture.label, { x, y: foot }), `Bus ${watts(state.totals.bus_w)}`);
  if (canvas.lastChild !== picture.label) canvas.append(picture.bus, picture.label);
}

function drawBox(node, device, { right, power, narrow, x, y, boxWidth }) {
  const kind = kindOf(device);
  const [pad, size, gap, letter] = narrow ? [7, 18, 5, 6.7] : [12, 24, 8, 7.4];
  const indent = pad + size + gap;
  set(node.box, { x, y: y - BOX / 2, width: boxWidth });
  set(node.edge, { x: right ? x : x + boxWidth - 4, y: y - BOX / 2 + 8 });
  set(node.icon, { href: `#icon-${kind}`, x: x + pad, y: y - size / 2, width: size, height: size });
  set(node.name, { x: x + indent, y: y - 5 });
  set(node.power, { x: x + indent, y: y + 15 });
  setText(node.name, fitted(nameOf(device), Math.floor((boxWidth - indent - 8) / letter)));
  setText(node.power, device.session.connected ? watts(power) : "away");
  setText(node.tip, `${nameOf(device)} (${device.identity}): ${device.why}`);
}

// The ribbon between the bus, at height `bus`, and the box, at height `y`.  Its dots run from left
// to right on both sides: from a source to the bus, from the bus to a sink.
function drawFlow(node, { ends: [inner, outer], y, bus, power, thickness }) {
  const [x1, y1, x2, y2] = inner < outer ? [inner, bus, outer, y] : [outer, y, inner, bus];
  const middle = (x1 + x2) / 2;
  const path = `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
  const stroke = power > 0 ? Math.max(1.5, thickness).toFixed(2) : 0;
  set(node.ribbon, { d: path, "stroke-width": stroke });
  set(node.motion, { d: power > 0 ? path : "" });
}

function inWords(devices) {
  const list = (field) => devices
    .filter((each) => each[field] > 0)
    .map((each) => `${nameOf(each)} ${watts(each[field])}`)
    .join(", ") || "nobody";
  return `Power flows from ${list("import_w")} over the bus to ${list("export_w")}. `
    + "The table below has every value.";
}

new ResizeObserver(() => picture.state && showPicture(picture.state)).observe(at("flows"));

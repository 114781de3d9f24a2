// The picture of who feeds whom.
//
// Sources on the left, the bus in the middle, sinks on the right.  A ribbon is as thick as its
// power; at the bus the ribbons of a side stand one on the other.

import { Kept, at, setText, svg } from "./dom.js";
import { kindOf, nameOf, sum, watts } from "./words.js";

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

export function showPicture(state) {
  picture.state = state;
  const canvas = at("flows");
  const devices = state.devices;
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

new ResizeObserver(() => picture.state && showPicture(picture.state)).observe(at("flows"));

// The picture of who feeds whom.
//
// Sources on the left, the bus in the middle, sinks on the right.  A ribbon is as thick as its
// power, in strands by the sources of its energy; at the bus the ribbons of a side stand one on the
// other.  Each device with its ribbon is a button that tells why.

import { Kept, at, set, setText, svg } from "./dom.js";
import {
  flowing, flowsOut, kindOf, nameOf, possible, shares, sum, watts, wattsOf,
} from "./words.js";

const ROW = 88;
const BOX = 66;
const LABEL = 22;
const LEAST = 280;
const NARROW = 480;
const picture = {
  nodes: new Kept(makeNode),
  bus: svg("rect", { class: "bus", rx: 5, width: 10 }),
  label: svg("text", { class: "note middle" }),
  most: { one: 1, all: 1 },
  state: null,
};

function makeNode(identity) {
  const root = svg("g", { role: "button", tabindex: 0, "data-why": identity });
  const parts = { root, strands: [] };
  parts.ribbon = root.appendChild(svg("g"));
  parts.motion = root.appendChild(svg("path", { class: "motion" }));
  parts.box = root.appendChild(svg("rect", { class: "box", rx: 10, height: BOX }));
  parts.icon = root.appendChild(svg("use", { class: "icon" }));
  parts.name = root.appendChild(svg("text"));
  parts.power = root.appendChild(svg("text", { class: "power" }));
  parts.track = root.appendChild(svg("rect", { class: "track", rx: 2, height: 4 }));
  parts.level = root.appendChild(svg("rect", { class: "level", rx: 2, height: 4 }));
  parts.charge = root.appendChild(svg("text", { class: "note end" }));
  return parts;
}

// Show a text, or as much of it as there is room for.
function fit(node, text, room) {
  const key = `${Math.floor(room)} ${text}`;
  if (node.dataset.fitted === key) return;
  node.dataset.fitted = key;
  const letters = [...text];
  node.textContent = text;
  while (letters.length > 1 && node.getComputedTextLength() > room) {
    letters.pop();
    node.textContent = `${letters.join("")}…`;
  }
}

export function showPicture(state) {
  picture.state = state;
  const canvas = at("flows");
  const devices = state.devices;
  const sides = [devices.filter((each) => !flowsOut(each)), devices.filter(flowsOut)];
  const width = Math.max(300, canvas.clientWidth || 700);
  const height = Math.max(LEAST, sides[0].length * ROW, sides[1].length * ROW);
  const boxWidth = Math.min(230, Math.round(width * (width < NARROW ? 0.37 : 0.4)));
  const scale = scaleOf(devices, height, width / 2 - boxWidth);
  set(canvas, { viewBox: `0 0 ${width} ${height + LABEL}`, height: height + LABEL });
  set(canvas, { "aria-label": inWords(devices) });
  const ordered = sides.flat();
  const nodes = picture.nodes.showIn(canvas, ordered.map((each) => each.identity));
  ordered.forEach((device, index) => {
    const [side, right, row] = index < sides[0].length
      ? [sides[0], false, index] : [sides[1], true, index - sides[0].length];
    const step = height / side.length;
    drawBox(nodes[index], device, {
      narrow: width < NARROW, x: right ? width - boxWidth : 0, y: (row + 0.5) * step, boxWidth,
    });
  });
  sides.forEach((side, right) => {
    let bus = (height - sum(side, right ? "export_w" : "import_w") * scale) / 2;
    side.forEach((device, row) => {
      const thickness = flowing(device) * scale;
      const ends = right ? [width / 2 + 5, width - boxWidth] : [boxWidth, width / 2 - 5];
      const tops = [bus, ((row + 0.5) * height) / side.length - thickness / 2];
      drawFlow(nodes[ordered.indexOf(device)], device, {
        ends, tops: right ? tops : tops.reverse(), thickness,
      });
      bus += thickness;
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
  return Math.min((0.75 * height) / most.all, Math.min(BOX - 10, gap) / most.one);
}

function drawBus(canvas, state, width, height, scale) {
  const [x, y] = [width / 2, height / 2];
  const total = Math.max(sum(state.devices, "import_w"), sum(state.devices, "export_w"));
  const long = Math.max(48, total * scale + 20);
  set(picture.bus, { x: x - 5, y: y - long / 2, height: long });
  // Where there is no room between the ribbons, the label stands at the foot.
  const foot = width < NARROW ? height + LABEL - 6 : y - long / 2 - 9;
  setText(set(picture.label, { x, y: foot }), `Bus ${watts(state.totals.bus_w)}`);
  if (canvas.lastChild !== picture.label) canvas.append(picture.bus, picture.label);
}

function drawBox(node, device, { narrow, x, y, boxWidth }) {
  const kind = kindOf(device);
  const [pad, size, gap, letter] = narrow ? [7, 18, 6, 6.8] : [14, 28, 10, 7.6];
  const indent = x + pad + size + gap;
  const soc = device.storage?.soc;
  const room = boxWidth - (indent - x) - 8;
  const connected = device.session.connected;
  set(node.box, { x, y: y - BOX / 2, width: boxWidth });
  set(node.icon, {
    href: `#icon-${kind}`, x: x + pad, y: y - size / 2 - 4, width: size, height: size,
  });
  set(node.name, { x: indent, y: y - 10 });
  set(node.power, { x: indent, y: y + 10 });
  set(node.charge, { x: x + boxWidth - 10, y: y - 10 });
  const charged = Number.isFinite(soc);
  setText(node.charge, charged ? `${Math.round(soc)}\u00a0%` : "");
  fit(node.name, nameOf(device), room - (charged ? 36 : 0));
  const now = flowing(device);
  const text = wattsOf(now, possible(device));
  setText(node.power, !connected ? "away" : text.length * (letter + 1.2) > room ? watts(now) : text);
  drawLevel(node, x + pad, y + BOX / 2 - 12, boxWidth - 2 * pad, now / (possible(device) || now || 1));
  const verb = flowsOut(device) ? "gets" : "gives";
  set(node.root, {
    class: `node kind-${kind}${now > 0 ? "" : " idle"}`,
    "aria-label": connected
      ? `${nameOf(device)} ${verb} ${text}${charged ? `, charge ${Math.round(soc)} %` : ""}: `
        + `${device.why}. Show why`
      : `${nameOf(device)} is away. Show why`,
  });
}

// How much of what is possible flows.
function drawLevel(node, x, y, width, part) {
  set(node.track, { x, y, width });
  set(node.level, { x, y, width: (width * Math.min(1, part)).toFixed(1) });
}

// The ribbon from the left end to the right one, whose upper edge has the heights `tops`.  Its dots
// run from left to right on both sides: from a source to the bus, from the bus to a sink.
function drawFlow(node, device, { ends: [left, right], tops: [from, to], thickness }) {
  const parts = thickness > 0 ? shares(device.mix) : [];
  // A mix is reckoned once a second; until then nobody knows.
  if (thickness > 0 && !parts.length) parts.push(["Unknown", 100]);
  while (node.strands.length < parts.length) {
    node.strands.push(node.ribbon.appendChild(svg("path")));
  }
  while (node.strands.length > parts.length) node.strands.pop().remove();
  const total = parts.reduce((all, [, share]) => all + share, 0);
  const shown = Math.max(2, thickness);
  const middle = (left + right) / 2;
  const bend = (x1, y1, x2, y2) => `${middle} ${y1.toFixed(1)} ${middle} ${y2.toFixed(1)} ${x2} ${y2.toFixed(1)}`;
  let offset = 0;
  parts.forEach(([source, share], index) => {
    const [a, b] = [from + offset, to + offset];
    offset += (shown * share) / total;
    const [c, d] = [from + offset, to + offset];
    set(node.strands[index], {
      class: `strand source-${source}`,
      d: `M${left} ${a.toFixed(1)}C${bend(left, a, right, b)}V${d.toFixed(1)}C${bend(right, d, left, c)}Z`,
    });
  });
  const [y1, y2] = [from + shown / 2, to + shown / 2];
  set(node.motion, {
    d: thickness > 0 ? `M${left} ${y1.toFixed(1)}C${bend(left, y1, right, y2)}` : "",
  });
}

function inWords(devices) {
  const list = (field) => devices
    .filter((each) => each[field] > 0)
    .map((each) => `${nameOf(each)} ${watts(each[field])}`)
    .join(", ") || "nobody";
  return `Power flows from ${list("import_w")} over the bus to ${list("export_w")}. `
    + "The table of devices has every value.";
}

new ResizeObserver(() => picture.state && showPicture(picture.state)).observe(at("flows"));

// The table of devices: every value of the picture, and more.

import { Kept, at, element, icon, setText, whyButton } from "./dom.js";
import {
  SIDES, flowsOut, granted, kindOf, measured, nameOf, offered, typeOf, wanted, watts,
} from "./words.js";

const rows = new Kept(makeRow);

function makeRow(identity) {
  const root = element("tr");
  root.setAttribute("role", "row");
  root.dataset.why = identity;
  const head = root.appendChild(element("th"));
  head.setAttribute("role", "rowheader");
  head.scope = "row";
  const who = head.appendChild(element("div", "who"));
  const parts = { root, picture: who.appendChild(icon("other")) };
  parts.name = who.appendChild(whyButton(identity));
  parts.identity = who.appendChild(element("span", "quiet"));
  for (const [key, className, label] of [
    ["place", "place", "Port"], ["offers", "number", "Offers"], ["wants", "number", "Wants"],
    ["limit", "number", "Limit"], ["granted", "number", "Granted"], ["flows", "number", "Flows"],
    ["charge", "charge", "Charge"], ["why", "reason", "Why"],
  ]) {
    parts[key] = root.appendChild(element("td", className));
    parts[key].setAttribute("role", "cell");
    parts[key].dataset.label = label;
    parts[key] = parts[key].appendChild(element("span"));
  }
  return parts;
}

export function showTable(devices) {
  const shown = rows.showIn(at("rows"), devices.map((each) => each.identity));
  devices.forEach((device, index) => showRow(shown[index], device));
}

function showRow(row, device) {
  const kind = kindOf(device);
  const limit = flowsOut(device) ? device.limit_export_w : device.limit_import_w;
  row.root.className = `kind-${kind}${device.session.connected ? "" : " away"}`;
  row.picture.firstChild.setAttribute("href", `#icon-${kind}`);
  setText(row.name, nameOf(device));
  const identity = nameOf(device) === device.identity ? null : device.identity;
  setText(row.identity, [identity, typeOf(device)].filter(Boolean).join(" · "));
  setText(row.place, `${device.side} ${device.kind}`);
  row.place.title = SIDES[device.side] ?? "";
  setText(row.offers, watts(offered(device)));
  setText(row.wants, watts(wanted(device)));
  setText(row.limit, watts(limit));
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
  setText(cell.lastElementChild, ` ${soc.toFixed(1)}\u00a0%`);
}

// Why a device gets or gives so much: asked of the router each second while the dialog is open.

import { Kept, at, element, icon, set, setText } from "./dom.js";
import { eventsOf, showLines } from "./events.js";
import {
  SIDES, energy, flowsOut, kindOf, meaning, mixWords, nameOf, offered, sentence, span, typeOf, wanted, watts,
} from "./words.js";

const ASK_MS = 1000;
const dialog = at("why");
let asked = null;
let timer = null;
let newest = [];

const WORDS = {
  import: { verb: "Gives", could: "offers", most: "Offers", none: "Gives nothing" },
  export: { verb: "Gets", could: "wants", most: "Wants", none: "Gets nothing" },
};

export function openWhy(identity) {
  asked = identity;
  for (const id of ["why-directions", "why-changes", "why-entries", "why-energy"]) {
    at(id).replaceChildren();
  }
  directions.show([]);
  setText(at("why-trouble"), "");
  showWhy(newest);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  ask();
}

// The newest state has come.
export function showWhy(devices) {
  newest = devices;
  const device = devices.find((each) => each.identity === asked);
  if (device) showDevice(device);
  else if (asked !== null) setText(at("why-trouble"), "This device has no port any more.");
}

async function ask() {
  clearTimeout(timer);
  const identity = asked;
  try {
    const answer = await fetch(`api/v1/decisions?device=${encodeURIComponent(identity)}`);
    if (!answer.ok) throw new Error(`the router answers ${answer.status}`);
    const { devices: [decided] } = await answer.json();
    if (identity !== asked) return;
    const some = decided.decisions.length > 0;
    setText(at("why-trouble"), some ? "" : "Nothing has been decided for it yet.");
    showDecisions(decided);
  } catch (error) {
    if (identity !== asked) return;
    setText(at("why-trouble"), `The router cannot be asked now (${error.message}); trying again.`);
  }
  clearTimeout(timer);
  timer = setTimeout(ask, ASK_MS);
}

// --- What holds ----------------------------------------------------------------------------------

const directions = new Kept((direction) => {
  const root = element("section", "direction");
  const parts = { root, direction };
  parts.verdict = root.appendChild(element("p", "verdict"));
  const list = root.appendChild(element("dl", "ladder"));
  for (const [key, name] of [
    ["could", WORDS[direction].most], ["limit", "Limit now"], ["granted", "Granted"], ["flows", "Flows"],
  ]) {
    const row = list.appendChild(element("div", key));
    row.append(element("dt", "", name));
    parts[key] = row.appendChild(element("dd"));
    parts[`${key}Bar`] = row.appendChild(element("dd", "track")).appendChild(element("span"));
    parts[`${key}Bar`].parentNode.setAttribute("aria-hidden", "true");
  }
  for (const [key, name] of [["because", "Because"], ["more", "For more"]]) {
    const line = root.appendChild(element("p", "because"));
    line.append(element("b", "", `${name}: `));
    parts[key] = line.appendChild(element("span"));
  }
  parts.meaning = element("p", "quiet");
  root.lastChild.before(parts.meaning);
  return parts;
});

function showDecisions(decided) {
  const device = newest.find((each) => each.identity === asked);
  if (!device) return;
  const used = decided.decisions.filter(({ direction, power_w: power }) => power > 0
    || (direction === "import" ? device.supply : device.demand) !== null);
  // What flows comes first; a device that can do neither is told all the same.
  const told = (used.length ? used : decided.decisions.slice(0, 1))
    .sort((one, other) => other.power_w - one.power_w);
  const shown = directions.showIn(at("why-directions"), told.map((each) => each.direction));
  told.forEach((decision, index) => showDirection(shown[index], decision, device));
  showChanges(decided.changes);
}

function showDirection(parts, decision, device) {
  const inward = decision.direction === "import";
  const words = WORDS[decision.direction];
  const could = inward ? offered(device) : wanted(device);
  const flows = inward ? device.import_w : device.export_w;
  const of = Number.isFinite(could) ? ` of the ${watts(could)} that it ${words.could}` : "";
  const full = Number.isFinite(could) && decision.power_w >= 0.97 * could;
  setText(parts.verdict, !(decision.power_w > 0) ? `${words.none}${could > 0 ? of : ""}.`
    : full ? `${words.verb} all that it ${words.could}: ${watts(decision.power_w)}.`
      : `${words.verb} ${watts(decision.power_w)}${of}.`);
  const values = { could, limit: decision.bound_w, granted: decision.power_w, flows };
  const most = Math.max(1, ...Object.values(values).filter(Number.isFinite));
  for (const [key, value] of Object.entries(values)) {
    setText(parts[key], watts(value));
    parts[`${key}Bar`].style.width = `${(100 * (value ?? 0)) / most}%`;
  }
  // The state tells what lasts of the direction in use; a decision, what holds at this moment.
  const used = flowsOut(device) !== inward && device.reason !== null;
  setText(parts.because, sentence(used ? device.why : decision.text));
  setText(parts.meaning, meaning(used ? device.reason : decision.reason));
  setText(parts.more, sentence(used ? device.more : decision.more));
}

// --- The device ----------------------------------------------------------------------------------

function showDevice(device) {
  const name = at("why-name");
  const kind = kindOf(device);
  if (!name.firstChild) name.append(icon(kind), element("span"));
  dialog.className = `kind-${kind}`;
  set(name.firstChild.firstChild, { href: `#icon-${kind}` });
  setText(name.lastChild, nameOf(device));
  const { connected, seconds, address, fingerprint, tenant } = device.session;
  setText(at("why-facts"), [
    device.identity, typeOf(device), `${SIDES[device.side] ?? device.side} (${device.side} ${device.kind})`,
    connected ? `connected for ${span(seconds)} from ${address}` : "not connected",
    tenant && `tenant ${tenant}`, fingerprint && `certificate ${fingerprint.slice(0, 16)}…`,
  ].filter(Boolean).join(" · "));
  const charge = device.storage?.soc;
  const facts = [
    ["Charge", Number.isFinite(charge) ? `${charge.toFixed(1)}\u00a0%` : null],
    ["Sources", device.mix ? mixWords(device.mix) : null],
    ["Carbon", Number.isFinite(device.carbon_g_kwh) ? `${Math.round(device.carbon_g_kwh)}\u00a0g/kWh` : null],
    ["Price", Number.isFinite(device.price) ? `${device.price.toFixed(3)} per kWh` : null],
    ["Given, ever", energy(device.energy_import_wh)],
    ["Received, ever", energy(device.energy_export_wh)],
  ].filter(([, text]) => text !== null);
  const shown = energies.showIn(at("why-energy"), facts.map(([title]) => title));
  facts.forEach(([, text], index) => setText(shown[index].value, text));
  showLines(at("why-entries"), eventsOf(device.identity), "Nothing yet.");
}

const energies = new Kept((title) => {
  const root = element("div");
  root.append(element("dt", "", title));
  return { root, value: root.appendChild(element("dd")) };
});

function showChanges(changes) {
  const lines = changes.slice().reverse().map(({ before_w: before, after, cause, since }) => {
    const way = after.direction === "import" ? "in" : "out";
    const from = watts(before) === watts(after.power_w) ? "" : `${watts(before)} → `;
    return [since, `${from}${watts(after.power_w)} ${way}: ${cause}`];
  });
  showLines(at("why-changes"), lines, "None yet.");
}

dialog.addEventListener("close", () => {
  asked = null;
  clearTimeout(timer);
});
at("why-close").addEventListener("click", () => dialog.close());
// A click beside the dialog meets the dialog itself, one inside meets what is in it.
dialog.addEventListener("click", (event) => {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  const inside = event.clientX >= left && event.clientX <= right
    && event.clientY >= top && event.clientY <= bottom;
  if (event.target === dialog && !inside) dialog.close();
});

// What has happened: sessions, losses, orders, and what rules over the devices.

import { Kept, at, choose, element, setText, whyButton } from "./dom.js";
import { nameOfIdentity } from "./words.js";

const KEPT = 600;
const SHOWN = 100;
const OF_DEVICE = 6;
const KINDS = [["all", "All"], ["decision", "Decisions"], ["session", "Sessions"], ["log", "Router"]];
const TAGS = { decision: "Decision", session: "Session", log: "Router" };

let entries = [];
let chosen = "all";
// Whether the connection is new: the router then tells anew all that it has kept.
let fresh = true;

export function connectedAnew() {
  fresh = true;
}

export function hear(news, us) {
  entries = (fresh ? news : entries.concat(news)).slice(-KEPT);
  fresh = false;
  showEvents(us);
}

const time = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

function when(text) {
  const moment = new Date(text);
  const today = moment.toDateString() === new Date().toDateString();
  return today ? time.format(moment) : `${day.format(moment)}, ${time.format(moment)}`;
}

// --- The list ------------------------------------------------------------------------------------

const lines = new Kept(makeLine);
let shownNumbers = new Map();

function makeLine(number) {
  const entry = shownNumbers.get(number);
  const loud = entry.level !== "info";
  const root = element("li", `entry ${entry.kind} ${entry.level}`);
  const stamp = root.appendChild(element("time", "quiet", when(entry.time)));
  stamp.dateTime = entry.time;
  const tag = loud ? (entry.level === "error" ? "Error" : "Warning") : TAGS[entry.kind] ?? "Router";
  root.append(element("span", "tag", tag));
  const text = root.appendChild(element("span", "text"));
  if (entry.device === null) text.textContent = entry.text;
  else fill(text, entry);
  return { root };
}

// The words of a decision follow the name of its device; in other texts the name stands somewhere.
function fill(text, entry) {
  const name = nameOfIdentity(entry.device);
  if (entry.kind === "decision") {
    text.append(whyButton(entry.device, name), ` ${entry.text}`);
    return;
  }
  const [before, ...after] = entry.text.split(entry.device);
  if (after.length) text.append(before, whyButton(entry.device, name), after.join(entry.device));
  else text.textContent = entry.text;
}

// The router's own name before each line of its log says nothing here.
const plain = (entry, us) => ({ ...entry, text: entry.text.replace(`${us}: `, "") });

let router = "";

function showEvents(us = router) {
  router = us;
  const some = entries.filter((each) => chosen === "all" || each.kind === chosen)
    .slice(-SHOWN).reverse().map((each) => plain(each, us));
  // A router that began anew counts anew: the time tells its entries from the old ones.
  const key = (each) => `${each.number} ${each.time}`;
  shownNumbers = new Map(some.map((each) => [key(each), each]));
  lines.showIn(at("entries"), [...shownNumbers.keys()]);
  at("no-entries").hidden = some.length > 0;
}

choose(at("kinds"), KINDS, "all", (kind) => {
  chosen = kind;
  showEvents();
});

// --- For the dialog ------------------------------------------------------------------------------

// The last events of a device as [time, text], the newest first.
export function eventsOf(identity) {
  return entries.filter((each) => each.device === identity).slice(-OF_DEVICE).reverse()
    .map((each) => [each.time, plain(each, router).text]);
}

export function showLines(list, rows, none) {
  const texts = rows.length ? rows.map(([moment, text]) => [when(moment), text]) : [["", none]];
  while (list.children.length > texts.length) list.lastChild.remove();
  texts.forEach(([moment, text], index) => {
    if (!list.children[index]) {
      list.append(element("li"));
      list.lastChild.append(element("time", "quiet"), element("span"));
    }
    setText(list.children[index].firstChild, moment);
    setText(list.children[index].lastChild, text);
  });
}

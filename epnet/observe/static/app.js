// The live page: shows the state that the router sends each second.
//
// Texts come from devices and are not to be trusted: they go into the page as text only.

import { rememberDevices } from "./charts.js";
import { at, setText } from "./dom.js";
import { connectedAnew, hear } from "./events.js";
import { showPicture } from "./picture.js";
import { showTable } from "./table.js";
import { showHead, showHeld, showTotals } from "./totals.js";
import { openWhy, showWhy } from "./why.js";
import { remember, span } from "./words.js";

const RETRY_MS = 2000;
const STALE_MS = 3000;

let heardAt = null;
let failure = null;

function showStatus() {
  const age = heardAt === null ? 0 : performance.now() - heardAt;
  let [look, text] = ["live", "Live"];
  if (failure !== null) [look, text] = ["lost", `${failure}; trying again.`];
  else if (heardAt === null) [look, text] = ["waiting", "Connecting…"];
  else if (age > STALE_MS) [look, text] = ["stale", "No news from the router."];
  const old = heardAt !== null && (look === "lost" || look === "stale");
  at("status").className = `status ${look}`;
  setText(at("status-text"), text);
  setText(at("status-age"), old ? `What you see is ${span(age / 1000)} old.` : "");
  at("live").classList.toggle("old", old);
}

function show(state) {
  remember(state.devices);
  at("live").classList.toggle("none", state.devices.length === 0);
  showHead(state);
  showHeld(state.devices);
  showTotals(state);
  showPicture(state);
  showTable(state.devices);
  showWhy(state.devices);
  rememberDevices(state);
}

// The browser dials again by itself after a break, but gives up on an answer that is no stream: then
// we ask anew.
function listen() {
  const source = new EventSource("api/v1/events");
  let waiting = [];
  source.addEventListener("open", connectedAnew);
  source.addEventListener("log", (event) => waiting.push(...JSON.parse(event.data)));
  source.addEventListener("state", (event) => {
    const state = JSON.parse(event.data);
    show(state);
    // After the state, which has the names of the devices.
    if (waiting.length) hear(waiting, state.router.identity);
    waiting = [];
    heardAt = performance.now();
    failure = null;
    showStatus();
  });
  source.addEventListener("error", () => {
    failure = "No connection to the router";
    showStatus();
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(listen, RETRY_MS);
  });
}

// Whatever has `data-why` tells why: a device in the picture, a row of the table, a name.
document.addEventListener("click", (event) => {
  const found = event.target.closest("[data-why]");
  if (found) openWhy(found.dataset.why);
});
at("flows").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  openWhy(event.target.dataset.why);
});

setInterval(showStatus, 500);
listen();

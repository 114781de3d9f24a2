// A chart over time: stacked areas above and below a line, or lines, with a cursor for pointer and
// keyboard, a legend that has the values, and a table of them.

import { Kept, element, set, setText, svg } from "./dom.js";

const HEIGHT = 230;
const LEFT = 58;
const RIGHT = 10;
const TOP = 10;
const FOOT = 24;
const TABLE_ROWS = 24;
const TIME_STEPS = [
  5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800,
  604800, 1209600, 2592000, 5184000,
];
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const seconds = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const moment = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium", timeStyle: "short", hourCycle: "h23",
});

// Data: `times`, s since 1970, evenly `step` apart; `series` of {key, name, kind, values}, a value
// for each time or null: above 0 it is stacked upwards, below 0 downwards.
export class Plot {
  // unit: makes words of a value.  lines: whether to draw lines instead of areas.  range: the least
  // and the most that the axis shows, or null.
  constructor({ title, unit, lines = false, range = null }) {
    Object.assign(this, { title, unit, lines, range, data: null, cursor: null });
    this.root = element("figure", "chart");
    const head = this.root.appendChild(element("figcaption"));
    head.append(element("h3", "", title));
    this.when = head.appendChild(element("span", "quiet"));
    this.canvas = this.root.appendChild(svg("svg", { tabindex: 0, role: "slider", height: HEIGHT }));
    this.grid = this.canvas.appendChild(svg("g", { class: "grid" }));
    this.shapes = this.canvas.appendChild(svg("g"));
    this.axis = this.canvas.appendChild(svg("g", { class: "axis" }));
    this.line = this.canvas.appendChild(svg("line", { class: "cursor" }));
    this.legend = this.root.appendChild(element("ul", "legend"));
    this.table = this.root.appendChild(element("details"));
    this.table.append(element("summary", "", "As a table"), element("div", "scroll"));
    this.areas = new Kept((key) => ({ root: svg("path", { "data-key": key }) }));
    this.names = new Kept(() => {
      const root = element("li");
      root.append(element("span", "swatch"));
      return { root, name: root.appendChild(element("span")), value: root.appendChild(element("b")) };
    });
    this.listen();
  }

  listen() {
    this.canvas.addEventListener("pointermove", (event) => {
      const x = event.clientX - this.canvas.getBoundingClientRect().left;
      this.point(Math.round((x - LEFT) / (this.wide / Math.max(1, this.last))));
    });
    this.canvas.addEventListener("pointerleave", () => this.point(null));
    this.canvas.addEventListener("blur", () => this.point(null));
    this.canvas.addEventListener("keydown", (event) => {
      const now = this.cursor ?? this.last;
      const to = {
        ArrowLeft: now - 1, ArrowRight: now + 1, ArrowDown: now - 1, ArrowUp: now + 1,
        PageDown: now - 10, PageUp: now + 10, Home: 0, End: this.last,
      }[event.key];
      if (event.key === "Escape") this.point(null);
      if (to === undefined || !this.data) return;
      event.preventDefault();
      this.point(to);
    });
    this.table.addEventListener("toggle", () => this.showTable());
    new ResizeObserver(() => this.data && this.draw()).observe(this.canvas);
  }

  get last() {
    return this.data ? this.data.times.length - 1 : 0;
  }

  show(data) {
    // The cursor stays at its moment while time goes on.
    const held = this.cursor === null ? null : this.data?.times[this.cursor];
    this.data = data;
    this.cursor = held === null || held === undefined ? null
      : Math.max(0, Math.min(this.last, Math.round((held - data.times[0]) / data.step)));
    this.draw();
    this.showTable();
  }

  point(index) {
    this.cursor = index === null || !this.data ? null : Math.max(0, Math.min(this.last, index));
    this.showCursor();
  }

  // --- Drawing

  draw() {
    const { times, series } = this.data;
    const width = Math.max(260, this.canvas.clientWidth || 600);
    this.wide = width - LEFT - RIGHT;
    set(this.canvas, { viewBox: `0 0 ${width} ${HEIGHT}` });
    this.x = (index) => LEFT + (this.last ? (index * this.wide) / this.last : this.wide);
    const stacks = this.lines ? null : stacked(series, times.length);
    const [low, high] = this.range ?? limits(stacks);
    const ticks = niceTicks(low, high, 5);
    const [bottom, top] = this.range ?? [Math.min(low, ticks[0]), Math.max(high, ticks.at(-1))];
    this.y = (value) => TOP + ((top - value) / (top - bottom)) * (HEIGHT - TOP - FOOT);
    this.drawAxes(ticks, width);
    const shapes = this.lines ? this.pathLines(series) : this.pathAreas(stacks);
    const shown = this.areas.showIn(this.shapes, shapes.map(([key]) => key));
    shapes.forEach(([, kind, d, look], index) => {
      set(shown[index].root, { class: `${this.lines ? "stroke" : "area"} kind-${kind} look-${look}`, d });
    });
    this.showCursor();
  }

  drawAxes(ticks, width) {
    const { times, step } = this.data;
    const rules = ticks.map((value) => svg("line", {
      x1: LEFT, x2: width - RIGHT, y1: this.y(value), y2: this.y(value), class: value === 0 ? "zero" : "",
    }));
    const labels = ticks.map((value) => label(LEFT - 8, this.y(value) + 4, "end", this.unit(value, ticks)));
    const [first, final] = [times[0], times.at(-1)];
    const every = TIME_STEPS.find((each) => (final - first) / each <= Math.max(2, this.wide / 92))
      ?? TIME_STEPS.at(-1);
    const shift = new Date(final * 1000).getTimezoneOffset() * 60;
    for (let time = Math.ceil((first - shift) / every) * every + shift; time <= final; time += every) {
      const x = this.x((time - first) / step);
      rules.push(svg("line", { x1: x, x2: x, y1: HEIGHT - FOOT, y2: HEIGHT - FOOT + 4 }));
      const at = new Date(time * 1000);
      const text = every >= 86400 ? date.format(at) : every < 60 ? seconds.format(at) : clock.format(at);
      const half = every < 60 ? 34 : 24;
      labels.push(label(Math.min(x, width - half), HEIGHT - 6, "middle", text));
    }
    this.grid.replaceChildren(...rules);
    this.axis.replaceChildren(...labels);
  }

  pathAreas(stacks) {
    return stacks.map(({ key, kind, look, lower, upper }) => {
      const d = runs(upper).map(([from, to]) => {
        const edge = (values, index) => `${this.x(index).toFixed(1)} ${this.y(values[index]).toFixed(1)}`;
        const there = [];
        const back = [];
        for (let index = from; index <= to; index += 1) {
          there.push(edge(upper, index));
          back.unshift(edge(lower, index));
        }
        return `M${there.join("L")}L${back.join("L")}Z`;
      });
      return [key, kind, d.join(""), look];
    });
  }

  pathLines(series) {
    return series.map(({ key, kind, look, values }) => {
      const d = runs(values).map(([from, to]) => {
        const points = [];
        for (let index = from; index <= to; index += 1) {
          points.push(`${this.x(index).toFixed(1)} ${this.y(values[index]).toFixed(1)}`);
        }
        return `M${points.join("L")}${from === to ? "h1" : ""}`;
      });
      return [key, kind, d.join(""), look];
    });
  }

  // --- Values

  showCursor() {
    if (!this.data) return;
    const { times, series } = this.data;
    const index = this.cursor ?? this.last;
    const at = times.length ? moment.format(new Date(times[index] * 1000)) : "";
    const exact = times.length && this.data.step < 60 ? seconds.format(new Date(times[index] * 1000)) : at;
    const x = this.cursor === null ? -10 : this.x(index);
    set(this.line, { x1: x, x2: x, y1: TOP, y2: HEIGHT - FOOT });
    setText(this.when, this.cursor === null ? "newest values" : exact);
    const shown = this.names.showIn(this.legend, series.map((each) => each.key));
    const words = series.map((each) => this.unit(each.values[index]));
    series.forEach((each, number) => {
      const { root, name, value } = shown[number];
      set(root, { class: `kind-${each.kind} look-${each.look}` });
      setText(name, each.name);
      setText(value, words[number]);
    });
    const all = series.map((each, number) => `${each.name} ${words[number]}`).join(", ");
    set(this.canvas, {
      "aria-label": `${this.title} over time, moved through with the arrow keys`,
      "aria-valuemin": 0, "aria-valuemax": this.last, "aria-valuenow": index,
      "aria-valuetext": `${exact}: ${all}`,
    });
  }

  showTable() {
    const box = this.table.lastChild;
    if (!this.table.open || !this.data) {
      box.replaceChildren();
      return;
    }
    const { times, series } = this.data;
    const every = Math.max(1, Math.ceil(times.length / TABLE_ROWS));
    const table = element("table", "plain");
    const head = table.appendChild(element("thead")).appendChild(element("tr"));
    for (const name of ["Time", ...series.map((each) => each.name)]) {
      head.appendChild(element("th", "", name)).scope = "col";
    }
    const body = table.appendChild(element("tbody"));
    for (let index = this.last; index >= 0; index -= every) {
      const row = body.appendChild(element("tr"));
      const at = new Date(times[index] * 1000);
      row.appendChild(element("th", "", (this.data.step < 60 ? seconds : moment).format(at))).scope = "row";
      for (const each of series) row.append(element("td", "", this.unit(each.values[index])));
    }
    box.replaceChildren(table);
  }
}

function label(x, y, anchor, text) {
  const made = svg("text", { x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
}

// For each series with anything above 0, and each with anything below, its lower and upper edge.
function stacked(series, count) {
  const layers = [];
  for (const sign of [1, -1]) {
    const sums = new Array(count).fill(0);
    for (const { key, kind, look, values } of series) {
      if (!values.some((value) => value * sign > 0)) continue;
      const lower = sums.slice();
      const upper = values.map((value, index) => {
        if (value === null) return null;
        if (value * sign > 0) sums[index] += value;
        return sums[index];
      });
      layers.push({ key: `${key} ${sign}`, kind, look, lower, upper });
    }
  }
  return layers;
}

function limits(stacks) {
  let [low, high] = [0, 0];
  for (const { upper } of stacks) {
    for (const value of upper) [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  return low === 0 && high === 0 ? [0, 1000] : [low, high];
}

// The stretches without null, as [first, last].
function runs(values) {
  const found = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (found.length && found.at(-1)[1] === index - 1) found.at(-1)[1] = index;
    else found.push([index, index]);
  });
  return found;
}

function niceTicks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const ticks = [];
  for (let value = Math.floor(low / step) * step; value < high + step; value += step) {
    ticks.push(Math.abs(value) < step / 2 ? 0 : value);
    if (value >= high) break;
  }
  return ticks;
}

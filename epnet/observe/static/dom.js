// Small helpers for the document.

const SVG = "http://www.w3.org/2000/svg";

export const at = (id) => document.getElementById(id);

export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
  return node;
}

export function svg(tag, attributes = {}) {
  return set(document.createElementNS(SVG, tag), attributes);
}

export function icon(kind) {
  const picture = svg("svg", { class: "icon", "aria-hidden": "true" });
  picture.append(svg("use", { href: `#icon-${kind}` }));
  return picture;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A button that tells why; `app.js` listens to all of them.
export function whyButton(identity, text) {
  const made = element("button", "link", text);
  made.type = "button";
  made.dataset.why = identity;
  return made;
}

// Buttons of which one is chosen: `choices` are [value, text].
export function choose(box, choices, first, chosen) {
  const buttons = choices.map(([value, text]) => {
    const made = box.appendChild(element("button", "", text));
    made.type = "button";
    made.addEventListener("click", () => mark(value));
    return [value, made];
  });
  function mark(value) {
    for (const [each, made] of buttons) set(made, { "aria-pressed": each === value });
    chosen(value);
  }
  mark(first);
}

// Things of the page by key: made once, updated while the key is there, removed when it is gone.
export class Kept {
  constructor(make) {
    this.make = make;
    this.things = new Map();
  }

  show(keys) {
    const shown = new Set(keys);
    for (const [key, thing] of this.things) {
      if (!shown.has(key)) {
        thing.root.remove();
        this.things.delete(key);
      }
    }
    return keys.map((key) => {
      if (!this.things.has(key)) this.things.set(key, this.make(key));
      return this.things.get(key);
    });
  }

  // The same, in that order below `parent`; nothing is moved that is in its place.
  showIn(parent, keys) {
    const shown = this.show(keys);
    shown.forEach(({ root }, index) => {
      const there = parent.children[index];
      if (there !== root) parent.insertBefore(root, there ?? null);
    });
    return shown;
  }
}

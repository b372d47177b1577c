// Elements, numbers, and text that a model wrote: it only ever becomes text nodes.

const byId = (id) => document.getElementById(id);

/** An element. Attributes that are null or false are left out; "on..." are listeners; children are nodes or strings. */
function el(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "line", "path", "polyline", "rect", "text", "circle"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

const count = (value) => (value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en-US"));

function short(value) {
  if (value === null || value === undefined) return "–";
  for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (value >= size) return `${(value / size).toFixed(value / size < 100 ? 1 : 0)}${unit}`;
  }
  return `${Math.round(value)}`;
}

const duration = (seconds) =>
  seconds === null ? "–" : seconds < 90 ? `${seconds.toFixed(1)} s` : seconds < 5400 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

// Whatever can't be seen, or turns the direction of what can. Joiners and variation selectors are part of words and emoji.
const HIDDEN = /\r\n|[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}]/gu;
const MEANT = /^(?:\r\n|[\n\t\u200c\u200d\ufe00-\ufe0f\u{e0100}-\u{e01ef}])$/u;

/** Text as nodes, with hidden characters spelled out; many of the same in a row are counted. */
function shown(text) {
  const nodes = document.createDocumentFragment();
  let from = 0;
  let last = null; // the hidden character before, if it ended at `from`
  for (const match of text.matchAll(HIDDEN)) {
    const char = match[0];
    if (MEANT.test(char)) continue;
    nodes.append(text.slice(from, match.index));
    if (last !== null && last.char === char && from === match.index) {
      last.times += 1;
    } else {
      const node = el("span", { class: "esc" }, `U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`);
      last = { char, node, times: 1 };
      nodes.append(node);
    }
    if (last.times > 1) last.node.dataset.times = `×${count(last.times)}`;
    from = match.index + char.length;
  }
  nodes.append(text.slice(from));
  nodes.normalize();
  return nodes;
}

/** The same in an element of its own, so that it can't change the direction of what is around it. */
const isolated = (text) => el("bdi", { dir: "auto" }, shown(text));

/** Text for an attribute. */
const plain = (text) => text.replace(HIDDEN, (char) => (MEANT.test(char) ? char : "\ufffd"));

/** The beginning, at most that many characters, never half of a pair. */
function cut(text, most) {
  if (text.length <= most) return text;
  const half = /[\ud800-\udbff]$/.test(text.slice(0, most));
  return `${text.slice(0, half ? most - 1 : most)}…`;
}

const AT_ONCE = 40_000; // characters; a browser that lays out megabytes in one line stands still
const MORE = 200_000;

/** A long text: its beginning, and a button for more. */
function longText(text, tag = "div") {
  const body = el(tag, { class: "prose", dir: "auto" });
  const box = el("div", { class: "long" }, body);
  let upTo = 0;
  const more = el("button", { type: "button", class: "link more", onclick: () => extend(MORE) });
  function extend(by) {
    let end = Math.min(text.length, upTo + by);
    if (end < text.length && /[\ud800-\udbff]/.test(text[end - 1])) end -= 1;
    body.append(shown(text.slice(upTo, end)));
    upTo = end;
    more.textContent = `Show more (${count(text.length - upTo)} of ${count(text.length)} characters left)`;
    if (upTo >= text.length) more.remove();
  }
  extend(AT_ONCE);
  if (upTo < text.length) box.append(more);
  return box;
}

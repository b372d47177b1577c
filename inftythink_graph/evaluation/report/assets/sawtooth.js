// The sawtooth: tokens in the context against tokens generated, request by request.

/** The corners of the curve, two for each request, and which epoch each request belongs to. */
function curveOf(contexts) {
  const corners = [];
  const epochs = [];
  let generated = 0;
  contexts.forEach((requests, epoch) => {
    for (const [prompt, completion] of requests) {
      corners.push([generated, prompt], [generated + completion, prompt + completion]);
      epochs.push(epoch);
      generated += completion;
    }
  });
  const peak = corners.reduce((most, [, context]) => Math.max(most, context), 0);
  return { corners, epochs, generated, peak, prompt: corners.length ? corners[0][1] : 0 };
}

/** Round numbers from 0 to the top, about that many. */
function ticks(top, about) {
  const raw = top / about;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(1, [1, 2, 5, 10].find((each) => each * size >= raw) * size);
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, number) => number * step);
}

const points = (corners, x, y) => corners.map(([left, up]) => `${x(left).toFixed(1)},${y(up).toFixed(1)}`).join(" ");

/** A small one without axes, for several beside each other on one scale. */
function smallSawtooth(contexts, { width = 240, height = 64, generated, peak, run }) {
  const curve = curveOf(contexts);
  const x = (value) => 1 + (value / Math.max(1, generated)) * (width - 2);
  const y = (value) => height - 1 - (value / Math.max(1, peak)) * (height - 3);
  const line = points(curve.corners, x, y);
  return el(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: `small-saw run-${run % 8}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    el("polyline", { class: "area", points: `${x(0)},${y(0)} ${line} ${x(curve.generated)},${y(0)}` }),
    el("polyline", { class: "line", points: line }),
  );
}

const CHART = { left: 56, right: 14, top: 18, bottom: 34, height: 260 };

/** The whole chart. `pick` is called with an epoch's number when its tooth is chosen. */
function sawtooth(contexts, { window: limit, run, pick }) {
  const curve = curveOf(contexts);
  if (!curve.generated) return el("p", { class: "soft" }, "No sawtooth: the model reported no token counts.");
  const inScale = limit && limit <= 8 * curve.peak;
  const top = Math.max(1.18 * curve.peak, inScale ? 1.1 * limit : 0);
  const share = limit ? `, ${Math.round((100 * curve.peak) / limit)}% of the window of ${count(limit)}` : "";
  const said = `${count(curve.generated)} tokens generated, never more than ${count(curve.peak)} in context${share}`;
  const box = el("div", { class: "chart" });
  const readout = el("p", { class: "readout soft", "aria-hidden": "true" });
  let width = 0;
  function draw() {
    if (box.clientWidth === width || box.clientWidth === 0) return;
    width = box.clientWidth;
    box.replaceChildren(chart(curve, { width, top, limit: inScale ? limit : null, run, said, readout, pick }));
  }
  new ResizeObserver(draw).observe(box);
  readout.textContent = IDLE;
  return el("figure", { class: "sawtooth" }, box, readout, el("figcaption", {}, `${said}.`));
}

const IDLE = "Point at a tooth for its numbers; choose it to read the epoch.";

function chart(curve, { width, top, limit, run, said, readout, pick }) {
  const { left, right, top: above, bottom, height } = CHART;
  const x = (value) => left + (value / curve.generated) * (width - left - right);
  const y = (value) => height - bottom - (value / top) * (height - above - bottom);
  const line = points(curve.corners, x, y);
  const svg = el("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Sawtooth: ${said}`, class: `run-${run % 8}` });
  for (const value of ticks(top, 4)) {
    svg.append(el("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    svg.append(el("text", { class: "tick end", x: left - 8, y: y(value) + 4 }, short(value)));
  }
  for (const value of ticks(curve.generated, Math.max(2, width / 130))) {
    svg.append(el("text", { class: "tick middle", x: Math.min(x(value), width - right - 8), y: height - bottom + 16 }, short(value)));
  }
  svg.append(el("text", { class: "tick", x: 0, y: 10 }, "tokens in context"));
  svg.append(el("text", { class: "tick end", x: width - right, y: height - 3 }, "tokens generated"));
  // What the same reasoning would need as one chain: it leaves the picture at the top.
  const chain = Math.min(curve.generated, top - curve.prompt);
  const several = curve.epochs.length > 1;
  if (several) {
    svg.append(el("line", { class: "chain", x1: x(0), y1: y(curve.prompt), x2: x(chain), y2: y(curve.prompt + chain) }));
    if (x(chain) + 110 < width) svg.append(el("text", { class: "tick", x: x(chain) + 6, y: above + 6 }, "as one long chain"));
  }
  svg.append(el("polyline", { class: "area", points: `${x(0)},${y(0)} ${line} ${x(curve.generated)},${y(0)}` }));
  svg.append(el("polyline", { class: "line curve", points: line }));
  if (limit) {
    svg.append(el("line", { class: "window", x1: left, x2: width - right, y1: y(limit), y2: y(limit) }));
    // At the side that the chain's end leaves free.
    const free = x(chain) < width / 2 ? { class: "tick end", x: width - right } : { class: "tick", x: left + 6 };
    svg.append(el("text", { ...free, y: y(limit) - 5 }, `context window ${count(limit)}`));
  }
  const guide = el("line", { class: "guide", y1: above, y2: height - bottom, visibility: "hidden" });
  svg.append(guide);
  /** The request under the pointer. */
  function requestAt(event) {
    const value = ((event.clientX - svg.getBoundingClientRect().left - left) / (width - left - right)) * curve.generated;
    let number = 0;
    while (number < curve.epochs.length - 1 && curve.corners[2 * number + 1][0] < value) number += 1;
    return number;
  }
  svg.addEventListener("pointermove", (event) => {
    const number = requestAt(event);
    const [[, prompt], [end, context]] = curve.corners.slice(2 * number, 2 * number + 2);
    for (const side of ["x1", "x2"]) guide.setAttribute(side, x(end));
    guide.setAttribute("visibility", "visible");
    readout.textContent = `Epoch ${curve.epochs[number] + 1}: prompt ${count(prompt)}, context at its end ${count(context)}, ${count(end)} generated by then`;
  });
  svg.addEventListener("pointerleave", () => {
    guide.setAttribute("visibility", "hidden");
    readout.textContent = IDLE;
  });
  svg.addEventListener("click", (event) => pick(curve.epochs[requestAt(event)]));
  return svg;
}

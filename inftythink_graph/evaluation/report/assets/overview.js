// The overview: how each run's trials ended, and which questions each run gets right.

const OUTCOMES = [
  ["right", "right", { verdict: "right" }],
  ["wrong", "wrong", { verdict: "wrong", status: "answered" }],
  ["cut", "cut at the limit, wrong", { verdict: "wrong", status: "cut" }],
  ["exhausted", "out of epochs, wrong", { verdict: "wrong", status: "exhausted" }],
  ["other", "stalled or rejected, wrong", { verdict: "wrong" }],
];
const outcomeOf = (trial) =>
  trials.right[trial] ? "right" : { answered: "wrong", cut: "cut", exhausted: "exhausted" }[trials.status[trial]] ?? "other";

function summarize(run) {
  const found = { trials: 0, tokens: 0, epochs: 0, peak: 0, texts: 0, outcomes: {} };
  for (let trial = 0; trial < total; trial += 1) {
    if (trials.run[trial] !== run) continue;
    const outcome = outcomeOf(trial);
    found.trials += 1;
    found.tokens += trials.tokens[trial];
    found.epochs += trials.epochs[trial];
    found.peak = Math.max(found.peak, trials.peak[trial]);
    found.texts += trials.text[trial] === 1;
    found.outcomes[outcome] = (found.outcomes[outcome] ?? 0) + 1;
  }
  return found;
}

function runCard(run, number, choose) {
  const facts = summarize(number);
  const own = { run: run.name, task: tasks[run.task].name };
  const mean = (sum) => (facts.trials ? sum / facts.trials : null);
  const config = Object.fromEntries(run.config);
  const about = ["method", "model", "eta", "max_epochs", "max_tokens", "temperature"].filter((name) => config[name] !== undefined);
  const pick = (some) => (event) => {
    event.preventDefault();
    choose({ ...own, ...some });
    location.hash = "#trials";
  };
  const bar = el("div", { class: "stack" });
  for (const [name, said, some] of OUTCOMES) {
    const found = facts.outcomes[name];
    if (!found) continue;
    const piece = el("a", { href: "#trials", class: `piece ${name}`, "aria-label": `${count(found)} ${said}`, title: `${count(found)} ${said}`, onclick: pick(some) });
    piece.style.flexGrow = found;
    piece.append(found / facts.trials > 0.045 ? count(found) : "");
    bar.append(piece);
  }
  const lacking = run.expected !== null && run.expected > facts.trials ? ` of ${count(run.expected)}: cut short` : "";
  return el(
    "div",
    { class: "run-card" },
    el("h3", {}, dot(number), el("a", { href: "#trials", onclick: pick({}) }, isolated(cut(run.name, 80))), el("span", { class: "soft" }, " on ", isolated(cut(tasks[run.task].name, 60)))),
    bar,
    el("p", { class: "soft" }, `${plural(run.questions, "question")}, ${plural(facts.trials, "trial")}${lacking}, ${count(facts.texts)} with text · mean ${short(mean(facts.tokens))} tokens, ${mean(facts.epochs)?.toFixed(1) ?? "–"} epochs · peak context ${count(facts.peak)}`),
    el("p", { class: "soft settings" }, ...about.flatMap((name) => [el("span", {}, `${name} `, el("b", {}, isolated(cut(config[name], 60)))), " "])),
  );
}

const LEVELS = 4;
const CELLS = 4000; // questions beyond these would be thinner than can be seen

/** A task's questions as columns and its runs as rows: one path for each level, so that thousands of cells stay quick. */
function questionMap(task, number) {
  const shares = new Map(); // question -> run -> [right, samples, first trial]
  for (let trial = 0; trial < total; trial += 1) {
    if (runOf(trial).task !== number) continue;
    const question = trials.question[trial];
    if (!shares.has(question)) shares.set(question, new Map());
    const cell = shares.get(question).get(trials.run[trial]) ?? [0, 0, trial];
    shares.get(question).set(trials.run[trial], [cell[0] + trials.right[trial], cell[1] + 1, cell[2]]);
  }
  const own = runs.map((_, run) => run).filter((run) => runs[run].task === number);
  const mean = (cells) => [...cells.values()].reduce((sum, [right, all]) => sum + right / all, 0) / cells.size;
  const columns = [...shares].map(([question, cells]) => [question, cells, mean(cells)]).sort((one, two) => two[2] - one[2] || one[0] - two[0]).slice(0, CELLS);
  if (!columns.length) return "";
  const [wide, high, gap] = [1000, 22, 4];
  const column = wide / columns.length;
  const height = own.length * (high + gap);
  const svg = el("svg", { viewBox: `0 0 ${wide} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `Share of right samples for ${plural(columns.length, "question")} in ${plural(own.length, "run")}; the same is in the list of trials` });
  svg.style.height = `${height}px`;
  own.forEach((run, line) => {
    const paths = Array.from({ length: LEVELS + 1 }, () => "");
    columns.forEach(([, cells], place) => {
      const cell = cells.get(run);
      if (!cell) return;
      const inner = 0.92 * column;
      paths[Math.ceil((LEVELS * cell[0]) / cell[1])] += `M${(place * column).toFixed(2)} ${line * (high + gap)}h${inner.toFixed(2)}v${high}h${(-inner).toFixed(2)}z`;
    });
    paths.forEach((path, level) => path && svg.append(el("path", { d: path, class: `level-${level}` })));
  });
  const readout = el("p", { class: "readout soft", "aria-hidden": "true" }, "\u00a0");
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    const place = Math.floor(((event.clientX - box.left) / box.width) * columns.length);
    const line = Math.floor(((event.clientY - box.top) / box.height) * own.length);
    const found = columns[Math.min(Math.max(place, 0), columns.length - 1)];
    const run = own[Math.min(Math.max(line, 0), own.length - 1)];
    return { question: task.questions[found[0]], run, cell: found[1].get(run) };
  };
  svg.addEventListener("pointermove", (event) => {
    const { question, run, cell } = at(event);
    const said = cell ? `${cell[0]} of ${cell[1]} right` : "no trials";
    readout.replaceChildren(isolated(cut(question.id, 60)), ` · `, isolated(cut(runs[run].name, 60)), `: ${said} · `, isolated(cut(question.text, 120)));
  });
  svg.addEventListener("click", (event) => {
    const { cell } = at(event);
    if (cell) location.hash = addressOf(cell[2]);
  });
  const names = own.map((run) => el("li", {}, dot(run), isolated(cut(runs[run].name, 40))));
  const left = shares.size > columns.length ? ` (the first ${count(columns.length)} of ${count(shares.size)})` : "";
  return el(
    "div",
    { class: "map" },
    el("h3", {}, isolated(cut(task.name, 80)), el("span", { class: "soft" }, ` ${plural(columns.length, "question")}${left}`)),
    el("div", { class: "map-body" }, el("ol", {}, ...names), svg),
    readout,
  );
}

function showOverview(choose) {
  const found = new Set(Array.from({ length: total }, (_, trial) => outcomeOf(trial)));
  byId("outcomes").append(...OUTCOMES.filter(([name]) => found.has(name)).map(([name, said]) => el("li", {}, el("span", { class: `swatch ${name}` }), said)));
  byId("runs").append(...runs.map((run, number) => runCard(run, number, choose)));
  byId("maps").append(...tasks.map(questionMap));
  byId("maps-card").hidden = total === 0;
}

// Which trials are listed, and in which order.

const ANY = "";
const filters = { text: "", run: ANY, task: ANY, verdict: ANY, status: ANY, sort: "list", down: false };

const STATUS = {
  answered: "answered",
  rejected: "answer rejected",
  exhausted: "out of epochs",
  stalled: "stalled",
  cut: "cut at the limit",
};
const SPECIAL = {
  forced: ["answer forced", (trial) => trials.forced[trial]],
  malformed: ["malformed epochs", (trial) => trials.malformed[trial] > 0],
  timed_out: ["scoring timed out", (trial) => trials.scoring[trial] === "timed_out"],
  unanswered: ["no answer", (trial) => trials.answer[trial] === null],
};
const SORTS = {
  list: ["Run, question", (trial) => trial],
  question: ["Question, run", (trial) => runOf(trial).task * 1e7 + trials.question[trial]],
  epochs: ["Epochs", (trial) => trials.epochs[trial]],
  tokens: ["Tokens generated", (trial) => trials.tokens[trial]],
  peak: ["Peak context", (trial) => trials.peak[trial]],
  seconds: ["Seconds", (trial) => trials.seconds[trial] ?? -1],
};

let haystacks = null; // of each question of each task: lower case, made when first searched

function matches(words) {
  haystacks ??= tasks.map((task) => task.questions.map((each) => `${each.id}\n${each.text}\n${each.gold}`.toLowerCase()));
  return (trial) => {
    const question = haystacks[runOf(trial).task][trials.question[trial]];
    const answer = (trials.answer[trial] ?? "").toLowerCase();
    return words.every((word) => question.includes(word) || answer.includes(word));
  };
}

/** The trials that pass all filters, sorted. */
function listed() {
  const tests = [];
  const words = filters.text.toLowerCase().split(/\s+/).filter(Boolean);
  if (filters.run !== ANY) tests.push((trial) => runOf(trial).name === filters.run);
  if (filters.task !== ANY) tests.push((trial) => taskOf(trial).name === filters.task);
  if (filters.verdict !== ANY) tests.push((trial) => verdictOf(trial) === filters.verdict);
  if (filters.status !== ANY) tests.push(SPECIAL[filters.status]?.[1] ?? ((trial) => trials.status[trial] === filters.status));
  if (words.length) tests.push(matches(words));
  const found = [];
  for (let trial = 0; trial < total; trial += 1) if (tests.every((test) => test(trial))) found.push(trial);
  const key = SORTS[filters.sort][1];
  const sign = filters.down ? -1 : 1;
  return found.sort((left, right) => sign * (key(left) - key(right)) || left - right);
}

const CONTROLS = ["text", "run", "task", "verdict", "status", "sort"];

/** Fill the controls with what there is to choose, and call `changed` after every change. */
function setUpFilters(changed) {
  const tally = (values) => values.reduce((found, each) => found.set(each, (found.get(each) ?? 0) + 1), new Map());
  const options = (id, all, found, name) => {
    byId(id).append(el("option", { value: ANY }, all));
    for (const [value, number] of found) {
      byId(id).append(el("option", { value }, `${cut(plain(name(value)), 60)} (${count(number)})`));
    }
  };
  const every = Array.from({ length: total }, (_, trial) => trial);
  const special = Object.keys(SPECIAL).map((each) => [each, every.filter(SPECIAL[each][1]).length]);
  options("run", "All runs", tally(every.map((trial) => runOf(trial).name)), (name) => name);
  options("task", "All tasks", tally(every.map((trial) => taskOf(trial).name)), (name) => name);
  options("verdict", "Right and wrong", tally(every.map(verdictOf)), (name) => name);
  const ends = [...tally(trials.status), ...special.filter(([, number]) => number)];
  options("status", "However ended", ends, (name) => STATUS[name] ?? SPECIAL[name]?.[0] ?? name);
  for (const [value, [name]] of Object.entries(SORTS)) byId("sort").append(el("option", { value }, `Sort: ${name}`));
  byId("task").hidden = tasks.length < 2;
  let waiting = 0;
  for (const id of CONTROLS) {
    byId(id).addEventListener("input", () => {
      filters[id] = byId(id).value;
      // Tokens, epochs and seconds are asked for the largest first.
      if (id === "sort") filters.down = !["list", "question"].includes(filters.sort);
      clearTimeout(waiting);
      waiting = setTimeout(apply, id === "text" ? 80 : 0);
    });
  }
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("direction").addEventListener("click", () => {
    filters.down = !filters.down;
    apply();
  });
  byId("reset").addEventListener("click", () => choose({}));
  function apply() {
    for (const id of CONTROLS) if (byId(id).value !== filters[id]) byId(id).value = filters[id];
    byId("direction").textContent = filters.down ? "↓" : "↑";
    byId("direction").setAttribute("aria-pressed", String(filters.down));
    byId("reset").hidden = CONTROLS.every((id) => id === "sort" || filters[id] === ANY);
    changed();
  }
  /** Set some filters, and all others back. */
  function choose(some) {
    Object.assign(filters, { text: "", run: ANY, task: ANY, verdict: ANY, status: ANY }, some);
    apply();
  }
  return choose;
}

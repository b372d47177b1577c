// One trial: question, answers, what it took, the sawtooth, and the text of each epoch.

const KINDS = { summary: "goes on", conclusion: "concludes", cut: "cut", malformed: "malformed" };

const fact = (name, value, title) => el("div", { class: "fact", title }, el("dt", {}, name), el("dd", {}, value));
const badge = (text, kind = "") => el("span", { class: `badge ${kind}` }, shown(text));

function heading(trial) {
  const status = trials.status[trial];
  const verdict = verdictOf(trial);
  const badges = [badge(`${MARKS[verdict]} ${verdict}`, verdict)];
  badges.push(badge(STATUS[status] ?? status, status === "answered" ? "" : "warn"));
  if (trials.forced[trial]) badges.push(badge("answer forced", "warn"));
  if (trials.malformed[trial]) badges.push(badge(`${plural(trials.malformed[trial], "malformed epoch")}`, "warn"));
  if (trials.scoring[trial] === "timed_out") badges.push(badge("scoring timed out", "warn"));
  const step = (by, name, sign) => el("a", { class: "step", "aria-label": name, title: name, "data-step": by }, sign);
  return el(
    "header",
    { class: "trial-top" },
    el("div", { class: "line" },
      el("a", { class: "back", href: "#trials" }, "‹ Trials"),
      el("p", { class: "crumbs" }, isolated(taskOf(trial).name), el("span", { class: "soft" }, " › "), dot(trials.run[trial]), isolated(runOf(trial).name)),
      el("span", { class: "steps" }, step(-1, "Previous trial (k)", "←"), step(1, "Next trial (j)", "→"))),
    el("h2", {}, isolated(cut(questionOf(trial).id, 120)), el("span", { class: "soft" }, ` sample ${trials.sample[trial]}`)),
    el("div", { class: "badges" }, ...badges),
  );
}

/** Lead to the neighbours of the open trial in the list as it is now. */
function drawSteps() {
  for (const link of document.querySelectorAll("#trial .step")) {
    const next = neighbour(Number(link.dataset.step));
    link.toggleAttribute("href", next !== undefined);
    if (next !== undefined) link.href = addressOf(next);
    link.setAttribute("aria-disabled", String(next === undefined));
  }
}

function answers(trial, details) {
  const relation = { equal: "=", different: "≠", timed_out: "?" }[trials.scoring[trial]] ?? "?";
  const given = details.answer === null ? el("p", { class: "soft" }, "no answer") : longText(details.answer);
  return el(
    "div",
    { class: `answers ${verdictOf(trial)}` },
    el("div", { class: "given" }, el("h3", {}, "Answer"), given),
    el("span", { class: "relation", "aria-hidden": "true" }, relation),
    el("div", { class: "gold" }, el("h3", {}, "Known answer"), longText(questionOf(trial).gold)),
  );
}

function usage(trial, details) {
  const used = details.usage;
  const rate = used.seconds ? used.completion_tokens / used.seconds : null;
  const limit = runOf(trial).window;
  return el(
    "dl",
    { class: "usage" },
    fact("Epochs", count(trials.epochs[trial])),
    fact("Generated", count(used.completion_tokens), "completion tokens of all requests"),
    fact("Peak context", count(used.peak_context) + (limit ? ` / ${short(limit)}` : ""), "the longest context of any request, in tokens"),
    fact("Requests", count(used.requests)),
    fact("Prompts", count(used.prompt_tokens) + (used.cached_tokens ? `, ${short(used.cached_tokens)} cached` : ""), "prompt tokens of all requests"),
    fact("Σ context", short(used.sum_tokens), `the sum of all contexts: ${count(used.sum_tokens)}`),
    fact("Σ context²", short(used.sum_squared_tokens), `the sum of their squares, the cost of attention: ${count(used.sum_squared_tokens)}`),
    fact("Wall clock", duration(trials.seconds[trial]), "queueing included"),
    fact("Speed", rate === null ? "–" : `${short(rate)} tok/s`, "tokens generated for each second of waiting for the model"),
    fact("Seed", String(trials.seed[trial])),
  );
}

function part(name, text, open = true) {
  if (!text) return "";
  return el("details", { class: `part ${name.toLowerCase()}`, open }, el("summary", {}, name, el("span", { class: "soft" }, ` ${count(text.length)} characters`)), longText(text));
}

function epochs(trial, details) {
  const { contexts, epochs: texts } = details;
  const number = Math.max(contexts.length, texts?.length ?? 0);
  const full = Math.max(runOf(trial).window ?? 0, details.usage.peak_context, 1);
  return Array.from({ length: number }, (_, place) => {
    const requests = contexts[place] ?? [];
    const peak = requests.reduce((most, [prompt, completion]) => Math.max(most, prompt + completion), 0);
    const bar = el("span", { class: "bar", "aria-hidden": "true" }, el("span", {}));
    bar.firstChild.style.width = `${Math.min(100, (100 * peak) / full)}%`;
    const [kind, segment, summary, conclusion] = texts?.[place] ?? [];
    const head = [
      el("span", { class: "number" }, `Epoch ${place + 1}`),
      kind === undefined ? "" : badge(KINDS[kind] ?? kind, kind === "summary" || kind === "conclusion" ? kind : "warn"),
      bar,
      el("span", { class: "soft tokens", title: "tokens in the context at the start and at the end of each request" }, requests.map(([prompt, completion]) => `${count(prompt)} → ${count(prompt + completion)}`).join(", ")),
    ];
    if (kind === undefined) return el("div", { class: "epoch bare", id: `epoch-${place}` }, el("div", { class: "head" }, ...head));
    const parts = [part("Segment", segment), part("Summary", summary), part("Conclusion", conclusion)];
    if (parts.every((each) => each === "")) parts.push(el("p", { class: "soft" }, "Nothing was written."));
    return el(
      "details",
      { class: "epoch", id: `epoch-${place}`, open: place === 0 || place === number - 1 },
      el("summary", { class: "head" }, ...head),
      el("div", { class: "parts" }, ...parts),
    );
  });
}

/** Open all epochs, or close them if all are open. */
function toggleEpochs() {
  const all = [...document.querySelectorAll("#trial details.epoch")];
  const open = !all.every((each) => each.open);
  for (const each of all) each.open = open;
}

function openEpoch(number) {
  const epoch = byId(`epoch-${number}`);
  if (!epoch) return;
  epoch.open = true;
  epoch.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  epoch.classList.add("picked");
  setTimeout(() => epoch.classList.remove("picked"), 1500);
}

const section = (title, ...children) => el("section", {}, el("h3", {}, title), ...children);

/** Show a trial; what was asked for last wins. */
async function showTrial(trial) {
  setCurrent(trial);
  const details = await detailsOf(trial);
  if (current !== trial) return;
  const question = questionOf(trial);
  const meta = el("dl", { class: "meta" }, ...question.meta.map(([name, value]) => fact(plain(name), isolated(cut(value, 200)))));
  const config = el("dl", { class: "meta" }, ...runOf(trial).config.map(([name, value]) => fact(plain(name), isolated(cut(value, 400)))));
  const several = details.epochs !== null && details.epochs.length > 1;
  byId("trial").replaceChildren(
    heading(trial),
    section("Question", longText(question.text), question.meta.length ? meta : ""),
    answers(trial, details),
    usage(trial, details),
    section("Context against tokens generated", sawtooth(details.contexts, { window: runOf(trial).window, run: trials.run[trial], pick: openEpoch })),
    section("The same question", sameQuestion(trial)),
    el(
      "section",
      { class: "epochs" },
      el("h3", {}, "What was thought", several ? el("button", { type: "button", class: "link", id: "toggle", title: "(e)", onclick: toggleEpochs }, "Open or close all") : ""),
      NO_TEXT[trials.text[trial]] ? el("p", { class: "notice" }, NO_TEXT[trials.text[trial]]) : "",
      ...epochs(trial, details),
    ),
    el("details", { class: "config" }, el("summary", {}, "Settings of this run"), config),
  );
  drawSteps();
  byId("trial").scrollTop = 0;
  if (!wide.matches) scrollTo(0, 0);
  byId("trial").setAttribute("aria-label", `Trial: ${plain(question.id)}, sample ${trials.sample[trial]}, ${plain(runOf(trial).name)}, ${verdictOf(trial)}`);
  document.title = `${cut(plain(question.id), 60)} #${trials.sample[trial]} · ${plain(runOf(trial).name)}`;
}

function showNoTrial() {
  current = null;
  drawRows();
  byId("trial").replaceChildren(el("p", { class: "empty" }, rows.length ? "Choose a trial." : "No trial passes these filters."));
}

// The list of trials. Only the rows in sight exist, so ten thousand trials scroll like ten.

const MARKS = { right: "✓", wrong: "✗" };
const MARGIN = 6; // rows beyond the edges

let rows = []; // trials, in the list's order
let place = new Map(); // where each of them stands
let current = null; // the trial that is open
let drawn = "";

const rowHeight = () => byId("rows").firstElementChild.dataset.height * parseFloat(getComputedStyle(document.documentElement).fontSize);

function mark(trial) {
  const verdict = verdictOf(trial);
  return el("span", { class: `mark ${verdict}`, role: "img", "aria-label": verdict }, MARKS[verdict]);
}

const dot = (run) => el("span", { class: `dot run-${run % 8}`, "aria-hidden": "true" });

function row(trial, number) {
  const question = questionOf(trial);
  const answer = trials.answer[trial];
  const status = trials.status[trial];
  const facts = status === "answered" ? [] : [STATUS[status] ?? status];
  facts.push(`${short(trials.tokens[trial])} tokens`, plural(trials.epochs[trial], "epoch"), `peak ${short(trials.peak[trial])}`);
  return el(
    "li",
    { "aria-setsize": rows.length, "aria-posinset": number + 1, "data-trial": trial },
    el(
      "a",
      { href: addressOf(trial), "aria-current": trial === current && "true" },
      mark(trial),
      el(
        "span",
        { class: "what" },
        el("span", { class: "who" }, el("b", {}, isolated(cut(question.id, 60))), el("span", { class: "soft" }, ` #${trials.sample[trial]}`),
          el("span", { class: "run" }, dot(trials.run[trial]), isolated(cut(runOf(trial).name, 40)))),
        el("span", { class: "snippet" }, isolated(cut(question.text, 200).replace(/\s+/g, " "))),
        el("span", { class: "facts" }, el("span", { class: "answer" }, answer === null ? "no answer" : isolated(cut(answer, 40))), ` · ${facts.join(" · ")}`),
      ),
    ),
  );
}

function drawRows() {
  const box = byId("rows");
  const height = rowHeight();
  const first = Math.max(0, Math.floor(box.scrollTop / height) - MARGIN);
  const last = Math.min(rows.length, Math.ceil((box.scrollTop + box.clientHeight) / height) + MARGIN);
  const state = `${first}/${last}/${current}/${rows.length}/${height}`;
  if (state === drawn) return;
  drawn = state;
  const sheet = byId("sheet");
  const focused = document.activeElement?.closest?.("#sheet li")?.dataset.trial;
  sheet.style.height = `${rows.length * height}px`;
  sheet.style.paddingTop = `${first * height}px`;
  sheet.replaceChildren(...rows.slice(first, last).map((trial, offset) => row(trial, first + offset)));
  if (focused !== undefined) sheet.querySelector(`[data-trial="${focused}"] a`)?.focus({ preventScroll: true });
}

/** List what passes the filters now. */
function refreshList() {
  rows = listed();
  place = new Map(rows.map((trial, number) => [trial, number]));
  const right = rows.reduce((sum, trial) => sum + trials.right[trial], 0);
  const share = rows.length ? ` · ${count(right)} right (${((100 * right) / rows.length).toFixed(1)}%)` : "";
  byId("count").textContent = rows.length === total ? `${plural(total, "trial")}${share}` : `${count(rows.length)} of ${plural(total, "trial")}${share}`;
  drawn = "";
  byId("rows").scrollTop = 0;
  if (current !== null) scrollToCurrent();
  drawRows();
}

function scrollToCurrent() {
  const box = byId("rows");
  const height = rowHeight();
  const number = place.get(current);
  if (number === undefined) return;
  const top = number * height;
  if (top < box.scrollTop || top + height > box.scrollTop + box.clientHeight) {
    box.scrollTop = Math.max(0, top - Math.max(0, box.clientHeight - height) / 2);
  }
}

/** Mark the trial that is open. */
function setCurrent(trial) {
  current = trial;
  scrollToCurrent();
  drawRows();
}

/** The trial that many rows further; the first one where the open one isn't listed. */
function neighbour(step) {
  const number = place.get(current);
  return number === undefined ? rows[0] : rows[number + step];
}

function setUpList() {
  let asked = false;
  const later = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      drawRows();
    });
  };
  byId("rows").addEventListener("scroll", later, { passive: true });
  new ResizeObserver(later).observe(byId("rows"));
}

// One question in all runs: each run's samples, and beside each other how they went.

function chip(trial, open) {
  const verdict = verdictOf(trial);
  const answer = trials.answer[trial];
  const said = `sample ${trials.sample[trial]}, ${verdict}, ${answer === null ? "no answer" : `answer ${plain(cut(answer, 60))}`}`;
  return el(
    "a",
    { href: addressOf(trial), class: `chip ${verdict}`, "aria-label": said, title: said, "aria-current": trial === open && "true" },
    `${MARKS[verdict]}${trials.sample[trial]}`,
  );
}

/** The trial of a run that is best compared with the open one: the same sample, if there is one. */
function counterpart(run, trial) {
  const found = samplesOf(run, trial);
  return found.find((each) => trials.sample[each] === trials.sample[trial]) ?? found[0];
}

const runsWith = (trial) => [...new Set((siblings.get(groupOf(trial)) ?? []).map((each) => trials.run[each]))];

/** Cards of all runs that were asked this question; their sawtooths share one scale and come when they are unpacked. */
function sameQuestion(trial) {
  const others = runsWith(trial);
  const box = el("div", { class: "others" });
  const shownTrials = others.map((run) => counterpart(run, trial));
  const generated = Math.max(...shownTrials.map((each) => trials.tokens[each]));
  const peak = Math.max(...shownTrials.map((each) => trials.peak[each]));
  others.forEach((run, number) => {
    const each = shownTrials[number];
    const found = samplesOf(run, trial);
    const right = found.filter((one) => trials.right[one]).length;
    const picture = el("div", { class: "picture" });
    const answer = trials.answer[each];
    box.append(
      el(
        "div",
        { class: `other${run === trials.run[trial] ? " own" : ""}` },
        el("h4", {}, dot(run), isolated(cut(runs[run].name, 60)), el("span", { class: "soft" }, ` ${right} of ${found.length} right`)),
        el("a", { class: "compare", href: addressOf(each), "aria-label": `${plain(runs[run].name)}, sample ${trials.sample[each]}` },
          picture,
          el("span", { class: "facts" }, mark(each), el("span", { class: "answer" }, answer === null ? "no answer" : isolated(cut(answer, 40))),
            ` · ${plural(trials.epochs[each], "epoch")} · ${short(trials.tokens[each])} tokens`)),
        el("div", { class: "chips" }, ...found.map((one) => chip(one, trial))),
      ),
    );
    detailsOf(each).then((details) => picture.append(smallSawtooth(details.contexts, { generated, peak, run })));
  });
  return box;
}

// Addresses, keys, and the start.

const wide = matchMedia("(min-width: 52rem)");

function show(view) {
  byId("overview").hidden = view !== "overview";
  byId("browse").hidden = view !== "browse";
  for (const link of document.querySelectorAll("nav [data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** The trial that an address means, however its parts are escaped. */
function trialAt(hash) {
  if (addresses.has(hash)) return addresses.get(hash);
  try {
    return addresses.get(`#${hash.slice(1).split("/").map((each) => escaped(decodeURIComponent(each))).join("/")}`);
  } catch {
    return undefined; // a lone percent sign
  }
}

function go() {
  const hash = location.hash;
  const trial = trialAt(hash);
  byId("trouble").hidden = true;
  if (trial !== undefined) {
    show("browse");
    document.body.classList.add("reading");
    return showTrial(trial);
  }
  document.body.classList.remove("reading");
  document.title = title;
  if (hash.split("/").length > 2) {
    byId("trouble").replaceChildren("This page has no trial ", isolated(cut(hash, 200)));
    byId("trouble").hidden = false;
  }
  if (hash !== "#trials") return show("overview");
  show("browse");
  if (!place.has(current)) current = null;
  scrollToCurrent();
  drawRows();
  // Beside the list there is room for the first trial.
  if (wide.matches && current === null && rows.length) return showTrial(rows[0]);
  if (current === null) return showNoTrial();
  return undefined;
}

function open(trial) {
  if (trial !== undefined) location.hash = addressOf(trial);
}

/** The open trial's neighbour among the samples of its question in its run. */
function otherSample(step) {
  const own = samplesOf(trials.run[current], current);
  return own[own.indexOf(current) + step];
}

function otherRun() {
  const all = runsWith(current);
  return counterpart(all[(all.indexOf(trials.run[current]) + 1) % all.length], current);
}

const KEYS = {
  j: () => open(neighbour(1)),
  k: () => open(neighbour(-1)),
  ArrowRight: () => open(neighbour(1)),
  ArrowLeft: () => open(neighbour(-1)),
  "]": () => current !== null && open(otherSample(1)),
  "[": () => current !== null && open(otherSample(-1)),
  r: () => current !== null && open(otherRun()),
  e: toggleEpochs,
  "/": () => byId("text").focus(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.closest?.("input, select, textarea");
  if (typing) {
    if (event.key === "Escape") typing.blur();
    return;
  }
  const browsing = !byId("browse").hidden;
  const inList = event.target.closest?.("#rows");
  let act = browsing ? KEYS[event.key] : undefined;
  if (browsing && inList && event.key === "ArrowDown") act = KEYS.j;
  if (browsing && inList && event.key === "ArrowUp") act = KEYS.k;
  if (event.key === "?") act = () => byId("keys").showModal();
  if (event.key === "o") act = () => (location.hash = "#");
  if (event.key === "t") act = () => (location.hash = "#trials");
  if (!act) return;
  event.preventDefault();
  act();
});

byId("help").addEventListener("click", () => byId("keys").showModal());
for (const button of document.querySelectorAll(".zoom")) {
  button.addEventListener("click", () => {
    byId("picture").querySelector("img")?.remove();
    byId("picture").append(button.firstElementChild.cloneNode());
    byId("picture").showModal();
  });
}
byId("picture").addEventListener("click", () => byId("picture").close());

const title = document.title;
byId("all").textContent = count(total);
const choose = setUpFilters(() => {
  refreshList();
  drawSteps();
  if (document.body.classList.contains("reading") || byId("browse").hidden) return;
  // Nothing was chosen yet: what is beside the list follows it.
  current = null;
  go();
});
setUpList();
refreshList();
showOverview(choose);
addEventListener("hashchange", go);
wide.addEventListener("change", go);
await go();
document.body.dataset.ready = "true";

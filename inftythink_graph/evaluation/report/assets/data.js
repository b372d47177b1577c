// The data of the page: an index of all trials, unpacked at once, and blocks of details, unpacked when they are looked at.

async function unpack(id) {
  const text = atob(byId(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place += 1) bytes[place] = text.charCodeAt(place);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

if (!("DecompressionStream" in window)) {
  byId("trouble").textContent = "This browser is too old to unpack the trials; any of 2023 or later does.";
  byId("trouble").hidden = false;
}

const index = await unpack("index");
const { runs, tasks, trials, blocks } = index;
const total = trials.run.length;
const NO_TEXT = ["No text was recorded for this trial.", "", "The text of this trial was left out to keep this page small."];

const runOf = (trial) => runs[trials.run[trial]];
const taskOf = (trial) => tasks[runOf(trial).task];
const questionOf = (trial) => taskOf(trial).questions[trials.question[trial]];
const verdictOf = (trial) => (trials.right[trial] ? "right" : "wrong");

/** Samples of one question in one run, and all trials of one question. */
const samples = new Map();
const siblings = new Map();
const addresses = new Map();

const escaped = (text) => encodeURIComponent(text.replace(/\p{Cs}/gu, "\ufffd")); // half a pair has no encoding
const addressOf = (trial) => `#${[runOf(trial).key, questionOf(trial).id, String(trials.sample[trial])].map(escaped).join("/")}`;
const groupOf = (trial) => `${runOf(trial).task}/${trials.question[trial]}`;
const sampleGroup = (run, task, question) => `${run}/${task}/${question}`;
const samplesOf = (run, trial) => samples.get(sampleGroup(run, runOf(trial).task, trials.question[trial])) ?? [];

for (let trial = 0; trial < total; trial += 1) {
  const group = sampleGroup(trials.run[trial], runOf(trial).task, trials.question[trial]);
  if (!samples.has(group)) samples.set(group, []);
  samples.get(group).push(trial);
  if (!siblings.has(groupOf(trial))) siblings.set(groupOf(trial), []);
  siblings.get(groupOf(trial)).push(trial);
  addresses.set(addressOf(trial), trial);
}

const unpacked = new Map(); // the blocks looked at last
const REMEMBERED = 12;

/** Everything about a trial that the index doesn't have. */
async function detailsOf(trial) {
  let low = 0;
  let high = blocks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (blocks[middle] <= trial) low = middle;
    else high = middle - 1;
  }
  if (!unpacked.has(low)) {
    unpacked.set(low, unpack(`block-${low}`));
    if (unpacked.size > REMEMBERED) unpacked.delete(unpacked.keys().next().value);
  }
  return (await unpacked.get(low))[trial - blocks[low]];
}

"use strict";
// The page of a report. All that a corpus or a model says comes from the JSON in this file and becomes text nodes.

const report = JSON.parse(document.getElementById("report-json").textContent);
const clips = JSON.parse(document.getElementById("clips-json").textContent);
const { turns, runs, curves } = report;
const TURNS_PER_PAGE = 25;
const NOTHING = "–";

// --- small helpers ------------------------------------------------------------------------------------------------

/** An element with attributes and children; texts among the children become text nodes. */
function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same for drawings. */
function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false).map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

/** The value of a row of a packed column; null where there is no such column. */
const cell = (column, row) => (column ? (column.codes ? column.values[column.codes[row]] : column.values[row]) : null);
const turnCell = (name, turn) => cell(turns.columns[name], turn);
const percent = (share, digits = 2) => (share === null || share === undefined ? NOTHING : `${(100 * share).toFixed(digits)} %`);
const short = (value) => (value === null || value === undefined ? NOTHING : Number(Number(value).toPrecision(4)).toString());
const unique = (values) => [...new Set(values)].filter((value) => value !== null);
const words = (name) => name.replaceAll("_", " ");

function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function table(caption, heads, rows, attributes = {}) {
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    element("table", attributes,
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, heads.map((head) => (head === "" ? element("td") : element("th", { scope: "col" }, head))))),
      element("tbody", {}, rows.map(([first, ...rest]) =>
        element("tr", {}, element("th", { scope: "row" }, first), rest.map((value) => (value instanceof Node && value.tagName === "TD" ? value : element("td", {}, value))))))));
}

// --- the dataset --------------------------------------------------------------------------------------------------

function showData(data) {
  const section = document.getElementById("data");
  const splits = Object.keys(data.counts);
  const names = unique(splits.flatMap((split) => Object.keys(data.counts[split])));
  section.hidden = false;
  filled(section, {}, [
    element("h2", { id: "data-head" }, "Data"),
    table("Dialogues, utterances and labels", ["", ...splits], names.map((name) => [name, ...splits.map((split) => (data.counts[split][name] ?? 0).toLocaleString("en"))])),
    counted("Clips (audio_status)", data.statuses),
    counted("Speakers with the most utterances", data.speakers, true),
    counted("Why something was not measured (measurement_note)", data.notes),
    element("h3", {}, "Shared between splits"),
    data.leaks.length
      ? table("What the second split holds of the first", ["splits", "what", "rows", "longest examples"], data.leaks.map((leak) => [
          `${leak.first} and ${leak.second}`, leak.what, leak.rows.toLocaleString("en"), element("td", { class: "text", dir: "auto" }, leak.shared.slice(0, 3).join(" · "))]))
      : element("p", {}, "Nothing."),
    data.distributions.length ? element("h3", {}, "Cues") : null,
    element("div", { class: "cards" }, data.distributions.map((cue) => distribution(cue, data.missing[cue.cue]))),
  ]);
}

/** Counts by split, folded away where there are many. */
function counted(caption, bySplit, folded = false) {
  const splits = Object.keys(bySplit);
  const values = unique(splits.flatMap((split) => Object.keys(bySplit[split])));
  if (!values.length) return null;
  const made = table(caption, ["", ...splits], values.map((value) => [value, ...splits.map((split) => (bySplit[split][value] ?? 0).toLocaleString("en"))]));
  return folded ? element("details", {}, element("summary", {}, caption), made) : made;
}

function distribution(cue, missing) {
  const [width, height] = [300, 90];
  const most = Math.max(...cue.bars, 1);
  const step = width / cue.bars.length;
  const at = (value) => (cue.high > cue.low ? (width * (value - cue.low)) / (cue.high - cue.low) : width / 2);
  const said = `${cue.label}: ${cue.n.toLocaleString("en")} measured, median ${short(cue.median)} ${cue.unit}, most between ${short(cue.low)} and ${short(cue.high)}`;
  return element("figure", {},
    drawn("svg", { viewBox: `0 0 ${width} ${height + 16}`, role: "img", "aria-label": said },
      cue.bars.map((count, place) => drawn("rect", { class: "bar", x: place * step, width: Math.max(step - 1, 1), y: height - (height * count) / most, height: (height * count) / most })),
      cue.thresholds.filter((bound) => bound >= cue.low && bound <= cue.high).map((bound) => drawn("line", { class: "threshold", x1: at(bound), x2: at(bound), y1: 0, y2: height })),
      drawn("text", { x: 0, y: height + 13 }, short(cue.low)),
      drawn("text", { x: width, y: height + 13, "text-anchor": "end" }, `${short(cue.high)} ${cue.unit}`)),
    element("figcaption", {}, cue.label, element("br"),
      element("span", { class: "soft" }, `${cue.n.toLocaleString("en")} measured, ${missing.toLocaleString("en")} not; median ${short(cue.median)} ${cue.unit}`,
        cue.thresholds.length ? `; levels part at ${unique(cue.thresholds.map(short)).join(", ")}` : "", cue.below + cue.above ? `; ${cue.below + cue.above} further out` : "")));
}

// --- runs ---------------------------------------------------------------------------------------------------------

function showRuns() {
  const section = document.getElementById("runs");
  section.hidden = false;
  const [heads, ...rows] = report.table.cells;
  filled(section, {}, [
    element("h2", { id: "runs-head" }, runs.length > 1 ? "Runs" : "Run"),
    table("Scores", heads, rows),
    report.table.notes.map((note) => element("p", { class: "soft" }, note)),
    report.pairs.map(pairOf),
    runs.map(runOf),
  ]);
}

function pairOf(pair) {
  const count = (value) => Number(value.toFixed(1)).toLocaleString("en");
  const [first, second] = pair.names;
  return element("div", {},
    element("h3", {}, `${second} against ${first}`),
    element("p", {}, `Difference in weighted F1: ${(100 * pair.difference).toFixed(2)} points (95 % interval ${(100 * pair.interval[0]).toFixed(2)} to ${(100 * pair.interval[1]).toFixed(2)}, p = ${pair.p_value.toFixed(4)} over dialogues`,
      pair.p_value_seeds === null ? ")." : `, p = ${pair.p_value_seeds.toFixed(4)} over seeds).`),
    table("Which of them is right", ["", "utterances"], [["both", count(pair.both)], [`only ${first}`, count(pair.only_first)], [`only ${second}`, count(pair.only_second)], ["neither", count(pair.neither)]]),
    pair.warning ? element("p", { class: "note" }, pair.warning) : null);
}

/** What tells the parts of several runs apart. */
const ofRun = (run) => (runs.length > 1 ? ` (${run.name})` : "");

function runOf(run, number) {
  const invalid = run.answers.filter((answer) => answer < 0).length;
  return element("details", { open: runs.length === 1 || number === 0 },
    element("summary", {}, element("strong", {}, run.name), ` – weighted F1 ${percent(run.scores["weighted F1"])}, ${percent(run.interval.low)} to ${percent(run.interval.high)}`),
    matrixOf(run, number),
    element("p", {},
      element("button", { type: "button", onclick: () => filterTurns({ run: number, verdict: "wrong", order: "worst" }) }, "Worst mistakes first"), " ",
      element("button", { type: "button", disabled: !invalid, onclick: () => filterTurns({ run: number, verdict: "invalid" }) }, `Without a valid answer: ${invalid}`)),
    element("div", { class: "cards" },
      run.calibration ? reliabilityOf(run.calibration) : null,
      table(`Labels${ofRun(run)}`, ["", "precision", "recall", "F1", "n"], Object.entries(run.per_class).map(([label, row]) => [label, percent(row.precision), percent(row.recall), percent(row.f1), row.support])),
      run.intervention ? table(`Intervention${ofRun(run)}: the same utterances with other cues`, ["cues", "weighted F1", "answers changed"], run.intervention.map((it) => [it.name, percent(it.weighted_f1), percent(it.changed)])) : null),
    run.prompts_note ? element("p", { class: "soft" }, run.prompts_note) : null);
}

/** True labels down, answers across; a cell shows its utterances below. */
function matrixOf(run, number) {
  const columns = [...run.labels.keys(), ...(run.answers.some((answer) => answer < 0) ? [-1] : [])];
  const counts = new Map();
  run.true.forEach((label, row) => counts.set(`${label} ${run.answers[row]}`, (counts.get(`${label} ${run.answers[row]}`) ?? 0) + 1));
  const named = (answer) => (answer < 0 ? "invalid" : run.labels[answer]);
  return table(`Confusion${ofRun(run)}: true labels down, answers across. A cell shows its utterances below.`, ["", ...columns.map(named)],
    run.labels.map((label, truth) => {
      const sum = columns.reduce((total, answer) => total + (counts.get(`${truth} ${answer}`) ?? 0), 0);
      return [label, ...columns.map((answer) => {
        const count = counts.get(`${truth} ${answer}`) ?? 0;
        const button = element("button", {
          type: "button", "aria-pressed": "false", "aria-label": `true ${label}, answered ${named(answer)}: ${count} of ${sum}`, disabled: !count,
          onclick: (event) => {
            filterTurns({ run: number, label, answer: String(answer) });
            event.currentTarget.setAttribute("aria-pressed", "true");
          },
        }, `${count}`);
        button.style.setProperty("--share", sum ? count / sum : 0);
        return element("td", {}, button);
      })];
    }), { class: "matrix" });
}

function reliabilityOf(calibration) {
  const size = 200;
  const error = calibration.expected_calibration_error;
  const bins = calibration.bins.filter((bin) => bin.n);
  return element("figure", {},
    element("h3", {}, `Expected calibration error ${error === null ? NOTHING : error.toFixed(3)}`),
    drawn("svg", { class: "reliability", viewBox: `-30 -6 ${size + 40} ${size + 40}`, role: "img", "aria-label": `Reliability: ${bins.map((bin) => `answers given with ${bin.confidence.toFixed(2)} are right in ${percent(bin.accuracy, 0)} of ${bin.n}`).join("; ")}` },
      bins.map((bin) => drawn("rect", { class: "bar", x: size * bin.low + 1, width: size * (bin.high - bin.low) - 2, y: size * (1 - bin.accuracy), height: size * bin.accuracy }, drawn("title", {}, `${bin.n} answers, mean confidence ${bin.confidence.toFixed(2)}, right ${percent(bin.accuracy)}`))),
      drawn("line", { class: "diagonal", x1: 0, y1: size, x2: size, y2: 0 }),
      drawn("text", { x: size / 2, y: size + 28, "text-anchor": "middle" }, "probability of the answer"),
      drawn("text", { x: -4, y: 8, "text-anchor": "end" }, "1"), drawn("text", { x: -4, y: size, "text-anchor": "end" }, "0"), drawn("text", { x: size, y: size + 14, "text-anchor": "end" }, "1"),
      drawn("text", { x: 0, y: 0, transform: `translate(-16 ${size / 2}) rotate(-90)`, "text-anchor": "middle" }, "share right")));
}

// --- turns --------------------------------------------------------------------------------------------------------

// Turn → its row in each run, so that an answer is found without a search.
const rowsOf = runs.map((run) => new Map(run.places.map((turn, row) => [turn, row])));
const state = { dialogue: "", split: "", speaker: "", label: "", run: 0, answer: "", verdict: "", other: "", text: "", order: "", page: 0 };
let shown = [];

/** What a run says of a turn: label numbers, probabilities in thousandths, and whether it is right (null where nobody knows); null if not asked. */
function judged(number, turn) {
  const row = rowsOf[number]?.get(turn);
  if (row === undefined) return null;
  const run = runs[number];
  const truth = run.true?.[row] ?? null;
  return { row, truth, answer: run.answers[row], chances: run.probabilities?.[row] ?? null, right: truth === null ? null : truth === run.answers[row] };
}

function verdictOf(turn) {
  const found = judged(state.run, turn);
  return found === null ? "none" : found.answer < 0 ? "invalid" : found.right === null ? "none" : found.right ? "right" : "wrong";
}

function matches(turn) {
  for (const name of ["dialogue", "split", "speaker", "label"]) {
    if (state[name] !== "" && turnCell(name, turn) !== state[name]) return false;
  }
  if (state.text && !`${turnCell("text", turn)} ${turnCell("id", turn)}`.toLowerCase().includes(state.text.toLowerCase())) return false;
  if (state.verdict && state.verdict !== verdictOf(turn) && !(state.verdict === "wrong" && verdictOf(turn) === "invalid")) return false;
  if (state.answer !== "" && String(judged(state.run, turn)?.answer) !== state.answer) return false;
  if (state.other !== "") {
    const [one, two] = [judged(state.run, turn), judged(Number(state.other), turn)];
    if (!one || !two || runs[state.run].labels[one.answer] === runs[Number(state.other)].labels[two.answer]) return false;
  }
  return true;
}

/** How likely the true label was; a wrong answer with little chance for the truth is the worst. */
function chanceOfTruth(turn) {
  const found = judged(state.run, turn);
  return found === null ? 2000 : found.chances ? found.chances[found.truth] : found.right ? 1000 : 0;
}

function findTurns() {
  shown = [];
  for (let turn = 0; turn < turns.count; turn += 1) if (matches(turn)) shown.push(turn);
  if (state.order === "worst") shown.sort((one, two) => chanceOfTruth(one) - chanceOfTruth(two));
  state.page = Math.min(state.page, Math.max(0, Math.ceil(shown.length / TURNS_PER_PAGE) - 1));
  showPage();
}

/** Show other turns; what is not named is no longer filtered by. */
function filterTurns(wanted) {
  Object.assign(state, { dialogue: "", split: "", speaker: "", label: "", answer: "", verdict: "", other: "", text: "", order: "", page: 0 }, wanted);
  document.querySelectorAll(".filters [name]").forEach((control) => { control.value = state[control.name]; });
  releaseCells();
  findTurns();
  document.getElementById("turns").scrollIntoView();
  document.getElementById("found").focus({ preventScroll: true });
}

function showTurns() {
  const section = document.getElementById("turns");
  const column = (name) => unique(turns.columns[name]?.values ?? []).map((value) => [value, value]);
  const choice = (name, caption, options, all = "all") => options.length > 1 || name === "dialogue"
    ? element("label", {}, caption, element("select", { name, onchange: changed }, all === null ? null : element("option", { value: "" }, all), options.map(([value, text]) => element("option", { value }, text))))
    : null;
  const runNames = runs.map((run, number) => [String(number), run.name]);
  const scored = runs.some((run) => run.true);
  // One conversation that nobody scored is not searched, it is read.
  const searched = scored || turns.count > TURNS_PER_PAGE || column("dialogue").length > 1;
  filled(section, {}, [
    element("h2", { id: "turns-head" }, "Turns"),
    searched && element("form", { class: "filters", role: "search", "aria-label": "Filter the turns", onsubmit: (event) => event.preventDefault() },
      choice("dialogue", "dialogue", column("dialogue")), choice("split", "split", column("split")), choice("speaker", "speaker", column("speaker")), choice("label", "label", column("label")),
      choice("run", "answers of", runNames, null),
      runs.length ? choice("answer", "answer", [...runs[0].labels.map((label, number) => [String(number), label]), ["-1", "invalid"]]) : null,
      scored ? choice("verdict", "judged", [["right", "right"], ["wrong", "wrong"], ["invalid", "without a valid answer"]]) : null,
      runs.length > 1 ? choice("other", "differs from", runNames, NOTHING) : null,
      scored ? choice("order", "order", [["", "as spoken"], ["worst", "worst mistakes first"]], null) : null,
      element("label", {}, "words or id", element("input", { name: "text", type: "search", oninput: changed })),
      element("button", { type: "button", onclick: () => filterTurns({}) }, "Show all")),
    element("p", { id: "found", role: "status", tabindex: -1 }),
    pager(), element("ol", { class: "turn-list", onkeydown: walk }), pager(),
    element("p", { class: "soft keys" }, "Keys within the list: j and k go to the next and the previous turn, p plays or pauses it, c shows its whole conversation."),
  ]);
}

/** The turns are no longer those of a cell of a matrix. */
function releaseCells() {
  document.querySelectorAll(".matrix button").forEach((cell) => cell.setAttribute("aria-pressed", "false"));
}

function changed(event) {
  const { name, value } = event.target;
  state[name] = name === "run" ? Number(value) : value;
  state.page = 0;
  releaseCells();
  findTurns();
}

function pager() {
  const turnPage = (step) => { state.page += step; showPage(); document.querySelector(".turn")?.focus(); };
  return element("div", { class: "pages" },
    element("button", { type: "button", class: "previous", onclick: () => turnPage(-1) }, "Previous"),
    element("span", { class: "where" }),
    element("button", { type: "button", class: "next", onclick: () => turnPage(1) }, "Next"));
}

function showPage() {
  const last = Math.max(0, Math.ceil(shown.length / TURNS_PER_PAGE) - 1);
  const start = state.page * TURNS_PER_PAGE;
  document.getElementById("found").textContent = `${shown.length.toLocaleString("en")} of ${turns.count.toLocaleString("en")} turns`;
  document.querySelectorAll(".pages").forEach((pages) => { pages.hidden = last === 0; });
  document.querySelectorAll(".where").forEach((place) => { place.textContent = `page ${state.page + 1} of ${last + 1}`; });
  document.querySelectorAll(".previous").forEach((button) => { button.disabled = state.page === 0; });
  document.querySelectorAll(".next").forEach((button) => { button.disabled = state.page === last; });
  document.querySelector(".turn-list").replaceChildren(...shown.slice(start, start + TURNS_PER_PAGE).map(turnOf));
}

function turnOf(turn) {
  const label = turnCell("label", turn);
  const id = turnCell("id", turn);
  const [fault, curve] = [curves[turn]?.fault, curves[turn]?.wave ? curves[turn] : null];
  const player = clips[turn] ? element("audio", { controls: true, preload: "metadata", src: `data:audio/webm;base64,${clips[turn]}`, "aria-label": `Clip of ${id}` }) : null;
  const article = element("article", { class: "turn", tabindex: 0, "data-turn": turn, "aria-label": `${turnCell("speaker", turn) ?? "speaker not known"}, ${id}` },
    element("header", {},
      element("h3", { dir: "auto" }, turnCell("speaker", turn) ?? "(speaker not known)"),
      label === null ? turns.columns.label && element("span", { class: "soft" }, "no label") : element("span", {}, "label ", element("strong", {}, label)),
      runs.map((_, number) => answerOf(number, turn)),
      element("span", { class: "soft" }, unique([id, turnCell("dialogue", turn), turnCell("split", turn)]).join(" · "))),
    element("p", { class: "said", dir: "auto" }, turnCell("text", turn) || "(no words)"),
    player, curve ? curvesOf(curve, player) : null,
    fault || !["ok", null].includes(turnCell("status", turn)) ? element("p", { class: "soft" }, `Clip: ${fault ?? turnCell("status", turn)}`) : null,
    levelsOf(turn),
    ["description", "impression"].map((name) => (turnCell(name, turn) ? element("p", { dir: "auto" }, phrasesOf(turnCell(name, turn), curve !== null)) : null)),
    turnCell("note", turn) ? element("p", { class: "soft" }, `Measurement: ${turnCell("note", turn)}`) : null,
    folded("Biography", () => element("p", { dir: "auto" }, turnCell("biography", turn)), turnCell("biography", turn)),
    folded("Measured", () => measuredOf(turn), Object.keys(turns.cues).length),
    runs.map((run, number) => moreOf(run, number, turn)));
  return element("li", {}, article);
}

/** Something that is made when it is first unfolded. */
function folded(caption, make, there = true) {
  if (!there) return null;
  const made = element("details", {}, element("summary", {}, caption));
  made.addEventListener("toggle", () => { if (made.open && made.childElementCount === 1) made.append(make()); });
  return made;
}

function answerOf(number, turn) {
  const found = judged(number, turn);
  if (found === null) return null;
  const run = runs[number];
  const said = `${runs.length > 1 ? `${run.name}: ` : ""}${found.answer < 0 ? "no valid answer" : run.labels[found.answer]}${found.chances && found.answer >= 0 ? ` ${(found.chances[found.answer] / 1000).toFixed(2)}` : ""}`;
  if (found.right === null) return element("strong", {}, said);
  return element("span", { class: found.right ? "right" : "wrong" }, `${found.right ? "✓" : "✗"} ${said}`,
    element("span", { class: "soft" }, found.right ? " (right)" : " (wrong)"));
}

function moreOf(run, number, turn) {
  const found = judged(number, turn);
  if (found === null) return null;
  const of = ofRun(run);
  const [output, explanation, note, prompt] = ["outputs", "explanations", "notes", "prompts"].map((name) => cell(run[name], found.row));
  const claims = run.claims?.[found.row];
  return [
    claims && element("p", { class: "explanation", dir: "auto" }, claimsOf(explanation, claims)),
    folded(`Probabilities${of}`, () => element("div", { class: "chances" }, run.labels.map((label, place) => {
      const chance = found.chances[place] / 1000;
      return [element("span", {}, label), element("meter", { min: 0, max: 1, value: chance, "aria-label": label }), element("span", {}, chance.toFixed(3))];
    })), found.chances),
    folded(`Answer${of}`, () => element("pre", {}, [output, explanation, note].filter(Boolean).join("\n")), output || explanation || note),
    folded(`Prompt${of}`, () => element("div", {}, JSON.parse(prompt).map((message) => [element("p", { class: "soft" }, message.role), element("pre", { dir: "auto" }, message.content)])), prompt),
  ];
}

/** An explanation, with what was measured behind each level that it states. */
function claimsOf(text, claims) {
  let done = 0;
  const parts = claims.map(({ end, measured, contradicted }) => {
    const before = text.slice(done, end);
    done = end;
    const said = measured === null ? "? not measured" : contradicted ? `✗ measured: ${measured}` : "✓ as measured";
    return [before, " ", element("span", { class: measured === null ? "soft" : contradicted ? "wrong" : "right" }, `[${said}]`)];
  });
  return [parts, text.slice(done)];
}

/** What a cue is called; with its unit where another has the same name. */
function nameOf(cue) {
  const { label = cue, unit } = turns.units[cue] ?? {};
  return Object.values(turns.units).filter((other) => other.label === label).length > 1 ? `${label} (${unit})` : label;
}

function levelsOf(turn) {
  const levels = Object.keys(turns.levels).map((cue) => [cue, cell(turns.levels[cue], turn)]).filter(([, level]) => level !== null);
  return levels.length ? element("ul", { class: "levels", "aria-label": "Levels" }, levels.map(([cue, level]) => element("li", {}, `${nameOf(cue)}: ${words(level)}`))) : null;
}

function measuredOf(turn) {
  return table(`Measured: ${turnCell("id", turn)}`, ["cue", "value", "level"], Object.keys(turns.cues).map((cue) => [
    turns.units[cue]?.label ?? cue, `${short(cell(turns.cues[cue], turn))} ${turns.units[cue]?.unit ?? ""}`, words(cell(turns.levels[cue], turn) ?? NOTHING)]));
}

// --- curves -------------------------------------------------------------------------------------------------------

// Which curve a phrase comes from, by its words.
const SOURCES = [
  ["pitch", /pitch|intonation|semitone|octave/i],
  ["loudness", /loud|soft|volume|quiet/i],
  ["rhythm", /fast|slow|pace|rate|pause|quick/i],
];

/** A description cut into phrases; the one under the pointer, or in focus, leaves its own curve lit alone. */
function phrasesOf(text, lit) {
  return text.split(/(?<=[.,;]) | (?=and )/).map((phrase, place) => {
    const source = lit ? SOURCES.find(([, pattern]) => pattern.test(phrase))?.[0] : null;
    const before = place ? " " : "";
    if (!source) return before + phrase;
    const light = (on) => (event) => event.currentTarget.closest(".turn").classList.toggle(`lit-${source}`, on);
    return [before, element("span", { class: "phrase", tabindex: 0, onpointerenter: light(true), onpointerleave: light(false), onfocus: light(true), onblur: light(false) }, phrase)];
  });
}

/** Waveform, pitch as dots on a logarithmic scale from 60 to 600 Hz, loudness over 60 dB as a line, syllables as marks. */
function curvesOf(curve, player) {
  const [width, height] = [600, 110];
  const [wave, pitch, intensity, gaps] = ["wave", "pitch", "intensity", "nuclei"].map((name) => bytes(curve[name]));
  const x = (place) => ((place + 0.5) * width) / wave.length;
  const hertz = [...pitch].map((step) => (step ? 40 * 2 ** ((step - 1) / 48) : null));
  const pitchY = (value) => height * (1 - Math.log2(Math.min(Math.max(value, 60), 600) / 60) / Math.log2(10));
  const loudest = Math.max(...intensity) / 2;
  const loudY = (value) => height * Math.min(1, (loudest - value / 2) / 60);
  const path = [...wave].map((value, place) => `${place ? "L" : "M"}${x(place).toFixed(1)} ${(height / 2) * (1 - value / 255)}`).join("");
  const back = [...wave].map((value, place) => `L${x(place).toFixed(1)} ${(height / 2) * (1 + value / 255)}`).reverse().join("");
  const voiced = hertz.filter(Boolean);
  let syllable = 0;
  const nuclei = [...gaps].map((gap) => (syllable += gap));
  const said = `Waveform of ${curve.seconds.toFixed(1)} s; ${voiced.length ? `pitch ${Math.round(Math.min(...voiced))} to ${Math.round(Math.max(...voiced))} Hz` : "no voiced part"}; loudest ${loudest.toFixed(0)} dB; ${nuclei.length} syllables`;
  const playhead = drawn("line", { class: "playhead", x1: 0, x2: 0, y1: 0, y2: height, visibility: "hidden" });
  player?.addEventListener("timeupdate", () => {
    const now = String((width * player.currentTime) / curve.seconds);
    for (const [name, value] of [["x1", now], ["x2", now], ["visibility", "visible"]]) playhead.setAttribute(name, value);
  });
  return element("figure", {},
    drawn("svg", { class: "curves", viewBox: `0 0 ${width} ${height + 8}`, role: "img", "aria-label": said },
      drawn("path", { class: "wave", d: `${path}${back}Z` }),
      drawn("path", { class: "loudness", d: [...intensity].map((value, place) => (value ? `${place && intensity[place - 1] ? "L" : "M"}${x(place).toFixed(1)} ${loudY(value).toFixed(1)}` : "")).join("") }),
      drawn("g", { class: "pitch" }, hertz.map((value, place) => (value ? drawn("circle", { cx: x(place).toFixed(1), cy: pitchY(value).toFixed(1), r: 2.2 }) : null))),
      drawn("g", { class: "rhythm" }, nuclei.map((place) => drawn("path", { d: `M${x(place)} ${height}l4 7h-8z` }))),
      playhead),
    element("figcaption", { class: "legend" }, "grey: waveform · dots: pitch, 60 to 600 Hz · line: loudness · triangles: syllables"));
}

// --- keyboard -----------------------------------------------------------------------------------------------------

/** Single keys work in the list alone, where the focus is on a turn or in it. */
function walk(event) {
  const turn = event.target.closest(".turn");
  if (!turn || event.ctrlKey || event.altKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const steps = { j: () => go(turn, 1), k: () => go(turn, -1), p: () => play(turn), c: () => converse(Number(turn.dataset.turn)) };
  if (steps[event.key]) {
    event.preventDefault();
    steps[event.key]();
  }
}

/** To a neighbouring turn, over the edge of the page too. */
function go(turn, step) {
  const all = [...document.querySelectorAll(".turn")];
  const place = all.indexOf(turn) + step;
  const last = Math.ceil(shown.length / TURNS_PER_PAGE) - 1;
  if (all[place]) return all[place].focus();
  if (state.page + step < 0 || state.page + step > last) return undefined;
  state.page += step;
  showPage();
  return [...document.querySelectorAll(".turn")].at(step > 0 ? 0 : -1).focus();
}

function play(turn) {
  const player = turn.querySelector("audio");
  if (!player) return;
  document.querySelectorAll("audio").forEach((other) => { if (other !== player) other.pause(); });
  if (player.paused) player.play();
  else player.pause();
}

function converse(turn) {
  filterTurns({ run: state.run, dialogue: turnCell("dialogue", turn) });
  state.page = Math.floor(shown.indexOf(turn) / TURNS_PER_PAGE);
  showPage();
  document.querySelector(`.turn[data-turn="${turn}"]`)?.focus();
}

// --- the page -----------------------------------------------------------------------------------------------------

function showPageOfReport() {
  document.getElementById("licence").append(...report.licence.map((note) => element("p", { class: note.kind }, note.text)));
  if (report.clips_left_out) document.getElementById("licence").append(element("p", { class: "note" }, `${report.clips_left_out.toLocaleString("en")} clips are not in this page, which holds ${Object.keys(clips).length.toLocaleString("en")}.`));
  if (report.data) showData(report.data);
  if (report.table) showRuns();
  showTurns();
  findTurns();
  const parts = [["data", "Data"], ["runs", "Runs"], ["turns", "Turns"]].filter(([id]) => !document.getElementById(id).hidden);
  document.querySelector("nav").hidden = parts.length < 2;
  document.querySelector("nav").append(...parts.map(([id, name]) => element("a", { href: `#${id}` }, name)));
  document.querySelector("footer").append(element("p", { class: "soft" }, `Made by speechcue_hf ${report.version}. This file holds all that it shows and asks no other computer for anything.`));
}

addEventListener("beforeprint", () => document.querySelectorAll("#runs > details").forEach((part) => { part.open = true; }));
showPageOfReport();

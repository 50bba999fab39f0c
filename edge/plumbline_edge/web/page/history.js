// The sets that were kept: charts with their trend, a table, reports, exports, and the end of it all.
import { ask } from "/page/api.js";
import { bars, figure, legend, line, trend } from "/page/charts.js";
import { holds, titleOf } from "/page/controls.js";
import { language, minutes, named, number, text } from "/page/messages.js";
import { confirmed } from "/page/options.js";
import { element, toast } from "/page/panel.js";

const CHARTED = 30;
let sets = [];
let asked = 0;

const when = (set, options) => new Date(set.started_at).toLocaleString(language, options);
// An exercise that can no longer be chosen is told by its sets.
const isHold = (set) => holds(set.exercise) ?? set.best_hold_seconds > 0;
const percent = (value) => `${number(100 * value)} %`;

// Sets of several exercises have no trend in common.
const mixed = (rows) => new Set(rows.map((set) => set.exercise)).size > 1;

function trendWords(rows, values, unit) {
  if (mixed(rows)) return text("history.mixed");
  const found = trend(values);
  if (!found) return text("history.fewSets");
  const change = found.last - found.first;
  return text("history.trend", { change: `${change >= 0 ? "+" : "−"}${unit(Math.abs(change))}`, count: values.length });
}

const labelsOf = (rows) => rows.map((set) => when(set, { day: "numeric", month: "short" }));
const tenth = (value) => number(value, value % 1 ? 1 : 0);

function holdChart(rows) {
  const values = rows.map((set) => set.best_hold_seconds);
  const note = trendWords(rows, values, (value) => text("unit.seconds", { count: number(value, 1) }));
  return figure(text("history.holdChart"), note, line(`${text("history.holdChart")}: ${note}`, values, labelsOf(rows), tenth, !mixed(rows)));
}

function repsChart(rows) {
  const totals = rows.map((set) => set.reps + set.partial_reps);
  const note = trendWords(rows, totals, (value) => number(value, 1));
  const parts = rows.map((set) => [set.clean_reps, set.reps - set.clean_reps, set.partial_reps]);
  const kinds = [["clean", text("history.clean")], ["faulty", text("history.withFaults")], ["partial", text("history.partial")]];
  const chart = bars(`${text("history.repsChart")}: ${note}`, parts, kinds.map(([kind]) => kind), labelsOf(rows), tenth, !mixed(rows));
  return figure(text("history.repsChart"), note, chart, legend(kinds));
}

function depthChart(rows) {
  const depth = rows.map((set) => set.mean_depth);
  const note = trendWords(rows, depth.filter((value) => value !== null), percent);
  return figure(text("history.depthChart"), note, line(`${text("history.depthChart")}: ${note}`, depth, labelsOf(rows), percent, !mixed(rows)));
}

function charts(shown) {
  const latest = (kept) => shown.filter(kept).slice(0, CHARTED).reverse();
  const [holds, others] = [latest(isHold), latest((set) => !isHold(set))];
  const made = [];
  if (others.length) made.push(repsChart(others));
  if (others.some((set) => set.mean_depth !== null)) made.push(depthChart(others));
  if (holds.length) made.push(holdChart(holds));
  return made;
}

function cell(...content) {
  const made = document.createElement("td");
  made.append(...content);
  return made;
}

function row(set) {
  const made = document.createElement("tr");
  made.dataset.id = set.id;
  const faults = Object.entries(set.fault_counts).map(([name, count]) => `${named(name)} ${count}×`).join(", ");
  const report = Object.assign(document.createElement("a"), { href: `/api/sets/${set.id}/report`, target: "_blank", rel: "noopener", textContent: text("history.open") });
  report.setAttribute("aria-label", `${text("history.report")}, ${when(set, { dateStyle: "medium", timeStyle: "short" })}`);
  const remove = Object.assign(document.createElement("button"), { type: "button", className: "danger", textContent: text("history.delete") });
  remove.setAttribute("aria-label", `${text("history.delete")}, ${when(set, { dateStyle: "medium", timeStyle: "short" })}`);
  remove.onclick = () => removeSet(set);
  const held = isHold(set);
  made.append(
    cell(when(set, { dateStyle: "short", timeStyle: "short" })), cell(titleOf(set.exercise)),
    cell(held ? minutes(set.best_hold_seconds) : set.partial_reps ? `${set.reps} (+${set.partial_reps})` : String(set.reps)), cell(held ? "" : String(set.clean_reps)),
    cell(set.mean_depth === null ? "" : percent(set.mean_depth)), cell(minutes(set.seconds)), cell(faults),
    cell(...(set.has_report ? [report, " "] : []), remove),
  );
  return made;
}

async function removeSet(set) {
  if (!(await confirmed(text("history.deleteAsk"), text("history.delete")))) return;
  await attempt(() => ask(`/api/sets/${set.id}`, "DELETE"));
}

async function removeAll() {
  if (!(await confirmed(text("history.deleteAllAsk"), text("history.deleteAll")))) return;
  await attempt(() => ask("/api/sets", "DELETE"));
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    toast(error.message);
  }
  await showHistory();
}

function fillChoice() {
  const select = element("history-exercise");
  const chosen = select.value;
  const names = [...new Set(sets.map((set) => set.exercise))];
  const words = [text("history.all"), ...names.map(titleOf)];
  // A list that somebody has open is left alone.
  if (select.dataset.shown === words.join()) return;
  select.dataset.shown = words.join();
  select.replaceChildren(...["", ...names].map((value, index) => Object.assign(document.createElement("option"), { value, textContent: words[index], selected: value === chosen })));
}

function fillTable(shown) {
  const focus = document.activeElement;
  const place = focus.closest("#sets tr")?.dataset.id;
  element("sets").tBodies[0].replaceChildren(...shown.map(row));
  // Who goes through the table by keys keeps their place.
  if (place) element("sets").querySelector(`tr[data-id="${place}"] ${focus.localName}`)?.focus({ preventScroll: true });
}

function fill() {
  fillChoice();
  const chosen = element("history-exercise").value;
  const shown = chosen ? sets.filter((set) => set.exercise === chosen) : sets;
  element("history-empty").hidden = shown.length > 0;
  element("table-scroll").hidden = shown.length === 0;
  element("charts").replaceChildren(...charts(shown));
  fillTable(shown);
}

export async function showHistory() {
  const turn = (asked += 1);
  let found = sets;
  try {
    found = await ask("/api/sets?limit=500");
  } catch (error) {
    toast(error.message);
  }
  // An answer may come after that to a later question.
  if (turn !== asked) return;
  sets = found;
  fill();
}

export function setUpHistory() {
  element("history-exercise").onchange = fill;
  element("delete-all").onclick = removeAll;
}

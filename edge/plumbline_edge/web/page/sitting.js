// A day of sitting: how long, how well, and with how many breaks.
import { ask } from "/page/api.js";
import { day, figure, hourOf, legend } from "/page/charts.js";
import { minutes, named, number, text } from "/page/messages.js";
import { element, toast } from "/page/panel.js";

const EARLIEST_ROWS = 3;
// The day that somebody chose; none for today, which goes on.
let chosen = "";
let asked = 0;
const hours = (seconds) => text("unit.hoursMinutes", { hours: Math.floor(seconds / 3600), minutes: String(Math.floor((seconds % 3600) / 60)).padStart(2, "0") });

function numbers(found) {
  const good = found.sitting_seconds ? 1 - found.fault_seconds / found.sitting_seconds : 0;
  return [
    ["sitting.total", hours(found.sitting_seconds)],
    ["sitting.well", `${number(100 * good)} %`],
    ["sitting.longest", text("unit.minutes", { count: found.longest_minutes })],
    ["sitting.breaks", String(found.breaks)],
  ].map(([key, value]) => {
    const box = document.createElement("div");
    box.append(Object.assign(document.createElement("dt"), { textContent: text(key) }), Object.assign(document.createElement("dd"), { textContent: value }));
    return box;
  });
}

function chart(found) {
  const first = hourOf(found.hours, found.minutes[0].minute);
  const last = Math.max(hourOf(found.hours, found.minutes.at(-1).minute), first + EARLIEST_ROWS - 1);
  const rows = found.hours.slice(first, last + 1);
  const kinds = [["clean", text("sitting.good")], ["faulty", text("sitting.faulty")], ["away", text("sitting.away")]];
  const note = text("sitting.summary", { total: hours(found.sitting_seconds), longest: found.longest_minutes });
  return figure(text("sitting.chart"), note, day(`${text("sitting.chart")}: ${note}`, found.minutes, rows), legend(kinds));
}

export async function showSitting() {
  const turn = (asked += 1);
  let found;
  try {
    // Which day is today, the device knows.
    found = await ask("/api/sitting");
    if (chosen === found.day) chosen = "";
    if (chosen) found = await ask(`/api/sitting?day=${chosen}`);
  } catch (error) {
    return toast(error.message);
  }
  // An answer may come after that to a later question.
  if (turn !== asked) return undefined;
  const field = element("day");
  // A date that is being typed is left alone.
  if (document.activeElement !== field || !field.validity.badInput) field.value = found.day;
  const empty = found.minutes.length === 0;
  element("sitting-empty").hidden = !empty;
  element("sitting-numbers").replaceChildren(...(empty ? [] : numbers(found)));
  element("day-chart").replaceChildren(...(empty ? [] : [chart(found)]));
  const faults = Object.entries(found.faults).sort(([, one], [, other]) => other - one);
  element("sitting-faults").replaceChildren(...faults.map(([name, seconds]) => Object.assign(document.createElement("li"), { textContent: `${named(name)} ${minutes(seconds)}` })));
}

export function setUpSitting() {
  element("day").onchange = (event) => { chosen = event.target.value; showSitting(); };
}

// Shows the state: repetitions, cue, clock, faults, and how the device does.
import { minutes, named, number, spoken, text } from "/page/messages.js";
import { say } from "/page/speech.js";
import { restLength } from "/page/options.js";

export const element = (id) => document.getElementById(id);
export const write = (id, words) => { const target = element(id); if (target.textContent !== words) target.textContent = words; };
let heard = null;
let restSaid = true;

function showCue(state) {
  const cue = element("cue");
  const hint = !state.person_visible ? "live.stepIn" : state.too_slow ? "live.tooSlow" : state.quiet_seconds > 0 ? "snooze.on" : null;
  const words = state.person_visible && state.cue ? spoken(state.cue) : hint ? text(hint, { minutes: Math.ceil(state.quiet_seconds / 60) }) : "";
  write("cue", words);
  cue.className = !(state.person_visible && state.cue) ? "hint" : state.cue_is_praise ? "praise" : "";
  if (heard !== null && state.cues_given > heard && state.cue) say(spoken(state.cue));
  heard = state.cues_given;
}

function showCount(state) {
  write("count-caption", state.holds ? text("live.held") : text("live.reps"));
  write("reps", state.holds ? minutes(state.hold_seconds) : String(state.reps));
  element("reps").className = state.holds ? "seconds" : "";
  write("phase", state.person_visible && state.phase ? named(state.phase) : "");
}

function showClock(state) {
  const resting = !state.set && state.rested_seconds !== null && state.rested_seconds < restLength() + 60;
  const left = resting ? restLength() - state.rested_seconds : 0;
  element("timer").classList.toggle("over", resting && left <= 0);
  element("rest").hidden = !resting;
  write("timer-caption", text(state.set ? "live.setTime" : resting ? (left > 0 ? "rest.label" : "rest.over") : "live.noSet"));
  write("clock", minutes(state.set ? state.set.seconds : Math.abs(left)));
  if (resting) element("rest").value = Math.max(0, Math.min(1, state.rested_seconds / restLength()));
  if (resting && left <= 0 && !restSaid) say(text("rest.over"));
  restSaid = !resting || left <= 0;
}

function showFaults(counts) {
  const words = Object.entries(counts).filter(([, count]) => count > 0).map(([name, count]) => `${named(name)} ${count}×`);
  const list = element("faults");
  if (list.dataset.shown === words.join()) return;
  list.dataset.shown = words.join();
  list.replaceChildren(...words.map((item) => Object.assign(document.createElement("li"), { textContent: item })));
}

function showDevice(state) {
  const flowing = state.frame_age_seconds < 3;
  write("fps", flowing ? text("device.fps", { fps: number(state.fps) }) : "");
  const degrees = state.temperature_celsius;
  write("temperature", degrees === null ? "" : `${number(degrees)} °C`);
  element("temperature").toggleAttribute("data-hot", state.throttled.length > 0);
  if ("calibrating" in element("message").dataset) return;
  element("message").hidden = flowing;
  if (!flowing) write("message", text("live.noPicture"));
}

export function showState(state) {
  showCount(state);
  showCue(state);
  showClock(state);
  showFaults(state.fault_counts);
  showDevice(state);
  element("badge").hidden = !state.pixels_hidden;
}

export function showConnection(how) {
  const light = element("connection");
  light.dataset.state = how === "good" ? "good" : "bad";
  write("connection", how === "good" ? "" : text(how === "token_needed" ? "connection.token" : how === "too_many_viewers" ? "connection.full" : "connection.lost"));
}

let toastEnds = 0;
export function toast(words) {
  write("toast", words);
  clearTimeout(toastEnds);
  toastEnds = setTimeout(() => write("toast", ""), 5000);
}

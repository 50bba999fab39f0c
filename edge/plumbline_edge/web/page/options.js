// What is chosen for this screen alone, and kept in its browser.
import { LANGUAGES, choose, language, text } from "/page/messages.js";

const RESTS = [30, 60, 90, 120, 180];
const SNOOZES = [300, 600, 1800, 3600];
const kept = (name, fallback) => Number(localStorage.getItem(`plumbline.${name}`)) || fallback;
export const restLength = () => kept("rest", 60);
export const snoozeLength = () => kept("snooze", 600);
const KEYS = { Space: "set", C: "calibrate", P: "privacy", M: "snooze", V: "voice", 1: "live", 2: "history", 3: "sitting", "?": "options" };

const option = (value, words, chosen) => Object.assign(document.createElement("option"), { value, textContent: words, selected: chosen });

function lengths(id, name, values, chosen) {
  const select = document.getElementById(id);
  const words = (seconds) => (seconds < 120 ? text("unit.seconds", { count: seconds }) : text("unit.minutes", { count: seconds / 60 }));
  select.replaceChildren(...values.map((seconds) => option(seconds, words(seconds), seconds === chosen)));
  select.onchange = () => localStorage.setItem(`plumbline.${name}`, select.value);
}

export function fillOptions(onLanguage) {
  const select = document.getElementById("language");
  select.replaceChildren(...Object.entries(LANGUAGES).map(([name, words]) => option(name, words, name === language)));
  select.onchange = async () => { await choose(select.value); onLanguage(); };
  lengths("rest-length", "rest", RESTS, restLength());
  lengths("snooze-length", "snooze", SNOOZES, snoozeLength());
  const rows = Object.entries(KEYS).flatMap(([key, what]) => [["dt", key === "Space" ? text("keys.space") : key], ["dd", text(`keys.${what}`)]]);
  document.getElementById("keys").replaceChildren(...rows.map(([kind, words]) => Object.assign(document.createElement(kind), { textContent: words })));
}

export function setUpOptions() {
  const dialog = document.getElementById("options");
  document.getElementById("open-options").onclick = () => dialog.showModal();
  document.getElementById("fullscreen").onclick = () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
}

export function confirmed(words, yes) {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-text").textContent = words;
  document.getElementById("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

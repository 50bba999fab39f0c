// Single keys in place of the buttons, and the switch that turns them off: who speaks to a computer types letters (WCAG 2.1.4).
import { element } from "/page/panel.js";

const KEPT = "plumbline.keys";
const BUTTONS = { " ": "set", c: "calibrate", p: "privacy", m: "snooze", v: "voice" };
const PLACES = { 1: "live", 2: "history", 3: "sitting" };
let used = localStorage.getItem(KEPT) !== "off";

function onKey(event) {
  // A dialog that has just closed keeps the focus until the next frame: a list nobody can see is not being chosen from.
  const chooses = event.target.matches("select, input, textarea") && event.target.checkVisibility();
  const typing = chooses || document.querySelector("dialog[open]");
  if (!used || typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.key === " " && event.target.matches("button, a, summary")) return;
  const button = element(BUTTONS[event.key.toLowerCase()]);
  if (event.key === "?") element("options").showModal();
  else if (PLACES[event.key]) location.hash = PLACES[event.key];
  // Space moves a long list on where no set can be begun.
  else if (button?.checkVisibility() && !button.disabled) button.click();
  else return;
  event.preventDefault();
}

function show() {
  element("use-keys").setAttribute("aria-pressed", String(used));
  for (const [key, id] of Object.entries(BUTTONS)) {
    if (used) element(id).setAttribute("aria-keyshortcuts", key === " " ? "Space" : key.toUpperCase());
    else element(id).removeAttribute("aria-keyshortcuts");
  }
}

function change() {
  used = !used;
  localStorage.setItem(KEPT, used ? "on" : "off");
  show();
}

export function setUpKeys() {
  element("use-keys").onclick = change;
  document.addEventListener("keydown", onKey);
  show();
}

// Says cues aloud with the browser's own voice.
import { language, text } from "/page/messages.js";

const KEPT = "plumbline.voice";
const kept = localStorage.getItem(KEPT);
export let speaking = kept === null ? new URLSearchParams(location.search).has("kiosk") : kept === "on";

export function say(words) {
  if (!speaking || !("speechSynthesis" in window)) return;
  speechSynthesis.cancel();
  speechSynthesis.speak(Object.assign(new SpeechSynthesisUtterance(words), { lang: language }));
}

export function setSpeaking(on) {
  speaking = on;
  localStorage.setItem(KEPT, on ? "on" : "off");
  if (on) say(text("voice.on"));
  else if ("speechSynthesis" in window) speechSynthesis.cancel();
}

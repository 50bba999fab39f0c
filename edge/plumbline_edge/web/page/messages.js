// The page's texts, in the language chosen here or asked for by the browser; messages/ holds a file for each.
export const LANGUAGES = { en: "English", de: "Deutsch" };
const KEPT = "plumbline.language";
const AGAIN_MS = 1000;
const LONGEST_MS = 10_000;
let texts = {};
// All that can be said before the texts are here.
let english = { "connection.lost": "connection lost" };
export let language = "en";

async function load(name) {
  const answer = await fetch(`/page/messages/${name}.json`, { signal: AbortSignal.timeout(LONGEST_MS) });
  if (!answer.ok) throw new Error(`messages/${name}.json: ${answer.status}`);
  return answer.json();
}

// Nothing can be shown without them: they are asked for until they come.
async function loaded(name, onLost) {
  for (;;) {
    try {
      return await load(name);
    } catch {
      onLost();
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

function wanted() {
  const asked = [localStorage.getItem(KEPT), ...navigator.languages.map((name) => name.slice(0, 2))];
  return asked.find((name) => name in LANGUAGES) ?? "en";
}

export async function loadMessages(onLost, chosen = wanted()) {
  english = await loaded("en", onLost);
  texts = chosen === "en" ? english : await loaded(chosen, onLost);
  language = chosen;
  document.documentElement.lang = chosen;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", text(element.dataset.label));
}

export function choose(name) {
  localStorage.setItem(KEPT, name);
  // The stream says by itself that the connection is lost.
  return loadMessages(() => {}, name);
}

export function text(key, values = {}) {
  const found = texts[key] ?? english[key] ?? key;
  return found.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// What the coach says, and names of exercises, phases and faults: in its own words where this language has none.
const plain = (words) => words.replaceAll("_", " ");
export const spoken = (words) => texts[`coach.${words}`] ?? words;
export const named = (name) => texts[`name.${name}`] ?? plain(name);
export const titled = (name, title) => texts[`exercise.${name}`] ?? title;
export const number = (value, digits = 0) => value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

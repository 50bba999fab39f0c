// The page's texts, in the language chosen here or asked for by the browser; messages/ holds a file for each.
export const LANGUAGES = { en: "English", de: "Deutsch" };
const KEPT = "plumbline.language";
let texts = {};
let english = {};
export let language = "en";

const load = async (name) => (await fetch(`/page/messages/${name}.json`)).json();

function wanted() {
  const asked = [localStorage.getItem(KEPT), ...navigator.languages.map((name) => name.slice(0, 2))];
  return asked.find((name) => name in LANGUAGES) ?? "en";
}

export async function loadMessages(chosen = wanted()) {
  language = chosen;
  english = await load("en");
  texts = chosen === "en" ? english : await load(chosen);
  document.documentElement.lang = chosen;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", text(element.dataset.label));
}

export function choose(name) {
  localStorage.setItem(KEPT, name);
  return loadMessages(name);
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

// The page from beginning to end: texts, options, buttons, views, then the live stream for as long as the page is open.
import { fillExercises, follow, loadExercises, setUpControls } from "/page/controls.js";
import { setUpHistory, showHistory } from "/page/history.js";
import { setUpKeys } from "/page/keys.js";
import { loadMessages } from "/page/messages.js";
import { fillOptions, setUpOptions } from "/page/options.js";
import { element, showConnection } from "/page/panel.js";
import { setUpSitting, showSitting } from "/page/sitting.js";
import { LiveStream } from "/page/stream.js";

const VIEWS = { live: () => {}, history: showHistory, sitting: showSitting };
const AGAIN_MS = 60_000;
let shown = null;
let connected = false;
let setUnderWay = null;

function showView() {
  const chosen = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "live";
  for (const name of Object.keys(VIEWS)) element(name).hidden = name !== chosen;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === chosen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  shown = chosen;
  VIEWS[chosen]();
}

function onLanguage() {
  fillOptions(onLanguage);
  fillExercises();
  VIEWS[shown]();
}

// What is kept changes while it is looked at: a day of sitting grows, and sets are ended on other screens.
function fillAgain() {
  if (connected && !document.hidden && !document.querySelector("dialog[open]")) VIEWS[shown]();
}

function onState(state) {
  follow(state);
  const before = setUnderWay;
  setUnderWay = state.set?.id ?? null;
  if (before !== null && before !== setUnderWay) fillAgain();
}

function onConnection(how) {
  const back = how === "good" && !connected;
  connected = how === "good";
  showConnection(how);
  if (connected) loadExercises();
  if (back) fillAgain();
}

await loadMessages(() => showConnection("lost"));
fillOptions(onLanguage);
setUpOptions();
setUpHistory();
setUpSitting();
addEventListener("hashchange", showView);
setUpKeys();
await setUpControls();
showView();
setInterval(fillAgain, AGAIN_MS);
document.addEventListener("visibilitychange", fillAgain);
await new LiveStream(element("picture"), onState, onConnection).run();

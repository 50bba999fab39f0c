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
let shown = null;

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

await loadMessages(() => showConnection("lost"));
fillOptions(onLanguage);
setUpOptions();
setUpHistory();
setUpSitting();
addEventListener("hashchange", showView);
setUpKeys();
await setUpControls();
showView();
const stream = new LiveStream(element("picture"), follow, (how) => {
  showConnection(how);
  if (how === "good") loadExercises();
});
await stream.run();

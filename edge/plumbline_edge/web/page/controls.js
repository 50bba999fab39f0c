// The buttons below the picture.
import { ask } from "/page/api.js";
import { named, text, titled } from "/page/messages.js";
import { snoozeLength } from "/page/options.js";
import { element, showState, toast, write } from "/page/panel.js";
import { say, setSpeaking, speaking } from "/page/speech.js";

const COUNTDOWN = 5;
let latest = null;
let exercises = [];

async function attempt(work) {
  try {
    const state = await work();
    if (state?.exercise) follow(state);
  } catch (error) {
    toast(error.message);
  }
}

export function follow(state) {
  const chosenAnew = state.exercise !== latest?.exercise;
  latest = state;
  showState(state);
  const set = element("set");
  write("set", text(state.set ? "set.stop" : "set.start"));
  set.classList.toggle("stops", Boolean(state.set));
  element("exercise").disabled = Boolean(state.set);
  // Somebody who moves through the list is not disturbed, unless another exercise is coached from now on.
  if (chosenAnew || document.activeElement !== element("exercise")) element("exercise").value = state.exercise;
  press("privacy", state.pixels_hidden);
  element("privacy").disabled = state.pixels_always_hidden;
  press("snooze", state.quiet_seconds > 0);
  press("voice", speaking);
  write("about", `${state.bundle.name} ${state.bundle.version} ${state.bundle.precision} · ${text("device.latency", { ms: Math.round(element("picture").dataset.latencyMs ?? 0) })} · p95 ${Math.round(state.p95_latency_ms)} ms`);
}

const press = (id, on) => element(id).setAttribute("aria-pressed", String(on));

async function startOrStop() {
  const ends = Boolean(latest?.set);
  await ask(ends ? "/api/set/stop" : "/api/set/start", "POST");
  say(text(ends ? "set.ended" : "set.begun"));
  return ask("/api/state");
}

async function choose() {
  const list = element("exercise");
  try {
    return await ask("/api/exercise", "PUT", { name: list.value });
  } catch (error) {
    if (latest) list.value = latest.exercise;
    throw error;
  }
}

async function calibrate() {
  const button = element("calibrate");
  button.disabled = true;
  say(text("calibrate.stand"));
  const message = element("message");
  message.dataset.calibrating = "";
  message.hidden = false;
  for (let left = COUNTDOWN; left > 0; left -= 1) {
    write("message", `${text("calibrate.stand")} ${left}`);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  try {
    const state = await ask("/api/calibrate", "POST");
    say(text("calibrate.done"));
    toast(text("calibrate.done"));
    return state;
  } finally {
    delete message.dataset.calibrating;
    message.hidden = true;
    button.disabled = false;
  }
}

const ACTIONS = {
  set: startOrStop,
  calibrate,
  privacy: () => ask("/api/privacy", "PUT", { hide_pixels: !latest?.pixels_hidden }),
  snooze: () => ask("/api/snooze", "POST", { seconds: latest?.quiet_seconds > 0 ? 0 : snoozeLength() }),
  voice: async () => { setSpeaking(!speaking); press("voice", speaking); },
};

export function fillExercises() {
  const options = exercises.map(({ name, title }) => Object.assign(document.createElement("option"), { value: name, textContent: titled(name, title) }));
  element("exercise").replaceChildren(...options);
  if (latest) element("exercise").value = latest.exercise;
}

export const titleOf = (name) => [...element("exercise").options].find((option) => option.value === name)?.textContent ?? named(name);

// Whether an exercise is held rather than repeated; undefined where it cannot be chosen.
export const holds = (name) => exercises.find((exercise) => exercise.name === name)?.holds;

export async function setUpControls() {
  for (const [id, action] of Object.entries(ACTIONS)) element(id).onclick = () => attempt(action);
  element("exercise").onchange = () => attempt(choose);
  await loadExercises();
}

export async function loadExercises() {
  if (exercises.length) return;
  try {
    exercises = await ask("/api/exercises");
    fillExercises();
  } catch {
    // The service is not there: the stream says so, and asks again.
  }
}

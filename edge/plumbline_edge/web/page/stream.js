// The live stream: messages of state and picture, drawn together, and taken up again whenever it breaks off.
const SILENCE_MS = 4000;
const AGAIN_MS = 1000;

async function* messagesOf(body) {
  const reader = body.getReader();
  let had = new Uint8Array(0);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const both = new Uint8Array(had.length + value.length);
    both.set(had);
    both.set(value, had.length);
    had = both;
    while (had.length >= 8) {
      const lengths = new DataView(had.buffer, had.byteOffset);
      const [text, jpeg] = [lengths.getUint32(0), lengths.getUint32(4)];
      if (had.length < 8 + text + jpeg) break;
      const json = JSON.parse(new TextDecoder().decode(had.subarray(8, 8 + text)));
      yield { ...json, jpeg: jpeg ? had.slice(8 + text, 8 + text + jpeg) : null };
      had = had.subarray(8 + text + jpeg);
    }
  }
}

// The device's clock minus the browser's, from the quickest of some answers.
async function clockOffset() {
  let best = { took: Infinity, offset: 0 };
  for (let turn = 0; turn < 4; turn += 1) {
    const before = Date.now();
    const { clock_ms: there } = await (await fetch("/api/clock", { cache: "no-store" })).json();
    const took = Date.now() - before;
    if (took < best.took) best = { took, offset: there - (before + took / 2) };
  }
  return best.offset;
}

// A hidden page is given no animation frame, not even one that it asked for before.
const nextFrame = () => new Promise((resolve) => {
  if (document.hidden) return resolve();
  requestAnimationFrame(resolve);
  document.onvisibilitychange = resolve;
});

export class LiveStream {
  constructor(canvas, onState, onConnection) {
    Object.assign(this, { canvas, onState, onConnection, offset: 0, waiting: null, drawing: false, showsPixels: false });
  }

  async run() {
    for (;;) {
      let how = "lost";
      const abort = new AbortController();
      let watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
      try {
        const answer = await fetch("/api/live", { cache: "no-store", signal: abort.signal });
        if (!answer.ok) throw Object.assign(new Error(), { code: (await answer.json()).error?.code });
        clockOffset().then((offset) => { this.offset = offset; }, () => {});
        for await (const message of messagesOf(answer.body)) {
          clearTimeout(watchdog);
          watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
          this.onConnection("good");
          this.take(message);
        }
      } catch (error) {
        // The service's own word for it; that of a request that was given up is a number.
        if (typeof error.code === "string") how = error.code;
      }
      clearTimeout(watchdog);
      this.onConnection(how);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  // Of messages that come faster than this screen draws them, the newest; each state with the picture that came with it.
  take(message) {
    this.waiting = message;
    if (!this.drawing) this.draw();
  }

  async draw() {
    this.drawing = true;
    while (this.waiting) {
      const message = this.waiting;
      this.waiting = null;
      try {
        // A page that nobody sees still speaks.
        if (message.jpeg && !document.hidden) {
          const bitmap = await createImageBitmap(new Blob([message.jpeg], { type: "image/jpeg" }));
          await nextFrame();
          this.show(bitmap, message);
          bitmap.close();
        }
        // While no new picture comes the last one would stay.
        if (message.state.pixels_hidden && this.showsPixels) this.clear();
        this.onState(message.state);
      } catch {
        // One damaged picture: the next one comes at once.
      }
    }
    this.drawing = false;
  }

  show(bitmap, message) {
    const { canvas } = this;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
    canvas.getContext("2d", { alpha: false }).drawImage(bitmap, 0, 0);
    this.showsPixels = message.shows_pixels;
    const latency = Date.now() + this.offset - message.captured_at_ms;
    Object.assign(canvas.dataset, { frame: message.frame, poseFrame: message.pose_frame, latencyMs: latency.toFixed(1) });
    canvas.dispatchEvent(new CustomEvent("drawn"));
  }

  clear() {
    this.canvas.getContext("2d", { alpha: false }).clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.showsPixels = false;
  }
}

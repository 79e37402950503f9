// The tab Live: camera and microphone go to the server in pieces, captions come back. The messages
// are described in docs/serve.md. `element` is the tab's content.
const find = (selector) => element.querySelector(selector);
const section = find(".live");
const picture = find(".picture");
const WIDTH = 640; // pixels of the pictures that are sent
const FRAME_S = 0.035; // no two of them are closer
const QUALITY = 0.8; // of their JPEGs
const FULL = 1_000_000; // bytes that wait in a connection: pictures are left out
const LONGEST_END_MS = 20_000; // in which the rest is read
const MOST_SAID = 100; // sentences that the page shows
const TITLES = new Map(
  [...section.querySelectorAll("template")].map((one) => [one.dataset.way, one.innerHTML]),
);

// Runs where the sound is: collects a tenth of a second, and mixes babble in by the level of the
// voice: the loudest of late, which fades by half in some three seconds.
const RECORDER = `
registerProcessor("recorder", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(Math.round(sampleRate / 10));
    this.length = this.place = 0;
    this.power = 0;
    this.snr = null;
    this.port.onmessage = ({ data }) => Object.assign(this, data);
  }
  process([[heard]]) {
    if (!heard) return true;
    if (this.length === 0) this.begins = currentTime;
    let power = 0;
    for (const value of heard) power += (value * value) / heard.length;
    this.power = Math.max(this.power * 0.9994, power > this.power ? 0.8 * this.power + 0.2 * power : 0);
    const gain = this.babble && this.snr !== null
      ? Math.sqrt((this.power / this.babblePower) * 10 ** (-this.snr / 10)) : 0;
    for (const value of heard) {
      const noise = gain ? gain * this.babble[this.place++ % this.babble.length] : 0;
      this.piece[this.length++] = value + noise;
      if (this.length === this.piece.length) {
        this.port.postMessage({ piece: this.piece, begins: this.begins, ends: currentTime });
        this.piece = new Float32Array(this.piece.length);
        this.length = 0;
        this.begins = currentTime;
      }
    }
    return true;
  }
});`;

let session = null; // what runs

function tell(text, isProblem = false) {
  const told = find(".told");
  told.textContent = text;
  told.classList.toggle("problem", isProblem);
}

// A message: see docs/serve.md.
function packed(kind, rate, time, content) {
  const message = new Uint8Array(16 + content.byteLength);
  const head = new DataView(message.buffer);
  head.setUint8(0, kind);
  head.setUint32(4, rate, true);
  head.setFloat64(8, Math.max(0, time), true);
  message.set(new Uint8Array(content), 16);
  return message;
}

// One reading: a connection and the caption that it fills.
class Reading {
  constructor(way, isMain) {
    this.way = way;
    this.isMain = isMain;
    this.begins = null; // the page's clock when its times begin, in seconds
    this.words = [];
    this.box = document.createElement("div");
    this.box.className = `caption ${way}`;
    this.box.setAttribute("aria-label", `Caption: ${TITLES.get(way)}`);
    this.box.innerHTML = '<h3></h3><p aria-live="polite"><span class="stands"></span> <span class="guess"></span></p>';
    this.box.querySelector("h3").textContent = TITLES.get(way);
    find(".captions").append(this.box);
    const address = new URL("live", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    this.ended = new Promise((resolve) => {
      this.socket = new WebSocket(address);
      this.socket.onclose = resolve;
    });
    this.socket.onopen = () => this.socket.send(JSON.stringify({ event: "start", modality: way }));
    this.socket.onmessage = ({ data }) => this.hear(JSON.parse(data));
  }

  get isOpen() {
    return this.begins !== null && this.socket.readyState === WebSocket.OPEN;
  }

  hear(event) {
    if (event.event === "ready") {
      this.begins = performance.now() / 1000;
      if (this.isMain) tell("Speak: you are heard and seen.");
    } else if (event.event === "words") {
      this.words.push(...event.committed);
      this.show(event.guess);
      if (event.sentence_ends) this.endSentence();
    } else if (event.event === "level" && this.isMain) {
      tell(`Keeping up with ${event.level}.`);
    } else if (event.event === "warning") {
      tell(event.message, true);
    } else if (event.event === "error") {
      this.failed = true;
      tell(event.error.message, true);
    }
  }

  show(guess) {
    this.box.querySelector(".stands").textContent = this.words.map((one) => one.word).join(" ");
    this.box.querySelector(".guess").textContent = guess;
  }

  endSentence() {
    if (this.isMain && this.words.length) {
      const line = document.createElement("li");
      const time = document.createElement("time");
      const start = Math.floor(this.words[0].start);
      time.textContent = `${Math.floor(start / 60)}:${String(start % 60).padStart(2, "0")}`;
      line.append(time, this.words.map((one) => one.word).join(" "));
      find(".said").append(line);
      while (find(".said").children.length > MOST_SAID) find(".said").firstChild.remove();
      find(".said").scrollTop = find(".said").scrollHeight;
    }
    this.words = []; // they stay in sight until the next ones come
  }

  send(kind, rate, at, content) {
    if (!this.isOpen || (kind === 1 ? this.way === "video" : this.way === "audio")) return;
    if (kind === 2 && this.socket.bufferedAmount > FULL) return;
    if (at >= this.begins) this.socket.send(packed(kind, rate, at - this.begins, content));
  }

  finish() {
    if (this.isOpen) this.socket.send(JSON.stringify({ event: "finish" }));
    else this.socket.close();
  }
}

// Camera, microphone, and the readings of what they give.
class Session {
  async open(ways) {
    this.media = await devices(ways);
    picture.srcObject = this.media;
    await picture.play();
    await this.listen();
    this.readings = ways.map((way, index) => new Reading(way, index === 0));
    this.watch();
    this.ended = Promise.all(this.readings.map((one) => one.ended));
    this.ended.then(() => this === session && close());
  }

  send(kind, rate, at, content) {
    for (const reading of this.readings ?? []) reading.send(kind, rate, at, content);
  }

  async listen() {
    if (!this.media.getAudioTracks().length) return;
    this.sound = new AudioContext();
    await this.sound.resume();
    const code = URL.createObjectURL(new Blob([RECORDER], { type: "text/javascript" }));
    await this.sound.audioWorklet.addModule(code);
    URL.revokeObjectURL(code);
    this.recorder = new AudioWorkletNode(this.sound, "recorder", { numberOfOutputs: 0 });
    let behind = Infinity; // the page's clock less that of the sound: the smallest is without delay
    this.recorder.port.onmessage = ({ data: { piece, begins, ends } }) => {
      behind = Math.min(behind, performance.now() / 1000 - ends);
      const whole = Int16Array.from(piece, (value) => 32767 * Math.max(-1, Math.min(1, value)));
      this.send(1, this.sound.sampleRate, begins + behind, whole.buffer);
    };
    this.sound.createMediaStreamSource(this.media).connect(this.recorder);
    await this.disturb();
  }

  async disturb() {
    if (!this.recorder) return;
    const level = find(".noise").value;
    if (level !== "" && !this.babble) {
      const file = await fetch(new URL("live/babble.wav", document.baseURI));
      const sound = await this.sound.decodeAudioData(await file.arrayBuffer());
      this.babble = sound.getChannelData(0);
      const babblePower = this.babble.reduce((sum, v) => sum + v * v, 0) / this.babble.length;
      this.recorder.port.postMessage({ babble: this.babble, babblePower });
    }
    this.recorder.port.postMessage({ snr: level === "" ? null : +level });
  }

  watch() {
    if (!this.media.getVideoTracks().length) return;
    const canvas = document.createElement("canvas");
    let last = 0;
    let isBusy = false;
    const look = () => {
      if (this.isClosed) return;
      picture.requestVideoFrameCallback(look);
      const at = performance.now() / 1000;
      if (isBusy || at - last < FRAME_S || !picture.videoWidth) return;
      last = at;
      isBusy = true;
      canvas.width = Math.min(WIDTH, picture.videoWidth);
      canvas.height = Math.round((canvas.width * picture.videoHeight) / picture.videoWidth);
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      canvas.toBlob(async (blob) => {
        isBusy = false;
        if (blob) this.send(2, 0, at, await blob.arrayBuffer());
      }, "image/jpeg", QUALITY);
    };
    picture.requestVideoFrameCallback(look);
  }

  // Lets go of camera and microphone; what has been sent is still read to its end.
  async close() {
    this.isClosed = true;
    for (const track of this.media?.getTracks() ?? []) track.stop();
    picture.srcObject = null;
    await this.sound?.close();
    for (const reading of this.readings ?? []) reading.finish();
    await Promise.race([this.ended, new Promise((resolve) => setTimeout(resolve, LONGEST_END_MS))]);
  }
}

async function devices(ways) {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers give a camera only to pages at https:// or at localhost: open this page that way.");
  }
  const wanted = {
    audio: ways.some((way) => way !== "video") && { echoCancellation: false, noiseSuppression: false },
    video: ways.some((way) => way !== "audio") && {
      width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 25 }, facingMode: "user",
    },
  };
  try {
    return await navigator.mediaDevices.getUserMedia(wanted);
  } catch (error) {
    const why = {
      NotAllowedError: "The browser was not allowed to use camera and microphone: allow it in the address bar, and press Start again.",
      NotFoundError: "No camera or no microphone was found: connect one, or choose Sound only or Lips only.",
      NotReadableError: "Another program uses the camera or the microphone: close it, and press Start again.",
    }[error.name];
    throw new Error(why ?? `Camera and microphone cannot be used: ${error.message}`);
  }
}

function shown(isRunning) {
  section.classList.toggle("running", isRunning);
  find(".toggle").textContent = isRunning ? "Stop" : "Start";
  find(".way").disabled = isRunning;
}

async function open() {
  find(".captions").replaceChildren();
  find(".said").replaceChildren();
  tell("Waiting for camera and microphone …");
  session = new Session();
  shown(true);
  try {
    await session.open(find(".way").value.split(","));
  } catch (error) {
    tell(error.message, true);
    await close();
  }
}

async function close() {
  const closing = session;
  session = null;
  shown(false);
  find(".toggle").disabled = true;
  await closing?.close();
  find(".toggle").disabled = false;
  const failed = closing?.readings?.some((one) => one.failed);
  if (closing?.readings && !failed) tell("Stopped. Nothing was kept.");
}

find(".toggle").addEventListener("click", () => (session ? close() : open()));
find(".noise").addEventListener("change", () => session?.disturb());
window.addEventListener("pagehide", () => session && close());

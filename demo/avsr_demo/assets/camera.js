// The camera: why it does not start, and how long it has been recording.
(() => {
  const REASONS = {
    NotAllowedError:
      "The browser denies this page the camera or the microphone. Allow both in its address bar, then try again.",
    NotFoundError: "No camera with a microphone was found. Connect one, or upload a recording.",
    NotReadableError: "Another program uses the camera or the microphone. Close it, then try again.",
    NotSupportedError:
      "Browsers give the camera only to pages over https or from this machine. Upload a recording instead.",
  };
  const note = () => document.getElementById("camera-note");

  function tell(text, problem = false) {
    if (!note()) return;
    note().textContent = text;
    note().classList.toggle("problem", problem);
    if (problem) note().scrollIntoView({ block: "nearest" });
  }

  const devices = navigator.mediaDevices;
  if (devices) {
    const ask = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (wanted) => {
      try {
        const stream = await ask(wanted);
        tell("");
        return stream;
      } catch (error) {
        tell(REASONS[error.name] ?? `The camera did not start: ${error.message}.`, true);
        throw error;
      }
    };
  }
  document.addEventListener("click", (event) => {
    if (!devices && event.target.closest("#film")?.querySelector("[data-testid=webcam]")) {
      tell(REASONS.NotSupportedError, true);
    }
  });

  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

  // Shows the time of a film while it is recorded, and that the longest there may be is reached.
  function time(recorder) {
    const began = performance.now();
    const limit = +(note()?.dataset.limitS ?? 60);
    const show = () => {
      const seconds = (performance.now() - began) / 1000;
      if (seconds > limit) tell(`Recording ${clock(seconds)}: too long. At most ${clock(limit)} can be read.`, true);
      else tell(`Recording ${clock(seconds)} of ${clock(limit)}`);
    };
    show();
    const timer = setInterval(show, 250);
    recorder.addEventListener("stop", () => {
      clearInterval(timer);
      tell("");
    });
  }

  if (window.MediaRecorder) {
    const start = MediaRecorder.prototype.start;
    MediaRecorder.prototype.start = function (...given) {
      start.apply(this, given);
      if (this.stream.getVideoTracks().length) time(this);
    };
  }

  // Gradio names this button "start recording" while it says Stop, too; its text is name enough.
  function rename() {
    document.querySelector("#film [aria-label='start recording']")?.removeAttribute("aria-label");
  }
  new MutationObserver(rename).observe(document, { childList: true, subtree: true });
})();

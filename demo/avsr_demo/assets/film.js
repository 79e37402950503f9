// Words and film follow each other; all listeners are on the document, because panels are replaced.
(() => {
  const film = () => document.getElementById("film-player");
  const loop = () => document.getElementById("mouth-loop");
  const words = () => document.querySelectorAll(".word[data-start]");

  function follow() {
    const player = film();
    const now = player.currentTime;
    for (const word of words()) {
      const current = now >= +word.dataset.start && now < +word.dataset.end;
      word.classList.toggle("now", current && !(player.paused && now === 0));
    }
    const mouth = loop();
    if (!mouth || player.paused || mouth.dataset.held) return;
    if (Math.abs(mouth.currentTime - now) > 0.12) mouth.currentTime = now;
  }

  function seek(word) {
    const player = film();
    if (!player || !word.dataset.start) return;
    player.currentTime = +word.dataset.start;
    player.play();
    player.scrollIntoView({ block: "nearest" }); // on a phone it is far below the words
  }

  function toggleLoop(button) {
    const mouth = loop();
    const hold = !mouth.paused;
    if (hold) mouth.pause();
    else mouth.play();
    mouth.dataset.held = hold ? "yes" : "";
    button.setAttribute("aria-pressed", String(hold));
  }

  // One stop of the Tab key for each reading; the arrow keys go from word to word.
  function step(word, key) {
    const all = [...word.closest(".words").querySelectorAll("button.word")];
    const place = { ArrowRight: 1, ArrowLeft: -1 }[key];
    const index = { Home: 0, End: all.length - 1 }[key] ?? all.indexOf(word) + place;
    const next = all[Math.max(0, Math.min(all.length - 1, index))];
    for (const other of all) other.tabIndex = other === next ? 0 : -1;
    next.focus();
  }

  document.addEventListener("timeupdate", (event) => event.target === film() && follow(), true);
  document.addEventListener("seeked", (event) => event.target === film() && follow(), true);
  document.addEventListener("click", (event) => {
    const word = event.target.closest("button.word");
    if (word) seek(word);
    const toggle = event.target.closest("#mouth-toggle");
    if (toggle) toggleLoop(toggle);
  });
  document.addEventListener("keydown", (event) => {
    const word = event.target.closest?.("button.word");
    if (!word || !["ArrowRight", "ArrowLeft", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    step(word, event.key);
  });
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    document.addEventListener("play", (event) => {
      if (event.target === loop() && !event.target.dataset.held) {
        toggleLoop(document.getElementById("mouth-toggle"));
      }
    }, true);
  }
})();

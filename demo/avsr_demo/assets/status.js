// What the visitor is told: results come into view, old ones are marked, texts can be copied.
(() => {
  const shown = () => document.querySelector("#status-bar .status");
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let busy = false;

  // When work begins, its results come into view, unless they are.
  function bringResults() {
    const begins = Boolean(shown()?.classList.contains("busy"));
    if (begins && !busy) {
      const results = document.getElementById("results");
      const top = results.getBoundingClientRect().top;
      if (top < 0 || top > innerHeight / 3) {
        results.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
      }
    }
    busy = begins;
  }

  // The value of a control now; undefined where the model has no such control.
  function valueOf(name) {
    const box = document.getElementById(name);
    const field = box?.querySelector("input:checked, textarea, input[type=text]");
    return field?.value;
  }

  function markOld() {
    const asked = JSON.parse(shown()?.dataset.asked ?? "{}");
    const old = Object.entries(asked).some(([name, value]) => {
      const now = valueOf(name);
      return now !== undefined && now !== String(value ?? "");
    });
    document.getElementById("results")?.classList.toggle("old", old);
  }

  async function copy(button) {
    const text = button.dataset.text;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = copyOldWay(text) ? "Copied" : "Select the words and copy them";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  }

  // Browsers keep the clipboard from pages that come over http from another machine.
  function copyOldWay(text) {
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }

  function refresh() {
    bringResults();
    markOld();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.matches(".copy")) copy(button);
    if (button?.matches(".again")) document.getElementById("read").click();
  });
  for (const kind of ["input", "change"]) document.addEventListener(kind, markOld);
  new MutationObserver(refresh).observe(document, { childList: true, subtree: true });
})();

// Beside each text that somebody may need elsewhere, a button that copies it.
"use strict";

(() => {
  const { copyWord, copiedWord } = document.querySelector("[data-copy-word]").dataset;
  const shown = 1500; // milliseconds

  // The clipboard is only there over HTTPS and on this machine itself.
  async function copy(element) {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(element.textContent);
      return;
    }
    const selection = getSelection();
    const range = document.createRange();
    range.selectNodeContents(element);
    selection.removeAllRanges();
    selection.addRange(range);
    document.execCommand("copy");
  }

  for (const element of document.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    const status = document.createElement("span");
    button.type = "button";
    button.className = "copy";
    button.textContent = copyWord;
    button.setAttribute("aria-label", `${copyWord}: ${element.textContent}`);
    status.setAttribute("role", "status");
    status.className = "copied";
    button.addEventListener("click", async () => {
      await copy(element);
      status.textContent = copiedWord;
      setTimeout(() => { status.textContent = ""; }, shown);
    });
    element.after(" ", button, " ", status);
  }
})();

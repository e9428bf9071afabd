// Puts what is decided on top of the list as it comes; without this, the page is loaded anew.
"use strict";
(() => {
  const status = document.getElementById("live");
  const table = document.querySelector("table.stories");
  const { events, most, on, off, paused, pause, goOn } = status.dataset;
  const text = document.createElement("span");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  status.replaceChildren(text, " ", button);
  let source = null;
  let last = "";

  // The same mail, recipient and moment is the same answer: what came late is sent again.
  const keyOf = (body) => {
    const link = body.querySelector("a.verdict");
    return `${link.getAttribute("href")} ${body.querySelector("time").dateTime}`;
  };

  function show(rows) {
    const parsed = new DOMParser().parseFromString(`<table>${rows}</table>`, "text/html");
    const known = new Set([...table.tBodies].map(keyOf));
    const bodies = [...parsed.querySelectorAll("tbody")].filter((body) => !known.has(keyOf(body)));
    table.tHead.after(...bodies.map((body) => document.importNode(body, true)));
    for (const old of [...table.tBodies].slice(Number(most))) old.remove();
  }

  function start() {
    // A browser goes on by itself after a broken connection, but not after a pause.
    source = new EventSource(last ? `${events}&at=${encodeURIComponent(last)}` : events);
    source.onopen = () => { text.textContent = on; };
    source.onmessage = (event) => {
      last = event.lastEventId;
      show(event.data);
    };
    source.onerror = () => { text.textContent = off; };
    button.textContent = pause;
  }

  function stop() {
    source.close();
    source = null;
    text.textContent = paused;
    button.textContent = goOn;
  }

  button.addEventListener("click", () => { if (source) stop(); else start(); });
  start();
})();

// What makes the search form more convenient; the page works without it.
"use strict";
(() => {
  const form = document.querySelector("form.search");
  const field = (name) => form.elements.namedItem(name);

  // Times are those of the reader, unless the question came with a zone.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const asked = new URLSearchParams(location.search);
  if (zone && !field("tz") && !["since", "until", "span"].some((name) => asked.get(name))) {
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name: "tz", value: zone });
    form.append(input);
    const shown = document.getElementById("zone");
    shown.textContent = shown.dataset.text.replace("{zone}", zone);
  }

  // A time that is typed or picked goes before a quick one, and the page shows which one holds.
  const times = ["since", "since_at", "until", "until_at"].map(field);
  const spans = [...form.querySelectorAll('[name="span"]')];
  for (const time of times) {
    time.addEventListener("input", () => { spans.forEach((span) => { span.checked = false; }); });
  }
  for (const span of spans) {
    span.addEventListener("change", () => { times.forEach((time) => { time.value = ""; }); });
  }

  const busy = document.getElementById("busy");
  form.addEventListener("submit", () => { busy.hidden = false; keep(); });
  window.addEventListener("pageshow", () => { busy.hidden = true; });

  // Recent questions stay in this browser.
  const recent = document.getElementById("recent");
  const KEY = "mailingest.recent";
  const MOST = 10;
  const load = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY));
      return Array.isArray(kept) ? kept.filter((one) => typeof one === "string") : [];
    } catch {
      return [];
    }
  };
  const store = (questions) => {
    try {
      localStorage.setItem(KEY, JSON.stringify(questions));
    } catch {
      // There may be no room, or no leave.
    }
  };
  const MANNER = ["lang", "tz", "order"];
  function keep() {
    if (!recent) return;
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (value && !MANNER.includes(name)) query.append(name, value);
    }
    if (![...query.keys()].some((name) => name !== "span")) return;
    const question = query.toString();
    store([question, ...load().filter((one) => one !== question)].slice(0, MOST));
  }
  // What the form calls it.
  function inWords([name, value]) {
    const choice = [...form.querySelectorAll(".choice input")]
      .find((input) => input.name === name && input.value === value);
    if (choice) return choice.nextElementSibling.textContent;
    const label = form.querySelector(`label[for="${CSS.escape(name)}"]`);
    return `${label ? label.textContent.trim() : name}: ${value}`;
  }
  function show() {
    const questions = load();
    recent.hidden = questions.length === 0;
    recent.querySelector("ul").replaceChildren(...questions.map((question) => {
      const query = new URLSearchParams(question);
      const link = document.createElement("a");
      link.textContent = [...query].map(inWords).join(" · ");
      for (const name of MANNER) {
        const input = field(name);
        if (input) query.set(name, input.value);
      }
      link.href = `?${query}`;
      const item = document.createElement("li");
      item.append(link);
      return item;
    }));
  }
  if (recent) {
    show();
    recent.querySelector("button").addEventListener("click", () => {
      try { localStorage.removeItem(KEY); } catch { /* There is none. */ }
      show();
    });
  }
})();

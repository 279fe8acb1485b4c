"use strict";
(() => {
  const root = document.documentElement;
  const find = (query) => document.querySelector(query);
  const all = (query) => [...document.querySelectorAll(query)];

  // Settings outlive the page where the browser allows it; a file opened from a disk may have no storage.
  const keep = (name, value) => { try { localStorage.setItem(`opsin-${name}`, value); } catch { /* none */ } };
  const kept = (name) => { try { return localStorage.getItem(`opsin-${name}`); } catch { return null; } };

  // -- language: both texts stand in the page, attributes and the title are exchanged here
  const speak = (language) => {
    root.lang = language;
    const key = language.toLowerCase();
    document.title = root.getAttribute(`data-title-${key}`);
    for (const name of ["aria-label", "alt"]) {
      for (const element of all(`[data-${name}-${key}]`)) {
        element.setAttribute(name, element.getAttribute(`data-${name}-${key}`));
      }
    }
  };
  const otherLanguage = () => { speak(root.lang === "en" ? "zh-CN" : "en"); };

  // -- theme
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const otherTheme = () => { root.dataset.theme = dark() ? "light" : "dark"; keep("theme", root.dataset.theme); };
  if (["light", "dark"].includes(kept("theme"))) root.dataset.theme = kept("theme");

  // -- keys
  const keys = find("#keys");
  const help = () => { if (keys.open) keys.close(); else keys.showModal(); };

  find("#language").addEventListener("click", otherLanguage);
  find("#theme").addEventListener("click", otherTheme);
  find("#help").addEventListener("click", help);

  // -- the film: one slider moves the maps, the answers and the cursor of every curve
  let play = () => {};
  const source = find("#film-data");
  if (source) {
    const film = JSON.parse(source.textContent);
    const timed = find(".timed"), stage = find(".film"), slider = find("#time"), output = find("#step");
    const last = film.steps[film.steps.length - 1] || 1;
    let timer = 0;

    const chosen = () => Number(find(".probe input:checked").value);
    const show = () => {
      const frame = Number(slider.value), image = chosen();
      stage.style.setProperty("--frame", frame);
      timed.style.setProperty("--at", film.steps[frame] / last);
      output.textContent = film.steps[frame].toLocaleString("en");
      slider.setAttribute("aria-valuetext", output.textContent);
      all(".probe label").forEach((label, i) => {
        const best = film.answers[frame][i][0];
        label.querySelector(".name").textContent = film.classes[best];
        label.querySelector(".num").textContent = `${Math.round(100 * film.shares[frame][i][0])}%`;
        label.className = film.labels[i] < 0 ? "" : film.labels[i] === best ? "right" : "wrong";
      });
      all(".best tbody tr").forEach((row, place) => {
        const share = film.shares[frame][image][place];
        row.querySelector(".name").textContent = film.classes[film.answers[frame][image][place]];
        row.querySelector(".bar").style.setProperty("--v", share);
        row.querySelector(".num").textContent = `${(100 * share).toFixed(1)}%`;
      });
    };
    const stop = () => { clearInterval(timer); timer = 0; timed.classList.remove("playing"); };
    const advance = () => {
      if (slider.value === slider.max) { stop(); return; }
      slider.value = Number(slider.value) + 1;
      show();
    };
    play = () => {
      if (timer) { stop(); return; }
      if (slider.value === slider.max) { slider.value = 0; show(); }
      timed.classList.add("playing");
      timer = setInterval(advance, 500);
    };
    slider.addEventListener("input", () => { stop(); show(); });
    find("#play").addEventListener("click", () => play());
    find(".probe").addEventListener("change", () => {
      for (const view of all(".window")) view.hidden = Number(view.dataset.image) !== chosen();
      show();
    });
    slider.value = slider.max;
    find(".probe input").checked = true;
    show();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = { l: otherLanguage, t: otherTheme, p: () => play(), "?": help }[event.key.toLowerCase()];
    if (action) { event.preventDefault(); action(); }
  });
})();

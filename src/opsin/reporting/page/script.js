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

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = { l: otherLanguage, t: otherTheme, "?": help }[event.key.toLowerCase()];
    if (action) { event.preventDefault(); action(); }
  });
})();

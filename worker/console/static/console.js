// What the pages gain with JavaScript: live parts, the viewer's time zone, and keys. Nothing needs it.
"use strict";

// The zone: the server writes times in it from the next page on, and in this one at once.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const knownZone = document.cookie.split("; ").find((one) => one.startsWith("zone="));
if (zone && knownZone !== `zone=${encodeURIComponent(zone)}`) {
  document.cookie = `zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=strict`;
  const live = document.querySelector("#live[hx-get]");
  if (live) addEventListener("load", () => live.dispatchEvent(new Event("changed")));
}

// Live parts: one stream a visible tab says which parts have changed; htmx fetches them again.
// A page without any is as of when it was made. What could not be fetched is old, whatever the
// stream says, and fetched again at its next sign.
const statusLine = document.getElementById("status");
const livePart = () => document.querySelector("main [hx-get]");
const SILENT_AFTER = 5000;
const TOGETHER = 1000;
let source = null;
let heardAt = Date.now();
let due = null;
let behind = null;
let wasOpen = false;

function heard() {
  if (behind) behind.dispatchEvent(new Event("changed"));
  else if (livePart()) heardAt = Date.now();
  show();
}

function opened() {
  if (wasOpen) behind ??= document.querySelector("#live[hx-get]"); // nobody told of changes between
  wasOpen = true;
  heard();
}

document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => {
  if (!ctx.sourceElement.hasAttribute("hx-get")) return;
  behind = ctx.response?.status < 400 ? null : ctx.sourceElement;
  show();
});

function show() {
  const stale = behind !== null || Date.now() - heardAt > SILENT_AFTER;
  const word = !livePart() ? "still" : stale ? "stale" : "live";
  statusLine.classList.toggle("stale", word === "stale");
  const at = new Date(heardAt).toLocaleTimeString("en-GB");
  const text = `${statusLine.dataset[word]} ${at}`;
  if (statusLine.textContent !== text) statusLine.textContent = text;
}

function changed(parts) {
  const live = document.querySelector("#live[hx-get]");
  if (!live || due || !parts.some((part) => live.dataset.parts.split(" ").includes(part))) return;
  due = setTimeout(() => {
    due = null;
    document.querySelector("#live[hx-get]")?.dispatchEvent(new Event("changed"));
  }, TOGETHER);
}

function follow() {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (!source) {
    source = new EventSource("/live");
    source.addEventListener("open", opened);
    source.addEventListener("beat", heard);
    source.addEventListener("parts", (event) => { heard(); changed(event.data.split(" ")); });
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) { source = null; setTimeout(follow, 3000); }
    });
  }
}

if (livePart()) {
  document.addEventListener("visibilitychange", follow);
  follow();
  setInterval(show, 1000);
}

// Keys lead somewhere and do nothing else.
let wasG = false;

function rows() {
  return [...document.querySelectorAll("main tbody tr, main .trouble")].filter((row) => row.querySelector("a"));
}

function choose(step) {
  const all = rows();
  const now = all.findIndex((row) => row.contains(document.activeElement));
  all[Math.min(Math.max(now + step, 0), all.length - 1)]?.querySelector("a").focus();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) return;
  const leads = wasG ? document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`) : null;
  wasG = event.key === "g";
  if (leads) leads.click();
  else if (event.key === "/") { event.preventDefault(); document.querySelector(".search input")?.focus(); }
  else if (event.key === "j") choose(1);
  else if (event.key === "k") choose(-1);
  else if (event.key === "?") {
    const keys = document.getElementById("keys");
    if (keys) { keys.open = !keys.open; keys.querySelector("summary").focus(); }
  }
});

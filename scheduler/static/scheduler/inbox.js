// The inbox by keyboard. Everything here is also a link, a button or a checkbox of the page.
"use strict";

const KEYS_OFF = "swat-inbox-keys-off";
const keys = document.getElementById("keys");
const keysOn = document.getElementById("keys-on");
let lastRow = 0; // where the reader was: the next row takes its place when one goes away

// A refusal may have taken the place of the list.
const rows = () => [...document.querySelectorAll("#waiting article")];
const ticks = () => [...document.querySelectorAll("#waiting input[name=tick]")];

function say(sentence) {
  document.getElementById("keys-said").textContent = sentence;
}

function areOff() {
  try {
    return localStorage.getItem(KEYS_OFF) === "1";
  } catch {
    return !keysOn.checked;
  }
}

function turn(on) {
  try {
    localStorage.setItem(KEYS_OFF, on ? "0" : "1");
  } catch {
    // Without storage it holds for this page.
  }
}

// Where keys mean letters, or something else already.
function takesKeys(field) {
  return field.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
}

// The row that the keys are about is the open one.
function open(row) {
  const body = row.querySelector("details[name=row]");
  if (body) body.open = true;
}

function go(from, step) {
  const all = rows();
  if (!all.length) return;
  const next = from < 0 ? lastRow : from + step;
  lastRow = Math.max(0, Math.min(next, all.length - 1));
  open(all[lastRow]);
  all[lastRow].querySelector("h2 a").focus({ preventScroll: true });
  all[lastRow].scrollIntoView({ block: "nearest" });
}

function tick(row) {
  const box = row.querySelector("input[name=tick]");
  if (box && !box.disabled) box.click();
  else say(row.dataset.whyNoTick || "It cannot be ticked.");
}

// A key leads to a decision; the button there decides.
function lead(row, way, missing) {
  const button = row.querySelector(`form[action$='/${way}'] button, button[formaction$='/${way}']`);
  if (!button) {
    say(missing);
    return;
  }
  open(row);
  button.closest("details").open = true;
  for (const other of button.form.querySelectorAll(".buttons button"))
    other.classList.toggle("main", other === button);
  (button.form.querySelector("[name=reason]") ?? button).focus();
  say(`${button.textContent}: nothing is sent until you press the button.`);
}

const KEYS = {
  j: (row, at) => go(at, 1),
  ArrowDown: (row, at) => go(at, 1),
  k: (row, at) => go(at, -1),
  ArrowUp: (row, at) => go(at, -1),
  o: (row) => row.querySelector("h2 a").click(),
  x: tick,
  a: (row) => lead(row, "approve", "It cannot be approved here."),
  q: (row) => lead(row, "ask", "Nothing can be asked about it here."),
  d: (row) => lead(row, "decline", "It cannot be declined here."),
  t: (row) => lead(row, "train", "It cannot be sent to the train."),
  "?": () => keys.showModal(),
};
const SCROLL = ["ArrowDown", "ArrowUp"]; // outside the list these mean something else

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || keys.open) return;
  const meant = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
  const isHere = event.target === document.body || event.target.closest("#main");
  if (!meant || areOff() || !isHere || takesKeys(event.target)) return;
  const at = rows().indexOf(event.target.closest("article"));
  if (at < 0 && SCROLL.includes(event.key)) return;
  if (at >= 0) lastRow = at;
  const row = rows()[Math.min(lastRow, rows().length - 1)];
  if (!row && event.key !== "?") return;
  event.preventDefault();
  meant(row, at);
});

// How many are ticked, on the button.
function count() {
  const button = document.querySelector("#bulk button");
  if (!button) return;
  const ticked = ticks().filter((box) => box.checked).length;
  button.textContent = ticked ? `${button.dataset.count} ${ticked}` : "Approve the ticked";
}

document.addEventListener("change", (event) => {
  if (event.target.name === "tick") count();
  if (event.target === keysOn) turn(keysOn.checked);
});

document.addEventListener("click", (event) => {
  if (event.target.closest("#keys-button")) keys.showModal();
  if (event.target.closest("#keys button")) keys.close();
});

// A decision about one row keeps the ticks of the others, unless what they show changed.
let ticked = [];
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id === "inbox")
    ticked = ticks().filter((box) => box.checked).map((box) => box.value);
});
document.addEventListener("htmx:afterSettle", () => {
  for (const box of ticks()) if (ticked.includes(box.value) && !box.disabled) box.checked = true;
  ticked = [];
  start();
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt.id === "inbox-news" && document.hidden) event.preventDefault();
});

function start() {
  document.getElementById("keys-button")?.removeAttribute("hidden");
  count();
}

keysOn.checked = !areOff();
start();

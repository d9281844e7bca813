// A window while it is deployed: the board follows by itself, and the title says whose turn it is.
"use strict";

const KEEP_SECONDS = 60; // how often the driver's page says that it is open; a lease lasts longer
const page = () => document.getElementById("deploy");
const mine = () => document.getElementById("mine");
let events = null;
let told = mine()?.dataset.title; // the last turn that was told
let lastHeard = new Date();

function tellOfSilence(sentence) {
  const note = document.getElementById("silent");
  if (!note) return;
  note.hidden = !sentence;
  note.textContent = sentence;
}

function clock(at) {
  return at.toISOString().slice(11, 19) + " UTC";
}

// Title, notification: once for each turn.
function follow() {
  const part = mine();
  if (!part) return;
  document.title = part.dataset.title + " · SWAT window scheduler";
  const state = document.getElementById("state");
  if (state) state.textContent = part.dataset.state;
  if (part.dataset.title === told) return;
  told = part.dataset.title;
  if (part.dataset.turn && "Notification" in window && Notification.permission === "granted")
    new Notification("SWAT window", { body: document.getElementById("now").innerText, tag: "turn" });
}

function offerNotifications() {
  const button = document.getElementById("notify");
  if (!button || !("Notification" in window) || Notification.permission !== "default") return;
  button.hidden = false;
  button.onclick = async () => {
    await Notification.requestPermission();
    button.hidden = true;
  };
}

// What somebody types stays; the board has nothing to type in and is always brought up to date.
function refreshMine() {
  const part = mine();
  if (!part || document.hidden) return;
  if (isInUse(part)) {
    tellOfSilence("Something changed. What you typed stays; the form is checked when you send it.");
    return;
  }
  tellOfSilence("");
  htmx.ajax("GET", location.pathname + "?part=mine", { target: "#mine", swap: "outerHTML" });
}

function openParts(board) {
  return [...board.querySelectorAll("details[open]")].map((part) => part.closest("li").id);
}

function showBoard(html) {
  const board = document.getElementById("board");
  if (!board) return;
  const open = openParts(board);
  board.innerHTML = html;
  for (const id of open) {
    const details = document.getElementById(id)?.querySelector("details");
    if (details) details.open = true;
  }
}

function listen() {
  const address = page()?.dataset.events;
  if (!address || events) return;
  events = new EventSource(address, { withCredentials: true });
  events.addEventListener("open", () => {
    page()?.removeAttribute("hx-trigger"); // no need to ask meanwhile
    tellOfSilence("");
  });
  events.addEventListener("board", (event) => {
    lastHeard = new Date();
    showBoard(event.data);
    // Who has nothing to do now does not ask at the same moment as everybody else.
    setTimeout(refreshMine, mine()?.dataset.turn ? 0 : Math.random() * 3000);
  });
  events.addEventListener("closed", () => events.close());
  events.addEventListener("error", () =>
    tellOfSilence("Live updates are away; this page asks again every ten seconds."),
  );
}

// While the stream is open nobody polls.
document.addEventListener("htmx:beforeRequest", (event) => {
  const isPoll = event.detail.elt.id === "deploy" && !event.detail.requestConfig.triggeringEvent;
  if (isPoll && events && events.readyState === EventSource.OPEN) event.preventDefault();
});

document.addEventListener("htmx:sendError", () =>
  tellOfSilence(
    `The server does not answer. This is how it was at ${clock(lastHeard)}; start nothing new.`,
  ),
);
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) lastHeard = new Date();
});
document.addEventListener("htmx:afterSettle", () => {
  follow();
  offerNotifications();
});

// The driver is there: another may take over only once this page is gone.
setInterval(async () => {
  const part = mine();
  if (!part?.dataset.keep) return;
  const form = new FormData();
  form.append("lease", part.dataset.lease);
  form.append("csrfmiddlewaretoken", part.querySelector("[name=csrfmiddlewaretoken]").value);
  try {
    const answer = await fetch(part.dataset.keep, { method: "POST", body: form });
    if (answer.status === 409) refreshMine();
  } catch {
    // The poll says that the server is away.
  }
}, KEEP_SECONDS * 1000);

follow();
offerNotifications();
listen();

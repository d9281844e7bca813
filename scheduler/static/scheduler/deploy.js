// A window while it is deployed: the board follows by itself, and the title says whose turn it is.
//
// The board comes from the stream of the events server, where there is one, the same for everybody;
// whoever has a part in the window asks for their own part whenever something happened. Without the
// stream the page is asked for as a whole every ten seconds.
"use strict";

const KEEP_SECONDS = 60; // how often the driver's page says that it is open; a lease lasts longer
const SILENT_SECONDS = 45; // a stream says something every 15; after this it is as good as broken
const LOOK_SECONDS = 2; // how often is looked whether anybody still types, and the stream speaks
const AGAIN_SECONDS = 10; // when a stream that was refused is tried again
const ANSWER_SECONDS = 9; // how long the server may take for the page that is asked for

const page = () => document.getElementById("deploy");
const mine = () => document.getElementById("mine");
const board = () => document.getElementById("board");

let stream = null; // the EventSource, from its beginning to its end
let spoke = 0; // when the stream said something, ms
let happened = ""; // the id of the newest event that was shown
let later = null; // a board that waits until nobody selects text in the one that is shown
let told = mine()?.dataset.title; // the last turn that was told

// What is wrong, said in one place; it outlives the parts that are swapped.
const wrong = { server: false, stream: false, mine: false };
let lastHeard = new Date();

function note(what, is) {
  wrong[what] = is;
  const part = document.getElementById("silent");
  if (!part) return;
  let said = "";
  if (wrong.server) {
    const at = lastHeard.toISOString().slice(11, 19);
    said = `The server does not answer. This is how it was at ${at} UTC; start nothing new.`;
  } else {
    if (wrong.stream)
      said =
        "Live updates are away: this page asks again every ten seconds, but not while you type " +
        "or have a part of it open. ";
    if (wrong.mine)
      said += "Something changed. What you typed stays; the form is checked when you send it.";
  }
  if (part.textContent !== said) part.textContent = said;
  part.hidden = !said;
}

// Title and notification: once for each turn.
function follow() {
  const part = mine();
  if (!part) return;
  document.title = part.dataset.title + " · SWAT window scheduler";
  if (part.dataset.title === told) return;
  told = part.dataset.title;
  if (!part.dataset.turn || !("Notification" in window) || Notification.permission !== "granted")
    return;
  try {
    new Notification("SWAT window", { body: document.getElementById("now").innerText, tag: "turn" });
  } catch {
    // Some telephones leave that to a service worker; the title says it.
  }
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

// What somebody types stays; also in a page that is in the background, for the notification.
function refreshMine() {
  const part = mine();
  const address = page()?.getAttribute("hx-get");
  if (!part || !address || !("part" in part.dataset)) return;
  note("mine", isInUse(part));
  document.querySelector("#deploy > .note.good")?.remove(); // that was about what was there before
  if (!wrong.mine) htmx.ajax("GET", address + "?part=mine", { target: "#mine", swap: "outerHTML" });
}

function isSelecting(part) {
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed && part.contains(selection.anchorNode);
}

const stops = (part) => [...part.querySelectorAll("a[href], summary, button")];

// The board has nothing to type in: opened parts stay open, and the focus where it is.
function showBoard(html) {
  const part = board();
  if (!part) return;
  later = isSelecting(part) ? html : null;
  if (later !== null) return;
  const open = [...part.querySelectorAll("details[open]")].map((one) => one.closest("li").id);
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const step = focused?.closest("li[id]")?.id ?? part.id;
  const place = focused ? stops(document.getElementById(step)).indexOf(focused) : -1;
  part.innerHTML = html;
  for (const id of open) {
    const details = document.getElementById(id)?.querySelector("details");
    if (details) details.open = true;
  }
  const again = document.getElementById(step);
  if (place >= 0 && again) stops(again)[place]?.focus({ preventScroll: true });
  const state = document.getElementById("state");
  const line = part.querySelector("[data-state]")?.dataset.state;
  if (state && line && state.textContent !== line) state.textContent = line;
}

document.addEventListener("selectionchange", () => {
  if (later !== null && board() && !isSelecting(board())) showBoard(later);
});

const isListening = () => stream !== null && stream.readyState === EventSource.OPEN;

function listen() {
  const address = page()?.dataset.events;
  if (!address || stream !== null) return;
  stream = new EventSource(address, { withCredentials: true });
  spoke = Date.now();
  const on = (name, act) =>
    stream.addEventListener(name, (event) => {
      spoke = Date.now();
      act(event);
    });
  on("open", () => note("stream", false));
  on("still", () => {});
  on("bystander", (event) => {
    const part = mine();
    if (!part || "part" in part.dataset) return;
    part.innerHTML = event.data;
    addCopyButtons(part);
  });
  on("board", (event) => {
    lastHeard = new Date();
    showBoard(event.data);
    if (event.lastEventId === happened) return; // only minutes passed
    happened = event.lastEventId;
    refreshMine();
  });
  on("closed", () => {
    stream.close();
    stream = null;
    page()?.removeAttribute("data-events"); // the page is asked for once more, as a whole
  });
  on("error", () => {
    note("stream", true);
    // It tries again by itself, but where it was refused.
    if (stream?.readyState === EventSource.CLOSED) listenAgain();
  });
}

function listenAgain() {
  stream.close();
  setTimeout(() => {
    stream = null;
    listen();
  }, AGAIN_SECONDS * 1000);
}

setInterval(() => {
  if (isListening() && Date.now() - spoke > SILENT_SECONDS * 1000) {
    note("stream", true);
    listenAgain();
  }
  if (wrong.mine && !isInUse(mine())) refreshMine();
}, LOOK_SECONDS * 1000);

// While the stream is there nobody asks every ten seconds, but for a server that was away.
document.addEventListener("htmx:beforeRequest", (event) => {
  const asked = event.detail;
  if (asked.elt.id !== "deploy" || asked.requestConfig.triggeringEvent) return;
  if (isListening() && !wrong.server) event.preventDefault();
  else asked.xhr.timeout = ANSWER_SECONDS * 1000;
});

document.addEventListener("htmx:sendError", () => note("server", true));
document.addEventListener("htmx:timeout", () => note("server", true));
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status >= 500) note("server", true);
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (!event.detail.successful) return;
  lastHeard = new Date();
  note("server", false);
});
document.addEventListener("htmx:afterSettle", () => {
  note("mine", wrong.mine && isInUse(mine()));
  follow();
  offerNotifications();
  countDown();
  listen();
});

// What takes its minutes can be said to be done once they are over; the server knows that, too.
const over = new WeakMap(); // when, ms, by button

function countDown() {
  for (const button of document.querySelectorAll("[data-wait]")) {
    if (!over.has(button)) {
      over.set(button, Date.now() + button.dataset.wait * 1000);
      button.dataset.says = button.textContent;
    }
    const left = Math.ceil((over.get(button) - Date.now()) / 1000);
    const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    button.disabled = left > 0;
    button.textContent = left > 0 ? `${button.dataset.says} in ${clock}` : button.dataset.says;
    if (left <= 0) delete button.dataset.wait;
  }
}
setInterval(countDown, 1000);

// The driver is there: another may take over only once this page is gone.
setInterval(async () => {
  const part = mine();
  if (!part?.dataset.keep) return;
  const token = part.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
  const form = new URLSearchParams({ lease: part.dataset.lease, csrfmiddlewaretoken: token });
  try {
    const sent = { method: "POST", body: form, redirect: "manual" }; // not to the sign-in
    const answer = await fetch(part.dataset.keep, sent);
    note("server", answer.status >= 500);
    if (answer.status !== 204 && answer.status < 500) refreshMine();
  } catch {
    note("server", true);
  }
}, KEEP_SECONDS * 1000);

follow();
offerNotifications();
countDown();
listen();

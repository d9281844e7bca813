// The booking form: what is typed stays, and what stands beside it stays in view.
"use strict";

// Neither an ended session nor an error page may take the place of what somebody typed.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  const form = event.detail.elt.closest("form[data-keeps]");
  const leads = ["HX-Redirect", "HX-Refresh", "HX-Retarget"];
  if (!form || !leads.some((name) => event.detail.xhr.getResponseHeader(name))) return;
  event.preventDefault();
  form.querySelector("[data-session-ended]").hidden = false;
});

// What is said of a pair changes no verdict: nothing is looked up again, and the hand stays there.
document.addEventListener(
  "change",
  (event) => {
    if (event.target.name?.startsWith("coupling")) event.stopPropagation();
  },
  true,
);

// The column beside the answers goes along until its own end is in view: it is never cut off.
const beside = document.querySelector("[data-beside]");
if (beside) {
  new ResizeObserver(() => {
    beside.style.setProperty("--height", beside.offsetHeight + "px");
  }).observe(beside);
}

// What is booked already cannot be booked again; the button itself stays where a hand may be on it.
document.addEventListener("htmx:afterSettle", () => {
  document.querySelector("#book .main").disabled =
    document.querySelector("#booked .note") !== null;
});

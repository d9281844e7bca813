// What pages do beyond plain HTML: copy commands, and no refresh under a reader's hands.
"use strict";

function addCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const code of root.querySelectorAll("[data-copy]")) {
    if (code.nextElementSibling?.classList.contains("copy")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "slim copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy the command " + code.textContent);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select it by hand";
      }
    });
    code.after(button);
  }
}

// Somebody who is typing, choosing or reading an opened part must not lose it to a refresh.
function isInUse(part) {
  const selection = document.getSelection();
  const focused = document.activeElement;
  const isTold = focused?.hasAttribute("data-reads"); // put there by us; it is found again by its id
  return (
    (part.contains(focused) && focused !== document.body && !isTold) ||
    part.querySelector("details[open]:not([data-open])") !== null ||
    [...part.querySelectorAll("input:checked, textarea, input[type=text]")].some((field) =>
      field.type === "radio" || field.type === "checkbox"
        ? field.checked !== field.defaultChecked
        : field.value !== field.defaultValue,
    ) ||
    (selection !== null && !selection.isCollapsed && part.contains(selection.anchorNode))
  );
}

document.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.detail.elt;
  if (event.detail.requestConfig.triggeringEvent) return; // somebody asked for it
  if (part.hasAttribute("data-polls") && (document.hidden || isInUse(part))) event.preventDefault();
});

// A refusal or an answer that was swapped in is read out and brought into view.
document.addEventListener("htmx:afterSwap", (event) => {
  const part = event.detail.target;
  addCopyButtons(document);
  if (event.detail.requestConfig?.verb === "post") {
    const shown = part.isConnected ? part : document;
    const said =
      shown.querySelector("[role=alert], [role=status]:not([hidden])") ??
      shown.querySelector("[data-reads]");
    said?.focus();
    said?.scrollIntoView({ block: "nearest" });
  }
});

addCopyButtons(document);

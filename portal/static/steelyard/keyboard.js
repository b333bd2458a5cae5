// Keyboard shortcuts. Any control becomes reachable by keys, and listed under `?`, with two attributes:
//   <button data-shortcut="Control+Enter" data-shortcut-label="Send the prompt">
// Keys without Control or Alt stay silent while somebody types. A link is followed, a field is focused, else it clicks.

const dialog = document.getElementById("shortcuts");
const list = dialog?.querySelector("[data-shortcut-list]");

function isTyping(target) {
  return target.isContentEditable || target.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=range], [type=button], [type=submit])");
}

function pressed(event) {
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("Control");
  if (event.altKey) parts.push("Alt");
  parts.push(event.key.length === 1 ? event.key.toLowerCase() : event.key);
  return parts.join("+");
}

function reachable(element) {
  return !element.disabled && element.getAttribute("aria-disabled") !== "true" && element.checkVisibility();
}

function find(keys) {
  return [...document.querySelectorAll("[data-shortcut]")].find(
    (element) => element.dataset.shortcut.toLowerCase() === keys.toLowerCase() && reachable(element),
  );
}

function openList() {
  if (!dialog || dialog.open) return;
  for (const row of list.querySelectorAll("[data-from-page]")) row.remove();
  const seen = new Set();
  for (const element of document.querySelectorAll("[data-shortcut][data-shortcut-label]")) {
    const keys = element.dataset.shortcut;
    const label = element.dataset.shortcutLabel;
    if (seen.has(keys + label)) continue;
    seen.add(keys + label);
    const row = document.createElement("div");
    row.dataset.fromPage = "";
    const term = document.createElement("dt");
    for (const key of keys.split("+")) {
      const cap = document.createElement("kbd");
      cap.textContent = { Control: "Ctrl", Escape: "Esc", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" }[key] ?? key;
      term.append(cap);
    }
    const description = document.createElement("dd");
    description.textContent = label;
    row.append(term, description);
    list.append(row);
  }
  dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || dialog?.open) return;
  const modified = event.ctrlKey || event.metaKey || event.altKey || event.key === "Escape";
  if (!modified && isTyping(event.target)) return;
  if (event.key === "?") {
    event.preventDefault();
    openList();
    return;
  }
  const element = find(pressed(event));
  if (!element) return;
  event.preventDefault();
  if (element.matches("textarea, select, input:not([type=checkbox], [type=radio])")) element.focus();
  else element.click();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-open-shortcuts]")) openList();
  else if (event.target === dialog) dialog.close();
});

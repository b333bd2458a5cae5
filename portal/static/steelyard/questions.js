// Forms of questions: what is not asked is hidden, and words of an answer are marked where they stand.

const forms = () => document.querySelectorAll("[data-questions]");

// --- Conditions: "key=value" on a question; one that is hidden counts as not answered.

function given(form, key) {
  return [...form.querySelectorAll("input, select, textarea")]
    .filter(({ name, type, checked }) => name === key && (!["radio", "checkbox"].includes(type) || checked))
    .filter((element) => !element.closest("[hidden]"))
    .map(({ value }) => value);
}

function showWhatIsAsked(form) {
  for (const question of form.querySelectorAll("[data-shown-if]")) {
    const condition = question.dataset.shownIf;
    const cut = condition.indexOf("=");
    question.hidden = !given(form, condition.slice(0, cut)).includes(condition.slice(cut + 1));
    question.querySelector(".question__condition")?.setAttribute("hidden", "");
  }
}

// --- Marks: a selection in the read-only text becomes the words and their place, in code points of the raw answer.

// A text area knows line ends as "\n" alone and counts UTF-16 units.
function placesOf(raw) {
  const places = [];
  const characters = [...raw];
  characters.forEach((character, index) => {
    if (character === "\n" && characters[index - 1] === "\r") return;
    for (let unit = 0; unit < character.length; unit += 1) places.push(index);
  });
  places.push(characters.length);
  return { places, characters };
}

// "Saved" is not said of what has been changed since.
function forgetSaved() {
  document.getElementById("saved")?.remove();
}

function takeSelection(marker, raw) {
  const text = marker.querySelector("[data-marker-text]");
  const { selectionStart, selectionEnd } = text;
  if (selectionStart === selectionEnd) return;
  const start = raw.places[selectionStart];
  const last = raw.places[selectionEnd - 1];
  const isReturn = raw.characters[last] === "\r" && raw.characters[last + 1] === "\n";
  const end = last + (isReturn ? 2 : 1);
  marker.querySelector("[data-marker-start]").value = start;
  marker.querySelector("[data-marker-end]").value = end;
  marker.querySelector("[data-marker-quote]").value = raw.characters.slice(start, end).join("");
  forgetSaved();
}

for (const marker of document.querySelectorAll("[data-marker]")) {
  const raw = placesOf(JSON.parse(document.getElementById(marker.dataset.marker).textContent));
  const text = marker.querySelector("[data-marker-text]");
  // Chromium moves no caret through a read-only text; this one can be walked through and not changed.
  text.readOnly = false;
  text.setAttribute("aria-readonly", "true");
  text.setAttribute("inputmode", "none");
  text.addEventListener("beforeinput", (change) => change.preventDefault());
  for (const event of ["select", "keyup", "pointerup", "touchend"]) {
    text.addEventListener(event, () => takeSelection(marker, raw));
  }
  // Fingers move the ends of a selection by handles that are the system's: of those no event reaches the text.
  document.addEventListener("selectionchange", () => {
    if (document.activeElement === text) takeSelection(marker, raw);
  });
  // Who types the words themselves does not know their place; the server finds it.
  marker.querySelector("[data-marker-quote]").addEventListener("input", () => {
    marker.querySelector("[data-marker-start]").value = "";
    marker.querySelector("[data-marker-end]").value = "";
  });
}

for (const form of forms()) {
  showWhatIsAsked(form);
  form.addEventListener("change", () => showWhatIsAsked(form));
  form.addEventListener("input", forgetSaved);
}
document.getElementById("saved")?.focus();

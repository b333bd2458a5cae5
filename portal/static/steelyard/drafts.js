// Forms of questions: what is typed and chosen survives a reload, in this tab alone, until it has arrived at the server.
// <form data-drafts="whose"> has a draft; [data-drafts-arrived] on a later page says that what was sent is there.

const DRAFT = "answers-draft:";

// Storage that is full or forbidden leaves a form that works without drafts.
function onShelf(act) {
  try {
    return act(sessionStorage);
  } catch {
    return null;
  }
}

const read = (key) => onShelf((shelf) => JSON.parse(shelf.getItem(key)));
const keep = (key, draft) => onShelf((shelf) => shelf.setItem(key, JSON.stringify(draft)));
const drop = (key) => onShelf((shelf) => shelf.removeItem(key));

// --- A form's fields by name: what each says now, and what the page offered, whatever the browser has put back itself

// The server keeps the lists of marks and of better tokens while one adds to them, and says itself what is hidden.
const SERVERS_OWN = ".question--spans, .question--token, .personal-data";

function fieldsOf(form) {
  const fields = new Map();
  for (const field of form.elements) {
    const isTheirs = field.name && !["hidden", "submit", "button"].includes(field.type) && !field.closest(SERVERS_OWN);
    if (!isTheirs) continue;
    if (field.type === "radio") fields.set(field.name, radios(form.querySelectorAll(`[name="${CSS.escape(field.name)}"]`)));
    else if (field.type === "checkbox") fields.set(`${field.name}=${field.value}`, one(field, "checked", field.defaultChecked));
    else fields.set(field.name, one(field, "value", field.options ? chosen(field.options) : field.defaultValue));
  }
  return fields;
}

const changed = (field) => ["input", "change"].forEach((event) => field.dispatchEvent(new Event(event, { bubbles: true })));
const chosen = (options) => ([...options].find(({ defaultSelected }) => defaultSelected) ?? options[0])?.value;

function one(field, property, offered) {
  const say = (value) => {
    if (field[property] === value) return;
    field[property] = value;
    changed(field);
  };
  return { offered, now: () => field[property], say };
}

function radios(group) {
  const all = [...group];
  const valueOf = (is) => all.find(is)?.value ?? "";
  const say = (value) => {
    for (const each of all) each.checked = each.value === value;
    changed(all[0]);
  };
  return { offered: valueOf((each) => each.defaultChecked), now: () => valueOf((each) => each.checked), say };
}

// --- A draft has the fields that say something else than the page did: name → what it said before, what was typed

for (const form of document.querySelectorAll("form[data-drafts]")) {
  const key = `${DRAFT}${form.dataset.drafts}:${location.pathname}`;
  const fields = fieldsOf(form);
  // What another page saved meanwhile, such as a better token, was not this form.
  const kept = read(key);
  const draft = kept && !(kept.isSent && document.getElementById("saved")) ? kept : { fields: {} };
  for (const [name, said] of Object.entries(draft.fields)) {
    const field = fields.get(name);
    if (field?.offered === said.before) field.say(said.typed);
    // Sent and given back, with what is wrong about it; or something newer, from here or elsewhere.
    else if (field && (draft.isSent || field.offered === said.typed)) said.typed = field.offered;
    else delete draft.fields[name];
  }
  const store = (isSent) => {
    if (Object.keys(draft.fields).length) keep(key, { fields: draft.fields, isSent });
    else drop(key);
  };
  store(false);
  const remember = () => {
    for (const [name, field] of fields) {
      const before = draft.fields[name]?.before ?? field.offered;
      const typed = field.now();
      if (typed === before) delete draft.fields[name];
      else draft.fields[name] = { before, typed };
    }
    store(false);
  };
  form.addEventListener("input", remember);
  form.addEventListener("change", remember);
  form.addEventListener("submit", () => store(true));
}

if (document.querySelector("[data-drafts-arrived]")) {
  for (const key of onShelf((shelf) => Object.keys(shelf)) ?? []) {
    if (key.startsWith(DRAFT) && read(key)?.isSent) drop(key);
  }
}

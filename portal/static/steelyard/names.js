// Proposes a name for addresses while somebody types a title: <input data-proposes="id of the name's field">.
// It follows the title until somebody writes a name; the server makes the same where the field is left empty.

function proposed(title, longest) {
  const plain = title.normalize("NFKD").replace(/[^\x00-\x7f]/g, "").toLowerCase();
  return plain.replace(/[^\w\s-]/g, "").replace(/[-\s]+/g, "-").slice(0, longest).replace(/^[-_]+|[-_]+$/g, "");
}

for (const title of document.querySelectorAll("[data-proposes]")) {
  const name = document.getElementById(title.dataset.proposes);
  const longest = name.maxLength > 0 ? name.maxLength : 80;
  let last = name.value === proposed(title.value, longest) ? name.value : "";
  title.addEventListener("input", () => {
    if (name.value !== last) return;
    last = proposed(title.value, longest);
    name.value = last;
  });
}

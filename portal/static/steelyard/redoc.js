// Starts ReDoc; its search runs in a worker made from a blob, which the Content Security Policy does not allow.

// Its badge asks for a picture from another server. The policy would refuse it; here it is not even asked for.
const { prototype } = HTMLImageElement;
const source = Object.getOwnPropertyDescriptor(prototype, "src");
const isOurs = (url) => url.startsWith("data:") || new URL(url, location.href).origin === location.origin;
prototype.setAttribute = function (name, value) {
  if (name !== "src" || isOurs(value)) Element.prototype.setAttribute.call(this, name, value);
};
Object.defineProperty(prototype, "src", {
  ...source,
  set(url) {
    if (isOurs(url)) source.set.call(this, url);
  },
});

const place = document.getElementById("redoc");
Redoc.init(place.dataset.schema, { disableSearch: true, nativeScrollbars: true, hideDownloadButton: true }, place);

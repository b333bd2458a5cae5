// Starts ReDoc; its search runs in a worker made from a blob, which the Content Security Policy does not allow.
const place = document.getElementById("redoc");
Redoc.init(place.dataset.schema, { disableSearch: true, nativeScrollbars: true, hideDownloadButton: true }, place);

// The page's policy refuses strings wherever they would become markup or code. The addresses of this app's own workers are all
// that is let through; no text ever is.

const WORKERS = /\/(clock-worker|service-worker)\.js$/;

globalThis.trustedTypes?.createPolicy("default", {
  createScriptURL(address) {
    const url = new URL(address, location.href);
    return url.origin === location.origin && WORKERS.test(url.pathname) ? url.href : null;
  },
});

// A timer in a worker: those of hidden pages are held back to one a minute, which is too slow for heartbeats.
let timer;
self.onmessage = ({ data }) => {
  clearTimeout(timer);
  if (data !== null) timer = setTimeout(() => self.postMessage(null), data);
};

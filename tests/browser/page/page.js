// The page of the package's tests: the package, and a few helpers that tests call in it.
import * as suda from "./pkg/index.js";

// As the package's README says: the node's policy wants to be asked for the address of the worker.
globalThis.trustedTypes?.createPolicy("default", {
  createScriptURL: (address) => (address === new URL("./pkg/clock-worker.js", import.meta.url).href ? address : null),
});

const page = (window.page = {
  suda,
  client: null,
  notices: [],
  timelines: {},

  async open(options = {}) {
    const client = (page.client = await suda.Client.open(options));
    client.addEventListener("notify", ({ detail }) => page.notices.push(detail));
    return client.session;
  },
  online: () => page.client?.link.state === "online" && page.client.link.transport,
  show(channel, options) {
    page.timelines[channel] ??= page.client.channel(channel).timeline(options);
  },
  texts: (channel) => page.timelines[channel].items.filter((item) => item.type === "message").map((item) => item.text),
  deliveries: (channel) => page.timelines[channel].items.filter((item) => item.type === "message").map((item) => item.delivery),
});

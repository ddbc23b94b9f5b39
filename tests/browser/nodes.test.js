// The HTTP API where there are several nodes: when one is dead the others are asked, and which there are is remembered. The rules
// first, then a browser on its way to a node that goes away for good.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { Http } from "../../wasm-client/js/http.js";
import { Bases, basesOf, candidates } from "../../wasm-client/js/nodes.js";
import { Setting, say, sees } from "./lib/setting.js";
import { TcpProxy } from "./lib/tcp.js";

const node = (number, host, plain = true) => ({
  node: number,
  links: [
    { kind: "quic", url: `quic://${host}:1` },
    { kind: "websocket", url: `wss://${host}:1/connect` },
    { kind: "websocket", url: `ws://${host}:2/connect` },
  ],
  api: `https://${host}:1/v1`,
  api_http: plain ? `http://${host}:2/v1` : null,
  certificate_hashes: [],
});

test("who fails is asked last until another fails, and who is not named any more comes last", () => {
  const [a, b, c, d] = ["a", "b", "c", "d"].map((host) => `http://${host}`);
  const bases = new Bases(a);
  const order = () => bases.inOrder().map((base) => base.at(-1)).join("");
  bases.failed(a);
  assert.equal(order(), "a");
  assert.ok(bases.learn([b, a, c]));
  assert.ok(!bases.learn([b, c]));
  bases.failed(a);
  bases.failed(a);
  assert.equal(order(), "bca");
  bases.learn([d, b]);
  assert.equal(order(), "bcad");
  assert.ok(!bases.learn([d]));
  bases.failed(b);
  bases.failed(c);
  assert.equal(order(), "adbc");
  bases.learn(Array.from({ length: 100 }, (_, n) => `http://n${n}`));
  assert.equal(bases.inOrder().length, 9);
});

test("nothing leads from TLS to a place without it, and nothing to a certificate that can't be trusted", () => {
  const both = { ...node(1, "a"), nodes: [node(1, "a"), node(2, "b")] };
  assert.deepEqual(basesOf(both, "http://a:2"), ["http://a:2", "http://b:2"]);
  assert.deepEqual(basesOf(both, "https://a:1"), ["https://a:1", "https://b:1"]);
  assert.deepEqual(basesOf({ ...node(1, "a", false), certificate_hashes: [{ algorithm: "sha-256", value: "00" }] }, "http://a:2"), []);
  assert.deepEqual(basesOf({ ...node(1, "a"), api_http: "javascript:alert(1)" }, "http://a:2"), []);
  assert.deepEqual(candidates(both, "https://a:1").map(({ node, url }) => [node, url]), [[1, "wss://a:1/connect"], [2, "wss://b:1/connect"]]);
  const bases = new Bases("https://a");
  assert.ok(!bases.learn(["http://b"]));
});

/** A node that says who it is, and names these. */
async function standIn(named) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.setHeader("content-type", "application/json");
    if (request.url === "/v1/discovery") response.end(JSON.stringify({ nodes: named().map((url, n) => ({ node: n, links: [], api_http: `${url}/v1` })) }));
    else response.end(JSON.stringify({ port: server.address().port }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  const stop = () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections()));
  return { url, asked, stop, port: server.address().port };
}

test("a request goes to another node, but for one that must not be made twice", async () => {
  const nodes = [];
  const named = () => nodes.map(({ url }) => url);
  for (let i = 0; i < 3; i++) nodes.push(await standIn(named));
  const [first, second, third] = nodes;
  let kept = null;
  const http = () => new Http(first.url, () => {}, (nodes) => (kept = nodes));
  const one = http();
  await one.discover();
  assert.deepEqual(kept, [second.url, third.url]);
  await first.stop();
  // Whether the first one has heard it can't be known: the app is told, and what comes next goes elsewhere.
  await assert.rejects(one.ask("POST", "accounts", {}), { code: "network" });
  assert.equal((await one.ask("POST", "accounts", {})).port, second.port);
  await second.stop();
  assert.equal((await one.ask("PUT", "friends/1")).port, third.port);

  // Another page, later, goes on with what was kept.
  const other = http();
  other.knows(kept);
  assert.equal((await other.discover()).base, third.url);
  const lost = http();
  await assert.rejects(lost.discover(), { code: "network" });
  await third.stop();
  await assert.rejects(other.discover(), { code: "network" });
});

test("in a browser: the node that the page came from goes away, and the same page goes on with another; a new client too", async (t) => {
  const setting = await Setting.start({ "listen.origins": "*" });
  t.after(() => setting.stop());
  const front = await TcpProxy.start(() => setting.node.httpPort);
  t.after(() => front.stop());
  const [kim, lee] = [await setting.person("kim"), await setting.person("lee")];
  // A node that knows of others lets its pages go there; this one does not.
  await kim.cdp("Page.setBypassCSP", { enabled: true });
  await kim.reload();
  await kim.until("the page", () => Boolean(window.page));
  await kim.run(() => page.open());
  const channel = await setting.between(kim, lee);
  // The second node is another way to the same one: discovery names it beside the first.
  const twoNodes = (front) => {
    const real = window.fetch;
    window.fetch = async (address, options) => {
      const response = await real(address, options);
      if (!String(address).endsWith("/v1/discovery")) return response;
      const said = await response.json();
      const [first] = said.nodes;
      const links = first.links.filter(({ url }) => !url.startsWith("ws:"));
      said.nodes.push({ ...first, links: [...links, { kind: "websocket", url: front.replace("http", "ws") + "/connect" }], api_http: `${front}/v1` });
      return new Response(JSON.stringify(said), { headers: { "content-type": "application/json" } });
    };
  };
  await kim.run(twoNodes, front.url);
  // Discovery is asked for again with the next link.
  await kim.run(() => page.client.serverInfo());
  kim.way.cut(true);
  assert.equal((await kim.run(() => page.client.me.profile())).handle, "kim");
  await say(kim, channel, "the first node is gone");
  await sees(lee, channel, "the first node is gone");

  await kim.run(async () => {
    await page.client.close();
    page.timelines = {};
    await page.open();
  });
  await kim.until("a link", () => page.online());
  assert.equal((await kim.run(() => page.client.users.byHandle("lee"))).id, lee.user);
  await kim.run((channel) => page.show(channel), channel);
  await say(kim, channel, "from a new client");
  await sees(lee, channel, "from a new client");
});

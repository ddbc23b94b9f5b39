// The client, for all parts of the app, and which of several logins of this browser the page is about: `?profile=`.

import { Client } from "../suda/index.js";

export const profile = new URLSearchParams(location.search).get("profile") ?? "";

/** @type {import("../suda/index.js").Client} */
export let client;

export async function open() {
  client = await Client.open({ profile, clientName: "suda-web/0.1" });
  return client;
}

export const me = () => client.session?.userId ?? null;

/** A name for what this page keeps beside the client, for this login alone. */
export const keyed = (name) => `suda:${profile}:${me() ?? ""}:${name}`;

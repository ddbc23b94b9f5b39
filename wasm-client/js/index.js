// What the package gives. The types, and what everything is for, are in index.d.ts.

export { AuthError, ClientError, NetworkError, ServerError, SudaError } from "./errors.js";
export { Channel } from "./channel.js";
export { Client } from "./client.js";
export { Timeline } from "./timeline.js";
export { TypedEventTarget } from "./events.js";
export { VERSION } from "./version.js";

// A server of Socket.IO for suda-peers: rooms, and whoever says something says it to all who are in one.
// node socket-io.mjs FOLDER-WITH-NODE_MODULES PORT [tuned]
import { createRequire } from "node:module";
import { createServer } from "node:http";

const [, , packages, port, tuned] = process.argv;
const { Server } = createRequire(`${packages}/`)("socket.io");

const http = createServer();
const io = new Server(http, { transports: ["websocket"] });
if (tuned) {
  // As its pages on performance and memory advise, beside bufferutil: the first request need not be kept.
  io.engine.on("connection", (socket) => {
    socket.request = null;
  });
}
io.on("connection", (socket) => {
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack();
  });
  socket.on("say", (room, text, ack) => {
    io.to(room).emit("m", text);
    ack?.();
  });
});
http.listen(Number(port), "127.0.0.1");

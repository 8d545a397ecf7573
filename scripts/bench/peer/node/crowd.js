// The package `ws` on Node.js: each line of standard input is sent to every client.
import { createInterface } from "node:readline";
import { WebSocketServer } from "ws";

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  backlog: 4096,
  perMessageDeflate: false,
});

server.on("connection", (socket) => socket.send('{"type":"connected"}'));

for await (const line of createInterface({ input: process.stdin })) {
  for (const client of server.clients) {
    client.send(line);
  }
}

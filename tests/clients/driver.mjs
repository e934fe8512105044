// A Socket.IO client driven through standard input: one JSON command per line, one JSON report per line back.
//
//   {"connect": {"url", "auth", "transports", "upgrade", "reconnection"}}
//   {"emit": [name, ...args], "ack": id}      the answer is reported with that id
//   {"close": true}
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const report = (line) => process.stdout.write(JSON.stringify(line) + "\n");
// JSON has no bytes: {"$bytes": "text"} stands for them.
const revive = (value) =>
  value && typeof value === "object" && "$bytes" in value ? Buffer.from(value.$bytes) : value;
let socket;

const connect = ({ url, ...options }) => {
  socket = io(url, { reconnection: false, forceNew: true, ...options });
  // From the first moment: the upgrade may be through before the namespace is.
  socket.io.engine.on("upgrade", (transport) => report({ upgrade: transport.name }));
  socket.io.engine.on("open", () => report({ open: socket.io.engine.transport.name }));
  socket.on("connect", () => report({ connect: socket.id }));
  socket.on("connect_error", (error) => report({ connect_error: error.message }));
  socket.on("disconnect", (reason) => report({ disconnect: reason }));
  socket.onAny((name, ...args) => report({ event: name, data: args[0] ?? null, args: args.length }));
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    if (command.connect) connect(command.connect);
    if (command.emit) {
      const args = command.emit.map(revive);
      if (command.ack === undefined) socket.emit(...args);
      else socket.emit(...args, (answer) => report({ ack: command.ack, data: answer ?? null }));
    }
    if (command.close) socket.close();
  })
  .on("close", () => process.exit(0));

// A client of the raw WebSocket, driven as driver.mjs: {"connect": {"url"}}, {"send": value}.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const report = (line) => process.stdout.write(JSON.stringify(line) + "\n");
let socket;

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    if (command.connect) {
      socket = new WebSocket(command.connect.url);
      socket.on("open", () => report({ connect: "raw" }));
      socket.on("message", (text) => {
        const frame = JSON.parse(text);
        report({ event: frame.type, data: frame, args: 1 });
      });
      socket.on("close", (code, reason) => report({ disconnect: `${code} ${reason}` }));
      socket.on("error", (error) => report({ connect_error: error.message }));
    }
    if (command.send) socket.send(JSON.stringify(command.send));
  })
  .on("close", () => process.exit(0));

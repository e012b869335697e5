import { readFileSync } from "node:fs";
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttps } from "node:https";
import { createServer as createTcp } from "node:net";
import type { Duplex } from "node:stream";
import { once } from "node:events";

/**
 * What sandboxes meet on the internet of the tests. Arguments: address, directory with `server.key`, `server.crt`,
 * `stranger.key` and `stranger.crt`. Prints a line for each request.
 */
const [address = "", directory = ""] = process.argv.slice(2);
const read = (name: string): Buffer => readFileSync(`${directory}/${name}`);
const note = (port: number, request: IncomingMessage): void => {
  process.stdout.write(`${port} ${request.method} ${request.headers.host} ${request.url}\n`);
};

const answer =
  (port: number) =>
  (request: IncomingMessage, response: ServerResponse): void => {
    note(port, request);
    if (request.url === "/stream") {
      // The second half comes only when the client has asked for it by another request.
      response.write("first\n");
      waiting = response;
      return;
    }
    if (request.url === "/go-on") waiting?.end("second\n");
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      const { method, url, rawHeaders, headers } = request;
      response.setHeader("X-Server", address);
      response.end(JSON.stringify({ method, url, rawHeaders, headers, body, port, address }));
    });
  };
let waiting: ServerResponse | undefined;

/** Agrees to every WebSocket and sends all bytes back. */
const upgrade =
  (port: number) =>
  (request: IncomingMessage, socket: Duplex): void => {
    note(port, request);
    const authorization = request.headers.authorization ?? "none";
    const lines = [
      "HTTP/1.1 101 Switching Protocols",
      "Connection: Upgrade",
      "Upgrade: websocket",
      `X-Authorization: ${authorization}`,
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  };

const tls = { key: read("server.key"), cert: read("server.crt") };
const strange = { key: read("stranger.key"), cert: read("stranger.crt") };
const servers = [
  createHttp(answer(80)).on("upgrade", upgrade(80)).listen(80, address),
  createHttps(tls, answer(443)).on("upgrade", upgrade(443)).listen(443, address),
  createHttps(strange, answer(8443)).listen(8443, address),
  createTcp((socket) => {
    socket.on("error", () => socket.destroy());
    // Answers with the bytes that the path says in hexadecimal.
    socket.once("data", (chunk: Buffer) => {
      const path = /^\S+ \/(\S*)/.exec(chunk.toString("latin1"))?.[1] ?? "";
      socket.end(Buffer.from(path, "hex"));
    });
  }).listen(8080, address),
  createTcp((socket) => {
    socket.on("error", () => socket.destroy());
    socket.write("220 banner\r\n");
    socket.pipe(socket);
  }).listen(22, address),
];
await Promise.all(servers.map((server) => once(server, "listening")));
process.stdout.write("ready\n");

import { text } from "node:stream/consumers";
import { CommandError, openSandbox } from "@longshore/core";
import { openSandboxes } from "./open-runtime.ts";

await using sandboxes = await openSandboxes();
const { runtime, images } = sandboxes;

// No network, 256 MiB, and gone when this block ends, whatever happens in it.
await using sandbox = await openSandbox(runtime, {
  image: process.argv[2] ?? process.env["SANDBOX_IMAGE"] ?? "busybox",
  images,
  memoryMb: 256,
  timeoutMs: 120_000,
  onProgress: ({ phase }) => console.log("…", phase),
});
console.log(`sandbox ${sandbox.id.slice(0, 12)} after ${Math.round(sandbox.timings.totalMs)} ms`);

// Run a command to its end.
const { stdout } = await sandbox.run(["sh", "-c", "echo $((6 * 7))"], { timeoutMs: 10_000 });
console.log("run:", stdout.trim());

// Another exit code than 0 is an answer, unless you want it to be an error.
try {
  await sandbox.run(["ls", "/nothing-like-this"]).orThrow();
} catch (error) {
  if (!(error instanceof CommandError)) throw error;
  console.log("error:", error.exitCode, error.stderrTail.trim().split("\n").at(-1));
}

// Files go in and out.
await sandbox.files.write("/tmp/numbers.txt", "3\n1\n2\n");
await sandbox.run(["sort", "-o", "sorted.txt", "numbers.txt"], { cwd: "/tmp" }).orThrow();
const sorted = await sandbox.files.readText("/tmp/sorted.txt");
console.log("files:", sorted.trim().replaceAll("\n", " "));

// A process that stays: its output line by line, and a port of its own.
const port = 8_000;
const serve = `httpd -p ${port} && echo listening && exec tail -f /dev/null`;
await using server = sandbox.spawn(["sh", "-c", serve], { cwd: "/tmp" });
for await (const { line } of server.lines()) {
  console.log("server:", line);
  break; // it listens; the rest is collected
}
const connection = await sandbox.connect(port);
connection.end("GET /sorted.txt HTTP/1.0\r\n\r\n");
console.log("port:", (await text(connection)).split("\r\n")[0]);

await using exposed = await sandbox.expose(port);
const answer = await fetch(`http://${exposed.host}:${exposed.port}/sorted.txt`);
console.log("exposed:", answer.status, (await answer.text()).length, "bytes");

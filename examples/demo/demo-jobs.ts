import { createJobDocument, type JobDocument } from "@longshore/core";

/** A job of the demo, and what the demo is about to show with it. */
export interface DemoJob {
  readonly shows: string;
  readonly document: JobDocument;
}

const wordCount = `
import collections, json, os, sys, time

params = json.load(sys.stdin)
words = params["text"].lower().split()
counts = collections.Counter(words).most_common(params["top"])
with open(os.path.join(os.environ["WORKER_ARTIFACTS_DIR"], "counts.csv"), "w") as file:
    file.writelines(f"{word},{count}\\n" for word, count in counts)
print(json.dumps({"words": len(words), "top": counts[0][0]}))
`;

const lookAround = `
import os, platform, socket

processes = [name for name in os.listdir("/proc") if name.isdigit()]
links = [name for _, name in socket.if_nameindex()]
print('{"python": "%s", "processes": %d, "network": "%s", "asked": "%s"}'
      % (platform.python_version(), len(processes), " ".join(links), os.environ["QUESTION"]))
`;

/** @param image an OCI reference that the worker's policy allows */
export function containerJob(image: string): DemoJob {
  return {
    shows: "Python in a container of its own, from an image",
    document: createJobDocument({
      jobId: "in-container",
      operation: "demo.look-around",
      runtime: {
        mode: "image",
        image,
        cmd: ["python3", "look.py"],
        files: { "look.py": { content: lookAround } },
        env: { QUESTION: "who else is here?" },
        input: { stdin: "none" },
        output: { format: "json", artifacts: [] },
        limits: { memoryMb: 128, pids: 32 },
      },
    }),
  };
}

/** What a jobs directory may get on an ordinary day. */
export function demoJobs(diskImage: string): readonly DemoJob[] {
  const keyed = { operation: "system.echo", data: { charge: 42 } };
  return [
    {
      shows: "an echo",
      document: createJobDocument({
        jobId: "echo",
        operation: "system.echo",
        data: { message: "hello" },
      }),
    },
    {
      shows: "Python with parameters and an artifact",
      document: createJobDocument({
        jobId: "word-count",
        operation: "demo.word-count",
        data: { text: "the tide comes in and the tide goes out", top: 3 },
        runtime: {
          mode: "process",
          runtime: "python",
          cmd: ["count.py"],
          files: { "count.py": { content: wordCount } },
          params: { delivery: "stdin", format: "json" },
          output: { format: "json", artifacts: ["*.csv"] },
        },
      }),
    },
    {
      shows: "a look into a disk image, by a plugin",
      document: createJobDocument({
        jobId: "inspect-disk",
        operation: "disk.inspect",
        payloadType: "guestkit.inspect.v1",
        data: { image: { path: diskImage, format: "qcow2" } },
      }),
    },
    {
      shows: "a time limit of one second",
      document: createJobDocument({
        jobId: "too-slow",
        operation: "demo.sleep",
        execution: { timeoutSeconds: 1 },
        runtime: { mode: "process", runtime: "native", cmd: ["sleep", "60"] },
      }),
    },
    {
      shows: "a cancel while it runs",
      document: createJobDocument({
        jobId: "unwanted",
        operation: "demo.sleep",
        runtime: { mode: "process", runtime: "native", cmd: ["sleep", "60"] },
      }),
    },
    {
      shows: "a first job under an idempotency key",
      document: createJobDocument({
        jobId: "charge-1",
        ...keyed,
        execution: { idempotencyKey: "invoice-7" },
      }),
    },
  ];
}

/** The same as `charge-1`: to be sent once that one has completed. */
export function duplicateJob(): DemoJob {
  return {
    shows: "the same key again: the first result",
    document: createJobDocument({
      jobId: "charge-2",
      operation: "system.echo",
      data: { charge: 42 },
      execution: { idempotencyKey: "invoice-7" },
    }),
  };
}

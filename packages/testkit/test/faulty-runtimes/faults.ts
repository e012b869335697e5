import { isLongshoreError, LongshoreError, type RuntimeClient } from "@longshore/core";

/** One thing a runtime does wrong, and the cases that must find it. */
export interface Fault {
  readonly title: string;
  /** Every case of those that are tried which fails, in the suite's order */
  readonly cases: readonly string[];
  spoil(runtime: RuntimeClient): Partial<RuntimeClient>;
}

async function* firstBytes(
  stream: AsyncIterable<Uint8Array>,
  count: number,
): AsyncIterable<Uint8Array> {
  let seen = 0;
  for await (const chunk of stream) {
    if (seen < count) yield chunk;
    seen += chunk.length;
  }
}

async function* nothing(): AsyncIterable<Uint8Array> {}

export const faults: readonly Fault[] = [
  { title: "none", cases: [], spoil: () => ({}) },
  {
    title: "forgets which names are taken",
    cases: [
      "refuses metadata that is in use, and lets it be used after the removal",
      "gives the same metadata to one of several callers",
    ],
    spoil: (runtime) => ({
      async runPodSandbox(request, options) {
        try {
          return await runtime.runPodSandbox(request, options);
        } catch (error) {
          if (!isLongshoreError(error, "STATE_CONFLICT")) throw error;
          const metadata = { ...request.config.metadata, uid: String(Math.random()) };
          return runtime.runPodSandbox({ config: { ...request.config, metadata } }, options);
        }
      },
    }),
  },
  {
    title: "complains about what is gone already",
    cases: [
      "stops and removes a sandbox again and again, and one that is unknown",
      "removes a container that runs, and one that does not, again and again",
      "stops and removes a container that never was",
    ],
    spoil: (runtime) => ({
      async removePodSandbox(request) {
        if ((await runtime.listPodSandbox({ id: request.podSandboxId })).length === 0) {
          throw new LongshoreError("SANDBOX_NOT_FOUND", "no such sandbox");
        }
        await runtime.removePodSandbox(request);
      },
      async removeContainer(request) {
        await runtime.containerStatus(request);
        await runtime.removeContainer(request);
      },
    }),
  },
  {
    title: "invents exit codes",
    cases: [
      "tells the exit code of a container that failed",
      "tells the signal that ended a container as 128 and its number",
      "ends a container whose program is not there with StartError",
    ],
    spoil: (runtime) => ({
      async containerStatus(request, options) {
        const { status } = await runtime.containerStatus(request, options);
        return { status: { ...status, exitCode: 0, reason: "Completed" } };
      },
    }),
  },
  {
    title: "answers no list while it stops something",
    cases: ["lists and tells states at once while a container is being stopped"],
    spoil: (runtime) => {
      const stops = new Set<Promise<void>>();
      return {
        async stopContainer(request, options) {
          const stop = runtime.stopContainer(request, options);
          stops.add(stop);
          await stop.finally(() => stops.delete(stop));
        },
        async listContainers(filter, options) {
          await Promise.all(stops);
          return runtime.listContainers(filter, options);
        },
      };
    },
  },
  {
    title: "lets a shell read commands",
    cases: [
      "passes arguments of a command on as they are",
      "says that a command cannot be started",
      "refuses an empty command",
      "takes a program whose name begins with a dash for no option",
    ],
    spoil: (runtime) => ({
      execSync(request, options) {
        const [program, flag, script, ...rest] = request.cmd;
        // As it stands for `sh -c script`, which says nothing about shells.
        if (program === "sh" && flag === "-c" && rest.length === 0 && script !== undefined) {
          return runtime.execSync(request, options);
        }
        const cmd = ["sh", "-c", request.cmd.join(" ")];
        return runtime.execSync({ ...request, cmd }, options);
      },
    }),
  },
  {
    title: "loses annotations",
    cases: [
      "runs a sandbox that is ready on return, with what it was given",
      "takes names and labels for nothing but text",
    ],
    spoil: (runtime) => ({
      runPodSandbox: ({ config, ...request }, options) =>
        runtime.runPodSandbox({ ...request, config: { ...config, annotations: {} } }, options),
    }),
  },
  {
    title: "leaves a command running whose time is over",
    cases: ["ends a command and its children when its time is over"],
    spoil: (runtime) => ({
      async execSync({ timeout = 0, ...request }, options) {
        const running = runtime.execSync(request, options);
        if (timeout === 0) return running;
        running.catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, timeout * 1_000));
        throw new LongshoreError("TIMEOUT", "too late");
      },
    }),
  },
  {
    title: "has no patience",
    cases: ["kills a container that ignores SIGTERM after the time-out"],
    spoil: (runtime) => ({
      async stopContainer({ containerId }) {
        await runtime.stopContainer({ containerId, timeout: 0 });
      },
    }),
  },
  {
    title: "cuts outputs",
    cases: [
      "keeps a command waiting while nobody reads, and loses nothing",
      "passes a large output through without keeping it",
    ],
    spoil: (runtime) => ({
      async exec(request, options) {
        const session = await runtime.exec(request, options);
        return { ...session, stdout: firstBytes(session.stdout, 20_000_000) };
      },
    }),
  },
  {
    title: "loses stderr",
    cases: [
      "streams both outputs of a command, and tells its end",
      "keeps a command waiting while nobody reads, and loses nothing",
    ],
    spoil: (runtime) => ({
      async exec(request, options) {
        const session = await runtime.exec({ ...request, stderr: false }, options);
        return { ...session, stderr: nothing() };
      },
    }),
  },
  {
    title: "knows no filters",
    cases: ["filters containers by every field that is set"],
    spoil: (runtime) => ({
      listContainers: ({ labelSelector, podSandboxId } = {}, options) =>
        runtime.listContainers({ labelSelector, podSandboxId }, options),
    }),
  },
  {
    title: "hides that a start failed",
    cases: [
      "ends a container whose program is not there with StartError",
      "starts a container for one of several callers",
      "leaves no sandbox when a command's program is not there",
    ],
    spoil: (runtime) => ({
      startContainer: (request, options) =>
        runtime.startContainer(request, options).catch(() => undefined),
    }),
  },
  {
    title: "ignores signals to abort",
    cases: [
      "rejects with the abort's reason when aborted before a call",
      "starts no session when aborted before",
    ],
    spoil: (runtime) => ({
      runPodSandbox: (request) => runtime.runPodSandbox(request),
      exec: (request) => runtime.exec(request),
    }),
  },
  {
    title: "lets commands live on whose session is closed",
    cases: ["kills a command and its children when the session is closed early"],
    spoil: (runtime) => ({
      async exec(request, options) {
        const session = await runtime.exec(request, options);
        return { ...session, async [Symbol.asyncDispose]() {} };
      },
    }),
  },
];

import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { method, needing, type CaseGroup } from "./case-group.ts";
import type { CaseContainer, RuntimeCase } from "./runtime-case.ts";

/** Pausing containers, and making images of them. */
export const pauseCases: CaseGroup = (check) => {
  const paused = needing(check, "pause");

  const pauseOf = ({ runtime }: RuntimeCase, container: CaseContainer): Promise<void> =>
    method(runtime.pauseContainer, "pauseContainer").call(runtime, container);
  const resumeOf = ({ runtime }: RuntimeCase, container: CaseContainer): Promise<void> =>
    method(runtime.resumeContainer, "resumeContainer").call(runtime, container);

  needing(paused, "several containers")(
    "freezes a container's processes, and lets them go on",
    async (tools) => {
      const watcher = await tools.launch();
      const container = await tools.launch(
        {
          command: [
            "sh",
            "-c",
            "i=0; while :; do i=$((i+1)); echo $i > /dev/shm/count; sleep 0.01; done",
          ],
        },
        watcher,
      );
      const count = "cat /dev/shm/count";
      await tools.sh(watcher, "until [ -s /dev/shm/count ]; do sleep 0.02; done");
      await pauseOf(tools, container);
      await pauseOf(tools, container);
      const before = await tools.sh(watcher, count);
      expect(await tools.sh(watcher, `sleep 0.5; ${count}`)).toBe(before);
      expect(await tools.status(container)).toMatchObject({ state: "running" });
      await resumeOf(tools, container);
      await resumeOf(tools, container);
      await tools.sh(watcher, `until [ "$(${count})" != "${before}" ]; do sleep 0.02; done`);
    },
  );

  paused("stops and removes a container that is paused", async (tools) => {
    const stopped = await tools.launch();
    await pauseOf(tools, stopped);
    await tools.runtime.stopContainer({ ...stopped, timeout: 1 });
    expect(await tools.status(stopped)).toMatchObject({ state: "exited" });
    const removed = await tools.launch({}, stopped);
    await pauseOf(tools, removed);
    await tools.runtime.removeContainer(removed);
    const left = await tools.launch({}, stopped);
    await pauseOf(tools, left);
    await tools.runtime.removePodSandbox(left);
  });

  paused("pauses only what runs", async (tools) => {
    const container = await tools.create(await tools.pod());
    await expect(pauseOf(tools, container)).rejects.toMatchObject({
      code: "SANDBOX_INVALID_STATE",
    });
    await expect(
      pauseOf(tools, { ...container, containerId: "no-such-container" }),
    ).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  const committed = needing(check, "commit", "image files");
  committed("makes an image of a container's files", async (tools) => {
    const { runtime } = tools;
    const container = await tools.launch();
    await tools.sh(
      container,
      "echo kept > /kept; rm /etc/group; mkdir -p /deep/er; echo x > /deep/er/y",
    );
    const reference = `localhost/suite/committed:${randomUUID()}`;
    const image = await method(runtime.commitContainer, "commitContainer").call(runtime, {
      ...container,
      reference,
      comment: "made by the suite",
    });
    try {
      expect(await tools.status(container)).toMatchObject({ state: "running" });
      await tools.sh(container, "echo later > /later");
      for (const name of [image, reference]) {
        const copy = await tools.launch({ image: { image: name } });
        expect(
          await tools.sh(copy, "cat /kept /deep/er/y; ls /etc/group /later 2> /dev/null || true"),
        ).toBe("kept\nx");
      }
    } finally {
      await tools.harness.imageClient?.removeImage({ image });
    }
  });

  needing(
    check,
    "commit",
    "image files",
    "image config",
    "logs",
  )("changes the configuration of the image it makes", async (tools) => {
    const { runtime } = tools;
    const container = await tools.launch();
    const image = await method(runtime.commitContainer, "commitContainer").call(runtime, {
      ...container,
      reference: `localhost/suite/committed:${randomUUID()}`,
      config: {
        entrypoint: ["/bin/sh", "-c"],
        cmd: ['printf "%s %s" "$ADDED" "$PWD" > /dev/shm/said; sleep 1000'],
        env: ["ADDED=yes"],
        workingDir: "/etc",
      },
    });
    try {
      const copy = await tools.launch({ image: { image }, command: undefined });
      const script = "until [ -s /dev/shm/said ]; do sleep 0.02; done; cat /dev/shm/said";
      expect(await tools.sh(copy, script)).toBe("yes /etc");
    } finally {
      await tools.harness.imageClient?.removeImage({ image });
    }
  });
};

import { expect, vi } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";
import { launchLogged, printed, untilLogged } from "./log-file.ts";
import type { ContainerWishes, RuntimeCase } from "./runtime-case.ts";

/** How an image's configuration and the container's are merged. */
export const imageConfigCases: CaseGroup = (check) => {
  const configured = needing(check, "image config", "image files", "logs");

  const fromImage = (tools: RuntimeCase, rest: ContainerWishes = {}): ContainerWishes => {
    const { configured: image } = tools.harness.images;
    if (image === undefined) throw new Error("the harness has no image `configured`");
    return { image: { image }, command: undefined, ...rest };
  };
  const argsOnly = (tools: RuntimeCase, script: string, rest: ContainerWishes = {}) =>
    printed(tools, fromImage(tools, { args: [script], ...rest }));

  configured("runs entry point and command of the image", async (tools) => {
    const container = await launchLogged(tools, "", fromImage(tools));
    await untilLogged(container.log, "from the image:/usr:1000:");
    expect(await tools.status(container)).toMatchObject({ state: "running" });
  });

  configured("puts its arguments in the place of the image's command", async (tools) => {
    expect((await argsOnly(tools, "echo args")).stdout).toBe("args");
  });

  configured(
    "puts its command in the place of the entry point, without the image's command",
    async (tools) => {
      const { stdout } = await printed(tools, fromImage(tools, { command: ["echo", "own"] }));
      expect(stdout).toBe("own");
    },
  );

  configured("puts command and arguments together", async (tools) => {
    const wishes = fromImage(tools, { command: ["echo"], args: ["a", "b c"] });
    expect((await printed(tools, wishes)).stdout).toBe("a b c");
  });

  configured("adds its environment to the image's", async (tools) => {
    const envs = [
      { key: "GREETING", value: "from the job" },
      { key: "ADDED", value: "yes" },
    ];
    const { stdout } = await argsOnly(tools, 'echo "$GREETING $KEPT $ADDED"', { envs });
    expect(stdout).toBe("from the job image yes");
  });

  configured("starts in the image's directory, or in its own", async (tools) => {
    expect((await argsOnly(tools, "pwd")).stdout).toBe("/usr");
    expect((await argsOnly(tools, "pwd", { workingDir: "/etc" })).stdout).toBe("/etc");
  });

  configured("runs as the image's user, or as its own", async (tools) => {
    expect((await argsOnly(tools, "id -u; id -g")).stdout).toBe("1000\n1000");
    const security = { runAsUser: 0 };
    expect((await argsOnly(tools, "id -u", { security })).stdout).toBe("0");
  });

  configured("is stopped with the image's signal", async (tools) => {
    const container = await launchLogged(tools, "", fromImage(tools));
    await untilLogged(container.log, ":1000:");
    await tools.runtime.stopContainer({ ...container, timeout: 30 });
    expect(await tools.status(container)).toMatchObject({ exitCode: 9 });
  });

  configured(
    "runs commands in it with the image's environment, directory and user",
    async (tools) => {
      const container = await tools.launch(fromImage(tools));
      await vi.waitFor(
        async () =>
          expect(await tools.sh(container, 'echo "$GREETING $PWD $(id -u)"')).toBe(
            "from the image /usr 1000",
          ),
        { timeout: 20_000 },
      );
    },
  );

  needing(
    check,
    "image files",
    "several containers",
  )("shows the image's files, and changes none of it", async (tools) => {
    const one = await tools.launch();
    const two = await tools.launch({}, one);
    expect(await tools.sh(one, "grep ^worker: /etc/passwd")).toContain("worker:x:1000:");
    await tools.sh(one, "echo changed > /etc/passwd; rm /etc/group; echo new > /new-file");
    expect(await tools.sh(two, "grep -c ^worker: /etc/passwd; cat /new-file 2>&1 || true")).toMatch(
      /^1\n.*No such file/,
    );
  });
};

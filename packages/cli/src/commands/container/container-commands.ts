import { hasCode } from "@longshore/core";
import { Option, type Command } from "commander";
import { containerExitCodes, exitCodes } from "../../exit-codes.ts";

export interface ContainerCommandOptions {
  readonly json: Option;
  readonly home: Option;
  /** Gets the exit code of the command that ran */
  done(exitCode: number): void;
}

const namesHelp = `
A container is named by the name of its sandbox, or by its id, which may be shortened.`;

const runHelp = `
The command's exit code is the exit code here. 125 means that longshore failed before it, 126 that the command cannot be run,
127 that it is not there, 137 that it was killed.

By default a container has no network but loopback, no new privileges, and the capabilities that Docker gives. It is removed
when its command ends; --keep or --detach keeps it until longshore rm.`;

/** Adds the commands about containers and sandboxes. */
export function addContainerCommands(program: Command, options: ContainerCommandOptions): void {
  const { json, home, done } = options;
  const command = (name: string, description: string, help = ""): Command =>
    program
      .command(name)
      .description(description)
      .addOption(home)
      .addOption(json)
      .addHelpText("after", help);

  withContainerOptions(
    command("run", "run a command in a new container of an image", runHelp)
      .argument("<image>", "image; pulled when it is not in the store")
      .argument("[command...]", "program and arguments (default: the image's)")
      .passThroughOptions()
      .option("-i, --interactive", "give it this command's input")
      .option("-t, --tty", "give it a terminal")
      .option("-d, --detach", "start it, print its id, and leave it")
      .option("--keep", "do not remove it when its command ends"),
  ).action(async (image: string, args: readonly string[], flags) => {
    const { runContainer } = await import("./run.ts");
    done(await asRun(() => runContainer(image, withoutDashes(args), flags)));
  });

  command("ps", "show the containers that run")
    .option("-a, --all", "and those that have ended")
    .action(async (flags) => {
      const { listContainers } = await import("./list.ts");
      done(await listContainers(flags));
    });

  command("exec", "run a command in a running container", namesHelp)
    .argument("<container>")
    .argument("<command...>", "program and arguments")
    .passThroughOptions()
    .option("-i, --interactive", "give it this command's input")
    .option("-t, --tty", "give it a terminal")
    .addOption(many("-e, --env <key=value>", "environment"))
    .option("-w, --workdir <dir>", "working directory")
    .option("-u, --user <user>", "user name, uid or uid:gid")
    .action(async (name: string, args: readonly string[], flags) => {
      const { execInContainer } = await import("./exec.ts");
      done(await asRun(() => execInContainer(name, withoutDashes(args), flags)));
    });

  command("logs", "print what a container has written", namesHelp)
    .argument("<container>")
    .option("-f, --follow", "go on until it ends")
    .option("-n, --tail <lines>", "only the last lines")
    .option("--since <time>", "only what is newer: a time, or an age like 10m")
    .option("--timestamps", "with the time of each line")
    .action(async (name: string, flags) => {
      const { showLogs } = await import("./logs.ts");
      done(await showLogs(name, flags));
    });

  command("stop", "stop containers; their logs stay until longshore rm", namesHelp)
    .argument("<container...>")
    .addOption(new Option("--time <seconds>", "until it is killed").argParser(Number).default(10))
    .action(async (names: readonly string[], flags) => {
      const { stopContainers } = await import("./stop.ts");
      done(await stopContainers(names, flags));
    });

  command("rm", "remove containers with their files and logs", namesHelp)
    .argument("<container...>")
    .option("-f, --force", "also those that run")
    .action(async (names: readonly string[], flags) => {
      const { removeContainers } = await import("./stop.ts");
      done(await removeContainers(names, flags));
    });

  command("stats", "show what containers use", namesHelp)
    .argument("[container...]", "(default: all that run)")
    .option("--no-stream", "once")
    .action(async (names: readonly string[], flags) => {
      const { showStats } = await import("./stats.ts");
      done(await showStats(names, flags));
    });

  command("runtime", "keep the containers of --home for other commands, which otherwise start this")
    .addOption(new Option("--keeper").hideHelp())
    .addOption(
      new Option("--idle-seconds <n>", "with --keeper: end when nobody asked for so long")
        .argParser(Number)
        .default(10)
        .hideHelp(),
    )
    .addOption(many("--plain-http <host>", "speak http to this registry"))
    .action(async (flags) => {
      const { keepRuntime } = await import("./keep-runtime.ts");
      done(await keepRuntime(flags));
    });

  const sandbox = program
    .command("sandbox")
    .description("make sandboxes that stay, for longshore exec and programs");
  const sandboxCommand = (name: string, description: string): Command =>
    sandbox.command(name).description(description).addOption(home).addOption(json);
  withContainerOptions(
    sandboxCommand("create", "make a sandbox of an image, ready for longshore exec").argument(
      "[image]",
      "image; or name it in --spec",
    ),
  )
    .option("--spec <file>", "JSON or YAML, as a job's runtime.sandbox; flags come before it")
    .action(async (image: string | undefined, flags) => {
      const { createSandbox } = await import("./sandbox.ts");
      done(await createSandbox(image, flags));
    });
  sandboxCommand("ls", "show the sandboxes")
    .alias("list")
    .action(async (flags) => {
      const { listSandboxes } = await import("./sandbox.ts");
      done(await listSandboxes(flags));
    });
  sandboxCommand("rm", "remove sandboxes with all that is in them")
    .argument("<sandbox...>", "names, or ids, which may be shortened")
    .action(async (names: readonly string[], flags) => {
      const { removeSandboxes } = await import("./sandbox.ts");
      done(await removeSandboxes(names, flags));
    });
}

/** What a container can be told; the same for `run` and `sandbox create`. */
function withContainerOptions(to: Command): Command {
  return to
    .option("--name <name>", "name of its sandbox (default: made)")
    .addOption(many("-e, --env <key=value>", "environment; KEY alone takes the value from here"))
    .addOption(many("-v, --volume <host:path[:ro]>", "show a directory or file of the host"))
    .addOption(many("-p, --publish <[[ip:]port:]port[/tcp]>", "a port on the host"))
    .addOption(many("-l, --label <key=value>", "label"))
    .option("-w, --workdir <dir>", "working directory")
    .option("-u, --user <user>", "user name, uid or uid:gid")
    .option("--entrypoint <program>", "in place of the image's")
    .option("--hostname <name>", "(default: its name)")
    .option("-m, --memory <size>", "limit, e.g. 512m")
    .option("--cpus <n>", "limit, e.g. 1.5")
    .option("--pids <n>", "limit of processes")
    .addOption(
      new Option(
        "--network <kind>",
        "none: loopback only; bridge; host (default: none, bridge with --publish or --egress)",
      ).choices(["none", "bridge", "host"]),
    )
    .addOption(
      many("--egress <host[:port]>", "let it reach this host and, of all others, none; * for any"),
    )
    .option("--read-only", "the image's files cannot be changed")
    .addOption(many("--cap-add <name>", "capability to add"))
    .addOption(many("--cap-drop <name>", "capability to take away; ALL for all"))
    .option("--stop-signal <name>", "e.g. SIGQUIT")
    .option("--runtime <handler>", "runc, crun, runsc … (default: the first that works)")
    .addOption(
      new Option("--pull <when>", "whether to ask the registry")
        .choices(["always", "missing", "never"])
        .default("missing"),
    )
    .addOption(many("--plain-http <host>", "speak http to this registry"));
}

/** `--` before the command is for shells and people; the command does not get it. */
function withoutDashes(args: readonly string[]): readonly string[] {
  return args[0] === "--" ? args.slice(1) : args;
}

/** An option that may be repeated. */
function many(flags: string, description: string): Option {
  return new Option(flags, `${description}; may be repeated`).argParser(
    (text: string, texts: readonly string[] | undefined) => [...(texts ?? []), text],
  );
}

/** Keeps the failures of longshore apart from those of the command it runs. */
async function asRun(task: () => Promise<number>): Promise<number> {
  try {
    return await task();
  } catch (error) {
    const code = error instanceof Error && "exitCode" in error ? Number(error.exitCode) : undefined;
    process.stderr.write(`longshore: ${error instanceof Error ? error.message : String(error)}\n`);
    if (hasCode(error, "CANCELLED")) {
      return exitCodes.interrupted;
    }
    return code ?? containerExitCodes.failed;
  }
}

import { defaultHome, workerVersion } from "@longshore/core";
import { Command, CommanderError, Option } from "commander";
import { addContainerCommands } from "./commands/container/container-commands.ts";
import { addImageCommands } from "./commands/image/image-commands.ts";
import { addJobCommands } from "./commands/job-commands.ts";
import { addTokenCommands } from "./commands/token-commands.ts";
import { wholeNumber } from "./whole-number.ts";
import { exitCodeFor, exitCodes } from "./exit-codes.ts";

/**
 * Runs the command with its arguments and returns the exit code. Errors are told on standard error.
 *
 * @param argv arguments without `node` and the script
 */
export async function run(argv: readonly string[]): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const program = createProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...argv], { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage;
    process.stderr.write(`longshore: ${describe(error)}\n`);
    return exitCodeFor(error);
  }
}

function createProgram(done: (exitCode: number) => void): Command {
  const home = new Option("--home <dir>", "directory of jobs, images and containers").default(
    defaultHome(),
    "LONGSHORE_HOME, or the user's data directory",
  );
  const json = new Option("--json", "print JSON (the default when the output is no terminal)");
  const jobsDir = new Option("--jobs-dir <dir>", "directory of job files").default("jobs");
  const resultsDir = new Option("--results-dir <dir>", "directory of results").default("results");

  const url = new Option(
    "--url <url>",
    "HTTP API of a worker or a master, e.g. http://127.0.0.1:9000",
  );
  const tokenFile = new Option(
    "--token-file <file>",
    "file with the token for --url (default: what LONGSHORE_TOKEN holds)",
  );

  const program = new Command("longshore")
    .description("Runs jobs, durably, and containers.")
    .version(workerVersion)
    .showSuggestionAfterError()
    .showHelpAfterError("(--help tells more)")
    .exitOverride()
    // Flags after a container's command are the command's.
    .enablePositionalOptions()
    .addHelpText("after", exitCodeHelp);

  program
    .command("worker")
    .description("run a worker until SIGTERM or SIGINT; a second one stops it at once")
    .option("--config <file>", "configuration, YAML or JSON")
    .option("--home <dir>", "directory of the job store")
    .option("--worker-id <id>", "unique name of the worker")
    .option("--pool <name>", "pool the worker belongs to")
    .option("--jobs-dir <dir>", "directory of job files (default: jobs)")
    .option("--results-dir <dir>", "directory of results (default: results)")
    .option("--http <address>", "serve the Worker HTTP API, e.g. on 127.0.0.1:9000")
    .option(
      "--poll <url>",
      "poll a master for jobs, instead of what else is configured (with --jobs-dir: that, too)",
    )
    .option(
      "--poll-token-file <file>",
      "file with the token for --poll (default: what LONGSHORE_TOKEN holds)",
    )
    .option("--max-concurrent <n>", "jobs that run at the same time", wholeNumber)
    .option("--log-level <level>", "trace, debug, info, warn or error")
    .option("--detect-only", "print what this worker could run, and exit")
    .addOption(json)
    .action(async (flags) => {
      const { runWorker } = await import("./commands/worker.ts");
      done(await runWorker(flags));
    });

  program
    .command("submit")
    .description("put a job into the jobs directory, or send it to the worker or master at --url")
    .argument("[file]", "job document, JSON or YAML; or use --operation")
    .option("--operation <name>", "what to do, e.g. system.echo")
    .option("--data <json>", "input of the operation")
    .option("--id <id>", "job id; made when absent")
    .option("--priority <n>", "1 (last) to 10 (first)", wholeNumber)
    .option("--timeout <seconds>", "run time of one attempt", wholeNumber)
    .option("--max-attempts <n>", "tries in all", wholeNumber)
    .option("--idempotency-key <key>", "run jobs with this key once")
    .option("--wait", "follow the job and print its result")
    .addOption(url)
    .addOption(tokenFile)
    .addOption(jobsDir)
    .addOption(resultsDir)
    .addOption(json)
    .action(async (file: string | undefined, flags) => {
      const { submit } = await import("./commands/submit.ts");
      done(await submit(file, flags));
    });

  program
    .command("master")
    .description(
      "keep jobs for workers that poll (longshore worker --poll), until SIGTERM or SIGINT",
    )
    .option("--listen <address>", "where clients and workers reach it", "127.0.0.1:9100")
    .option("--store <file>", "job store (default: master.db in the home)")
    .option("--token-file <file>", "tokens that clients and workers need; see longshore token")
    .option("--cert-file <file>", "certificate, PEM; plain HTTP when absent")
    .option("--key-file <file>", "private key of the certificate, PEM")
    .option("--allow-unauthenticated", "listen on other hosts although nobody needs a token")
    .option("--log-level <level>", "trace, debug, info, warn or error", "info")
    .addOption(home)
    .addOption(json)
    .action(async (flags) => {
      const { runMaster } = await import("./commands/master.ts");
      done(await runMaster(flags));
    });

  addJobCommands(program, { home, json, url, tokenFile, jobsDir, done });
  addTokenCommands(program, { home, json, done });

  addContainerCommands(program, { home, json, done });
  addImageCommands(program, { home, json, done });

  program
    .command("doctor")
    .description("tell what this machine can run, and how to fix what it lacks")
    .addOption(home)
    .addOption(json)
    .action(async (flags) => {
      const { doctor } = await import("./commands/doctor.ts");
      done(await doctor(flags));
    });

  program
    .command("schema")
    .description("print a JSON Schema: job, result, event, error, sandbox or config")
    .argument("<name>")
    .action(async (name: string) => {
      const { printSchema } = await import("./commands/schema.ts");
      done(printSchema(name));
    });
  return program;
}

const exitCodeHelp = `
Exit codes:
  0    all well; with --wait: the job completed
  1    the job ended otherwise; a check of doctor or image verify failed; an image could not be pulled
  2    wrong flags, or a configuration, job document or image reference that is not one
  3    the worker refused the job, a registry the credentials, or this machine cannot do it
  4    there is no such job or image
  70   something broke
  130  interrupted`;

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import type { Command, Option } from "commander";
import { wholeNumber } from "../whole-number.ts";

const ofHome = () => import("./jobs.ts");
const overHttp = () => import("./http/jobs-at-url.ts");

/** `longshore jobs …`: in a worker's store and directory, or over its HTTP API. */
export function addJobCommands(
  program: Command,
  options: {
    readonly home: Option;
    readonly json: Option;
    readonly url: Option;
    readonly tokenFile: Option;
    readonly jobsDir: Option;
    readonly done: (exitCode: number) => void;
  },
): void {
  const { home, json, url, tokenFile, jobsDir, done } = options;
  const jobs = program
    .command("jobs")
    .description("look into a worker's job store, or with --url at its HTTP API");
  const atUrl = (name: string, description: string): Command =>
    jobs
      .command(name)
      .description(description)
      .argument("<job-id>")
      .addOption(url)
      .addOption(tokenFile)
      .addOption(json);

  jobs
    .command("list")
    .description("show jobs, newest first")
    .option("--state <state...>", "only jobs in these states")
    .option("--operation <name>", "only jobs of this operation")
    .option("--limit <n>", "how many, 1 to 500", wholeNumber)
    .option("--cursor <cursor>", "go on where an earlier page ended")
    .addOption(home)
    .addOption(url)
    .addOption(tokenFile)
    .addOption(json)
    .action(async (flags) => {
      done(
        await (flags.url === undefined
          ? (await ofHome()).listJobs(flags)
          : (await overHttp()).listJobsAtUrl(flags)),
      );
    });
  atUrl("show", "show one job with its result")
    .addOption(home)
    .action(async (jobId: string, flags) => {
      done(
        await (flags.url === undefined
          ? (await ofHome()).showJob(jobId, flags)
          : (await overHttp()).showAtUrl(jobId, flags)),
      );
    });
  atUrl("cancel", "end a job: through the jobs directory, or at --url")
    .option("--reason <text>", "why; shown in the result (only with --url)")
    .option("--force", "also a job that is not cancellable (only with --url)")
    .addOption(jobsDir)
    .addOption(home)
    .action(async (jobId: string, flags) => {
      done(
        await (flags.url === undefined
          ? (await ofHome()).cancelJob(jobId, flags)
          : (await overHttp()).cancelAtUrl(jobId, flags)),
      );
    });
  atUrl("follow", "show what happens to a job until it has ended; needs --url").action(
    async (jobId: string, flags) => {
      done(await (await overHttp()).followAtUrl(jobId, flags));
    },
  );
  atUrl("logs", "print what a job writes; needs --url")
    .option("-f, --follow", "go on until it has ended")
    .option("--stream <name>", "stdout, stderr or both", "both")
    .option("--tail <n>", "only the last lines", wholeNumber)
    .action(async (jobId: string, flags) => {
      done(await (await overHttp()).logsAtUrl(jobId, flags));
    });
}

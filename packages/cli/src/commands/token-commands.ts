import type { Command, Option } from "commander";

/** `longshore token …`: who may use a worker's HTTP API. */
export function addTokenCommands(
  program: Command,
  {
    home,
    json,
    done,
  }: {
    readonly home: Option;
    readonly json: Option;
    readonly done: (exitCode: number) => void;
  },
): void {
  const tokens = program.command("token").description("bearer tokens of the Worker HTTP API");
  const add = (name: string, description: string): Command =>
    tokens
      .command(name)
      .description(description)
      .option("--file <file>", "token file (default: tokens.json in the home)")
      .addOption(home)
      .addOption(json);

  add("create", "make a token and print it, once")
    .argument("<name>", "who it speaks for: token:<name>, or a whole subject")
    .option("--expires <time>", "how long it counts, e.g. 30d (default: for ever)")
    .action(async (name: string, flags) => {
      const { createTokenCommand } = await import("./token.ts");
      done(await createTokenCommand(name, flags));
    });
  add("revoke", "take a token's rights away, at once")
    .argument("<id>")
    .action(async (id: string, flags) => {
      const { revokeTokenCommand } = await import("./token.ts");
      done(await revokeTokenCommand(id, flags));
    });
  add("list", "show whose tokens there are").action(async (flags) => {
    const { listTokensCommand } = await import("./token.ts");
    done(await listTokensCommand(flags));
  });
}

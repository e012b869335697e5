import { join } from "node:path";
import { bundlePrograms } from "../test/fixtures/bundle-programs.ts";
import { run } from "./run.ts";

const sources = {
  pull: new URL("./image-pull-program.ts", import.meta.url),
  convert: new URL("./image-convert-program.ts", import.meta.url),
  shaped: new URL("./image-shaped-program.ts", import.meta.url),
  "fuse-thread": new URL("../packages/image-nydus/src/fuse/fuse-thread.ts", import.meta.url),
  "convert-thread": new URL("../packages/image-nydus/src/store/convert-thread.ts", import.meta.url),
  "open-shared-bootstrap": new URL(
    "../packages/image-nydus/src/rootfs/open-shared-bootstrap.ts",
    import.meta.url,
  ),
};

/** The parts of the benchmark that run in processes of their own. */
type ImageProgram = "pull" | "convert" | "shaped";

/** Namespaces of a program's own end with it, and with them whatever it has mounted, started or shaped. */
const confined = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];

/** Runs a program to its end and gives the JSON that it printed. */
export type RunProgram = (
  program: ImageProgram,
  options: { readonly network: "own" | "host" },
  ...args: readonly string[]
) => Promise<unknown>;

/** Bundles the programs as the command is bundled: what Node takes to read TypeScript is not what is measured. */
export async function imagePrograms(directory: string): Promise<RunProgram> {
  await bundlePrograms(directory, sources);
  return async (program, { network }, ...args) => {
    const namespaces = confined.filter((name) => network === "own" || name !== "--net");
    const command = [process.execPath, join(directory, `${program}.js`), ...args];
    const printed = await run("unshare", ...namespaces, ...command);
    return JSON.parse(printed);
  };
}

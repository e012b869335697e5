import { extname } from "node:path";
import { Worker, type ResourceLimits } from "node:worker_threads";

export interface ThreadOptions {
  /** What debuggers call it */
  readonly name: string;
  readonly workerData?: unknown;
  readonly resourceLimits?: ResourceLimits;
}

/**
 * Starts a thread with a module that lies beside another one.
 *
 * @param url of that one: its `import.meta.url`
 * @param path relative and without an ending, e.g. `./fuse-thread`
 */
export function startThread(url: string, path: string, options: ThreadOptions): Worker {
  const module = moduleBeside(url, path);
  const isSource = module.endsWith(".ts");
  return new Worker(new URL(module), {
    ...options,
    // Sources of this repository import each other as sources, too; whoever runs them may have said it otherwise.
    execArgv: ["--no-warnings", ...(isSource ? ["--conditions=@longshore/source"] : [])],
  });
}

/**
 * URL of a module beside another one, in the form in which that one runs: TypeScript as written, or JavaScript as built.
 *
 * @param path relative and without an ending, e.g. `./fuse-thread`
 */
export function moduleBeside(url: string, path: string): string {
  return new URL(path + extname(new URL(url).pathname), url).href;
}

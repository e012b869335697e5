import pc from "picocolors";

/** Where a command writes, and how. */
export interface Terminal {
  /** Whether results go out as JSON lines: asked for, or nobody looks */
  readonly isJson: boolean;
  /** Whether standard error is a terminal that a live line can be drawn on */
  readonly isLive: boolean;
  /** One line of the command's result */
  print(text: string): void;
  /** One JSON value of the command's result */
  printJson(value: unknown): void;
  /** One line about what is going on; not part of the result */
  note(text: string): void;
}

export function openTerminal({ json }: { readonly json?: boolean | undefined }): Terminal {
  const isJson = json ?? !process.stdout.isTTY;
  return {
    isJson,
    isLive: process.stderr.isTTY && !isJson,
    print(text) {
      process.stdout.write(`${text}\n`);
    },
    printJson(value) {
      process.stdout.write(`${JSON.stringify(value)}\n`);
    },
    note(text) {
      process.stderr.write(`${text}\n`);
    },
  };
}

/** A job's state in its colour. */
export function colourState(state: string): string {
  switch (state) {
    case "completed":
      return pc.green(state);
    case "failed":
    case "abandoned":
      return pc.red(state);
    case "timeout":
    case "cancelled":
      return pc.yellow(state);
    default:
      return pc.cyan(state);
  }
}

/** A bar for a share in percent, e.g. `█████░░░░░  50 %`. */
export function progressBar(percent: number, width = 24): string {
  const filled = Math.round((Math.min(100, Math.max(0, percent)) / 100) * width);
  const bar = "█".repeat(filled) + pc.dim("░".repeat(width - filled));
  return `${bar} ${String(Math.round(percent)).padStart(3)} %`;
}

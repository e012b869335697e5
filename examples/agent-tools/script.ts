/** A call that an agent might come up with. */
export interface ScriptedCall {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** @param work directory of the sandbox to work in */
export function script(work: string): readonly ScriptedCall[] {
  return [
    { name: "bash", args: { command: `mkdir -p ${work} && seq 1 5 > ${work}/numbers.txt` } },
    { name: "list_files", args: { path: work } },
    { name: "read_file", args: { path: `${work}/numbers.txt` } },
    {
      name: "bash",
      args: { command: "awk '{ sum += $1 } END { print sum }' numbers.txt", cwd: work },
    },
    { name: "bash", args: { command: "sleep 60", timeout_ms: 300 } },
    { name: "write_file", args: { path: `${work}/mine.txt`, content: "not allowed" } },
  ];
}

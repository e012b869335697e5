import Table, { type HorizontalAlignment } from "cli-table3";
import pc from "picocolors";

/** A column's heading, and to which side its cells keep. */
export interface Column {
  readonly head: string;
  /** @default "left" */
  readonly align?: HorizontalAlignment;
}

/** A table for people, coloured where colours are wanted. */
export function resultTable(
  columns: readonly Column[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const table = new Table({
    head: columns.map(({ head }) => head),
    colAligns: columns.map(({ align = "left" }) => align),
    style: {
      compact: true,
      head: pc.isColorSupported ? ["bold"] : [],
      border: pc.isColorSupported ? ["grey"] : [],
    },
  });
  for (const row of rows) table.push([...row]);
  return table.toString();
}

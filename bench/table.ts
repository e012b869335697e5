/** One measured number, and how it compares. */
export interface Row {
  readonly name: string;
  /** Absent when there was nothing to measure, which the name then explains */
  readonly value?: number;
  readonly unit?: string;
  /** Against the baseline the benchmark names */
  readonly ratio?: number;
  /** What the project promises, in words */
  readonly target?: string;
}

const columns = ["benchmark", "value", "unit", "ratio", "target"] as const;

/** The rows as lines of a table: numbers to the right, texts to the left. */
function formatTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.name,
    row.value === undefined ? "" : formatNumber(row.value),
    row.unit ?? "",
    row.ratio === undefined ? "" : `${row.ratio.toFixed(2)}x`,
    row.target ?? "",
  ]);
  const widths = columns.map((title, column) =>
    Math.max(title.length, ...cells.map((line) => line[column]?.length ?? 0)),
  );
  const formatLine = (line: readonly string[]): string =>
    line
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 1 || column === 3 ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "-".repeat(width));
  return [columns, rule, ...cells].map(formatLine).join("\n");
}

export function printTable(title: string, rows: readonly Row[]): void {
  console.log(`\n${title}\n${formatTable(rows)}`);
}

function formatNumber(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : 2;
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

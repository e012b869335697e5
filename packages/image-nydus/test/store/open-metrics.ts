import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";

/** Metrics as an exporter sees them. */
export interface OpenMetrics {
  readonly meterProvider: MeterProvider;
  /** Current value of a metric by its attributes; a histogram's is its count. */
  read(name: string): Promise<Readonly<Record<string, number>>>;
}

export function openMetrics(): OpenMetrics {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  return {
    meterProvider,
    async read(name) {
      await meterProvider.forceFlush();
      const scopes = exporter.getMetrics().at(-1)?.scopeMetrics ?? [];
      const found = scopes
        .flatMap(({ metrics }) => metrics)
        .find(({ descriptor }) => descriptor.name === name);
      return Object.fromEntries(
        (found?.dataPoints ?? []).map(({ attributes, value }) => [
          Object.values(attributes).join(" "),
          typeof value === "number" ? value : value.count,
        ]),
      );
    },
  };
}

import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import type { MeterProvider as MeterProviderApi } from "@opentelemetry/api";

/** Collects OpenTelemetry metrics for a page that Prometheus scrapes. */
export interface PrometheusMetrics extends AsyncDisposable {
  /** For `workerTelemetry` and whatever else measures */
  readonly meterProvider: MeterProviderApi;
  /** Everything measured until now, in the text exposition format */
  render(): Promise<string>;
}

export function prometheusMetrics(): PrometheusMetrics {
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const meterProvider = new MeterProvider({ readers: [exporter] });
  const serializer = new PrometheusSerializer("", false, undefined, true, true);
  return {
    meterProvider,
    async render() {
      const { resourceMetrics, errors } = await exporter.collect();
      if (errors.length > 0) throw new AggregateError(errors, "metrics could not be collected");
      return serializer.serialize(resourceMetrics);
    },
    [Symbol.asyncDispose]: () => meterProvider.shutdown(),
  };
}

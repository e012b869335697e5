import type Undici from "undici";
import type { Dispatcher } from "undici";
import type { ClientSettings, RegistryTls } from "./client-options.ts";
import { isLoopback, urlOptions } from "./registry-host.ts";

/** The connections of a client, kept apart by what they trust. */
export interface Dispatchers extends AsyncDisposable {
  /** Sends a request over the connections for its address. */
  request(url: URL, options: RequestOptions): Promise<Dispatcher.ResponseData<unknown>>;
}

type RequestOptions = Parameters<typeof Undici.request>[1] & Partial<Dispatcher.DispatchOptions>;

/** Most of what a store is asked for needs no network, and takes less time than to load what speaks HTTP. */
async function loadUndici(): Promise<typeof Undici> {
  // Bundles have no other name of what a CommonJS package exports.
  return (await import("undici")).default;
}

/** Connections that follow the TLS settings of each host, and the proxies of the environment. */
export function createDispatchers(settings: ClientSettings): Dispatchers {
  const { hosts, env, connectTimeoutMs } = settings;
  const made = new Map<string, Dispatcher>();

  function create(
    { Agent, EnvHttpProxyAgent }: typeof Undici,
    tls: RegistryTls | undefined,
    isLocal: boolean,
  ): Dispatcher {
    const connect = { ...tlsOptions(tls), timeout: connectTimeoutMs };
    // One answer at a time on a connection: a stalled one is told by its own silence.
    const options = { connect, allowH2: false };
    if (isLocal) return new Agent(options);
    return new EnvHttpProxyAgent({ ...options, requestTls: connect, ...proxyOptions(env) });
  }

  return {
    async request(url, options) {
      const undici = await loadUndici();
      const { tls } = urlOptions(url, hosts);
      const isLocal = isLoopback(url.hostname);
      const key = `${isLocal ? "local" : "remote"} ${tls === undefined ? "" : url.host}`;
      const dispatcher = made.get(key) ?? create(undici, tls, isLocal);
      made.set(key, dispatcher);
      return undici.request(url, { ...options, dispatcher });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...made.values()].map((dispatcher) => dispatcher.destroy()));
    },
  };
}

function tlsOptions(tls: RegistryTls = {}): object {
  const { ca, cert, key, insecureSkipVerify = false } = tls;
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(insecureSkipVerify && { rejectUnauthorized: false }),
  };
}

/** Empty texts keep undici from looking into the environment of the process itself. */
function proxyOptions(
  env: NodeJS.ProcessEnv,
): Record<"httpProxy" | "httpsProxy" | "noProxy", string> {
  return {
    httpProxy: env["http_proxy"] ?? env["HTTP_PROXY"] ?? "",
    httpsProxy: env["https_proxy"] ?? env["HTTPS_PROXY"] ?? "",
    noProxy: env["no_proxy"] ?? env["NO_PROXY"] ?? "",
  };
}

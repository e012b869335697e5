export { serveWorkerApi, type WorkerApi } from "./serve-worker-api.ts";
export { checkDoors } from "./worker-api-options.ts";
export type { TlsOptions, WorkerApiOptions } from "./worker-api-options.ts";
export { jsonAnswer } from "./api-route.ts";
export type {
  ApiAccess,
  ApiAnswer,
  ApiBody,
  ApiContent,
  ApiDescription,
  ApiParameter,
  ApiRequest,
  ApiRoute,
} from "./api-route.ts";
export type { Authenticator, Credentials } from "./auth/authenticator.ts";
export { bearerTokens } from "./auth/bearer-tokens.ts";
export { clientCertificates } from "./auth/client-certificates.ts";
export { signedRequests, signRequest } from "./auth/signed-requests.ts";
export type { RequestToSign, SignedRequestsOptions } from "./auth/signed-requests.ts";
export { createToken, listTokens, revokeToken } from "./auth/token-file.ts";
export type { CreateTokenOptions, TokenInfo } from "./auth/token-file.ts";
export { HttpError, type HttpErrorOptions } from "./http-error.ts";
export { prometheusMetrics, type PrometheusMetrics } from "./prometheus-metrics.ts";
export { createMaster, type Master } from "./master/create-master.ts";
export type { MasterOptions } from "./master/master-options.ts";
export { httpPollingTransport } from "./polling/polling-transport.ts";
export { pollingTransportOptions } from "./polling/polling-options.ts";
export type {
  PollingConfig,
  PollingTransportOptions,
  PollingWorker,
} from "./polling/polling-options.ts";
export { pollingMessages } from "./polling/messages.ts";

/** Names an image. */
export interface ImageSpec {
  /** `name:tag`, `name@digest`, or an image id */
  readonly image: string;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** What the user wrote */
  readonly userSpecifiedImage?: string | undefined;
  /** For stores that unpack differently per runtime; ignored by others */
  readonly runtimeHandler?: string | undefined;
  /** Digest of an image volume; set in status answers only */
  readonly imageRef?: string | undefined;
}

/** An image in the store. */
export interface Image {
  /** Digest of the image's config, `sha256:…`: the same text wherever this image is meant */
  readonly id: string;
  /** Full names with host and tag */
  readonly repoTags: readonly string[];
  /** `name@sha256:…` */
  readonly repoDigests: readonly string[];
  /** Bytes, never 0 */
  readonly size: number;
  /** Numeric user of the image; never together with `username` */
  readonly uid?: number | undefined;
  readonly username?: string | undefined;
  readonly spec?: ImageSpec | undefined;
  /** Hint that cleaning up should leave the image alone */
  readonly pinned: boolean;
}

/** Limits a list of images; without an image reference it means all. */
export interface ImageFilter {
  readonly image?: ImageSpec | undefined;
}

/** Credentials for a registry: user and password, `auth`, or one of the tokens. Never logged. */
export interface AuthConfig {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** base64 of `user:password` */
  readonly auth?: string | undefined;
  /** Host the credentials are for; absent: any */
  readonly serverAddress?: string | undefined;
  /** OAuth 2 refresh token */
  readonly identityToken?: string | undefined;
  /** Bearer token */
  readonly registryToken?: string | undefined;
}

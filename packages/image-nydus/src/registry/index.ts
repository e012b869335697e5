export { parseReference, formatReference, type ImageReference } from "./reference.ts";
export { parseImageSource } from "./image-location.ts";

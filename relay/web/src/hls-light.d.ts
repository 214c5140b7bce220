// The light build has the interface of the full one; the package declares types only for the latter.
declare module "hls.js/light" {
  export * from "hls.js";
  export { default } from "hls.js";
}

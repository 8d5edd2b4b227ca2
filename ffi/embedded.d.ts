/** A shared library imported with `{ type: "file" }`: its path on disk, or inside the executable. */
declare module "*.so.0" {
  const path: string;
  export default path;
}
declare module "*.so.3" {
  const path: string;
  export default path;
}

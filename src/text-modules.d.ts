/** Files that the bundle carries as text. */
declare module "openapi-explorer/dist/browser/openapi-explorer.min.js" {
  const text: string;
  export default text;
}

/** The package holds no types. */
declare module "workerd" {
  /** A CommonJS module whose `default` is the path of the native program. */
  const workerd: { readonly default: string; readonly version: string };
  export default workerd;
}

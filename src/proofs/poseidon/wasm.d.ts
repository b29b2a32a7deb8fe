declare module "*.wasm" {
  const module: object;
  export default module;
}

/** Lua scripts are bundled as text, by esbuild in the executable and by a plugin in the tests. */
declare module "*.lua" {
  const text: string;
  export default text;
}

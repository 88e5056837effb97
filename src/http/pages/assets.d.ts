/** Files that `with { type: 'file' }` turns into a path, in the compiled binary too. */
declare module 'swagger-ui-dist/swagger-ui*' {
  const path: string
  export = path
}
declare module 'swagger-ui-dist/*.png' {
  const path: string
  export = path
}

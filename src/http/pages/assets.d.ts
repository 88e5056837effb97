/** `with { type: 'file' }` turns these imports into paths, also in the compiled binary. */
declare module 'swagger-ui-dist/swagger-ui*' {
  const path: string
  export = path
}
declare module 'swagger-ui-dist/*.png' {
  const path: string
  export = path
}

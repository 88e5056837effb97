/** Files that `with { type: 'file' }` turns into a path, in the compiled binary too. */
declare module '@electric-sql/pglite/*' {
  const path: string
  export = path
}

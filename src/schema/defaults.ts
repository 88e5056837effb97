/**
 * The same members with their defaults, null for others, which the OpenAPI document shows. The columns of the table insert
 * them: with TypeBox's `default`, the validator would.
 */
export const withDefaults = <Members extends Record<string, object>>(
  members: Members,
  defaults: Readonly<Record<string, unknown>>,
): Members =>
  Object.fromEntries(
    Object.entries(members).map(([name, schema]) => [
      name,
      { ...schema, 'x-default': defaults[name] ?? null },
    ]),
  ) as Members

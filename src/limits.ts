/** Code points of a title, in the schema and in the check of the table: a change needs a migration. */
export const titleLengthMax = 500

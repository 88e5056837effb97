/**
 * The form in which names of lists are compared: case-folded NFC. JavaScript has no case folding; upper case and then lower
 * case folds `ß` to `ss` and `ς` to `σ`, as Unicode does.
 */
export const toNameKey = (name: string): string => name.toUpperCase().toLowerCase().normalize('NFC')

import type { Mutant } from './derive.ts'

/**
 * What the README promises: whose a row is, whether a session lives, what a scope reaches, what a
 * token has to be, what is counted and given back, how much may be sent, and what headers say. The
 * kinds that are broader than that (settings, reasons, patterns, …) count where the promise is.
 */
const required: Record<Mutant['kind'], RegExp> = {
  'by hand': /./,
  condition: /./,
  join: /./,
  exists: /./,
  bound: /./,
  closed: /./,
  header: /./,
  limit: /^src\/(auth|http|tasks|counters)\//,
  refusal: /^src\/(shapes|metrics\/metrics|(auth|http|tasks)\/)/,
  reason:
    /^src\/(auth\/(passwords|tokens|trusted-issuers)|http\/(cors|door|headers|problems|rate-limit)).ts$/,
  done: /^src\/(auth\/(account-routes|attempts|sign-in-routes)|http\/(problems|rate-limit)).ts$/,
  pattern: /^src\/(auth\/tokens|http\/headers).ts$/,
  unchecked: /^src\/auth\/guard.ts$/,
  setting: /^$/,
}

export const isRequired = ({ kind, file }: Mutant): boolean => required[kind].test(file)

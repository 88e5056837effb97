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
  limit: /^src\/(auth|http|tasks|rate-limit)\//,
  refusal: /^src\/(schema\/types|metrics\/routes|(auth|http|tasks)\/)/,
  reason:
    /^src\/(auth\/(passwords\/hasher|access-tokens\/jwt|issuers\/verifier)|http\/(cors|route-guard|security-headers|error-handler|rate-limit)).ts$/,
  done: /^src\/(auth\/(accounts\/routes|login-throttle|sign-in\/routes)|http\/(error-handler|rate-limit)).ts$/,
  pattern: /^src\/(auth\/access-tokens\/jwt|http\/security-headers).ts$/,
  unchecked: /^src\/http\/authenticated.ts$/,
  setting: /^$/,
}

export const isRequired = ({ kind, file }: Mutant): boolean => required[kind].test(file)

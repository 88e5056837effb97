import type { Mutant } from './derive.ts'

/**
 * The required mutants: those that break a promise of the README. These are the owner of a row, live sessions, scopes,
 * tokens, counts, size limits and headers. Broader kinds (settings, reasons, patterns, …) are required only in the files
 * that keep such a promise.
 */
const required: Record<Mutant['kind'], RegExp> = {
  'hand-written': /./,
  condition: /./,
  join: /./,
  exists: /./,
  bound: /./,
  closed: /./,
  header: /./,
  limit: /^src\/(auth|http|tasks|rate-limit)\//,
  refusal: /^src\/(schema\/types|metrics\/routes|(auth|http|tasks)\/)/,
  reason:
    /^src\/(auth\/(passwords\/hasher|access-tokens\/jwt|issuers\/verifier)|http\/(cors|route-guard|response-headers|error-handler|rate-limit)).ts$/,
  done: /^src\/(auth\/(accounts\/routes|login-throttle|sign-in\/routes)|http\/(error-handler|rate-limit)).ts$/,
  pattern: /^src\/(auth\/access-tokens\/jwt|http\/bearer).ts$/,
  unchecked: /^src\/http\/authenticated.ts$/,
  setting: /^$/,
}

export const isRequired = ({ kind, file }: Mutant): boolean => required[kind].test(file)

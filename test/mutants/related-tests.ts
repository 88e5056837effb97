/**
 * The tests that most likely notice a change in a file, the likeliest first. A file that nothing is
 * said of has the general ones; whatever they let through meets the whole suite anyway.
 */
const first: [file: RegExp, tests: string][] = [
  [/config/, 'config readme'],
  [/auth\/model/, 'bounds personal-tokens tokens accounts input'],
  [/auth\/tokens/, 'tokens personal-tokens limits accounts'],
  [/auth\/attempts/, 'attempts limits accounts'],
  [/auth\/passwords/, 'accounts attempts limits'],
  [/auth\/verdicts/, 'tokens'],
  [/auth\/(callers|identity|key-sets|trusted)/, 'trusted-issuers commands tokens'],
  [/auth\/operator-/, 'commands'],
  [/auth\/account-routes/, 'accounts attempts limits input races isolation'],
  [/auth\/sign-in-routes/, 'accounts attempts commands limits input races isolation'],
  [/auth\/token-/, 'personal-tokens commands isolation tokens limits'],
  [/auth\/account-/, 'isolation accounts races attempts lives'],
  [/auth\/session-/, 'isolation races commands tokens personal-tokens accounts'],
  [/auth\/sign-in-repository/, 'isolation accounts commands races tokens attempts'],
  [/auth\//, 'isolation attempts tokens accounts races limits lives personal-tokens'],
  [/src\/trust/, 'config trusted-issuers client-address cors'],
  [/metrics\//, 'metrics monitoring'],
  [/commands\//, 'commands'],
  [/src\/app/, 'tokens limits attempts isolation door'],
  [/db\/live/, 'isolation tokens lives accounts races changes'],
  [/client-address/, 'client-address limits attempts'],
  [/http\/door/, 'door cors limits personal-tokens trusted-issuers tokens errors input'],
  [/http\/cors/, 'cors door'],
  [/http\/headers/, 'door cors tokens'],
  [/http\/trace/, 'trace door'],
  [/http\/(intake|depth)/, 'input door errors limits transfer accounts'],
  [
    /http\/(problems|rate-limit|visits)/,
    'door limits errors metrics trusted-issuers tokens attempts',
  ],
  [/http\//, 'door errors limits input docs'],
  [/counters\/(store|postgres)/, 'store-faults stores counters limits attempts'],
  [/counters\//, 'counters limits attempts stores store-faults'],
  [/shapes/, 'bounds input model accounts tasks listing transfer attempts'],
  [/tasks\/model/, 'input bounds isolation tasks listing batch transfer trash changes conditional'],
  [/tasks\/bulk-model/, 'bounds isolation batch changes transfer input'],
  [/tasks\/fields/, 'tasks batch transfer conditional idempotency'],
  [/tasks\/batch/, 'idempotency batch plans conditional tasks'],
  [/tasks\/answers/, 'idempotency conditional tasks batch'],
  [/tasks\/changes/, 'isolation changes trash'],
  [/tasks\/(import|records|transfer)/, 'transfer isolation idempotency'],
  [/tasks\/idempotency/, 'idempotency transfer batch'],
  [/tasks\/once/, 'races idempotency isolation transfer batch'],
  [/tasks\/preconditions/, 'conditional idempotency'],
  [/tasks\/statements/, 'idempotency trash isolation listing'],
  [/tasks\/task-statements/, 'idempotency conditional isolation tasks trash batch'],
  [/tasks\/seals/, 'tokens isolation listing changes trash'],
  [/tasks\/repository/, 'races isolation tasks idempotency trash conditional'],
  [/tasks\/(trash|upkeep)/, 'trash isolation changes idempotency tokens'],
  [/tasks\/listing/, 'listing trash isolation'],
  [/tasks\/bulk-routes/, 'changes transfer idempotency batch isolation'],
  [/tasks\//, 'isolation tasks conditional trash idempotency batch changes transfer listing races'],
]

export const relatedTests = (file: string): string[] => {
  const [, tests = 'isolation door limits errors'] = first.find(([of]) => of.test(file)) ?? []
  return tests.split(' ').map((name) => `test/${name}.test.ts`)
}

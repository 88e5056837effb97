import { throwProblem } from '../../http/problem.ts'
import { normalizeEmail } from '../../schema/email.ts'
import { countCodePoints } from '../../schema/validators.ts'

type Settings = {
  /** Code points. */
  lengthMin: number
  bcryptCost: number
  /** How many passwords are hashed at once. */
  hashingMax: number
  /** How many passwords may wait for a core; the next one is refused. */
  queueMax: number
}

/**
 * bcrypt behind a bounded queue.
 *
 * One hash takes a core about 235 ms at cost 12. At most all cores but one hash at a time, so that task requests stay
 * fast while a thousand users sign in.
 *
 * `Bun.password` hashes passwords over 72 bytes with SHA-512 first, so that no byte is ignored. These hashes verify
 * with Bun only.
 */
export const createPasswordHasher = ({ lengthMin, bcryptCost, hashingMax, queueMax }: Settings) => {
  const queue = createQueue(hashingMax, queueMax)
  const dummyHash = `$2b$${String(bcryptCost).padStart(2, '0')}$${'u'.repeat(21)}u${'e'.repeat(31)}`

  return {
    /** The state of the queue, and how many passwords it refused. */
    load: queue.load,

    hash: (password: string): Promise<string> =>
      queue.run(() =>
        Bun.password.hash(password.normalize('NFC'), { algorithm: 'bcrypt', cost: bcryptCost }),
      ),

    /** Takes one verification with or without a hash: an unknown account takes as long as a wrong password. */
    verify: (password: string, hash: string | undefined): Promise<boolean> =>
      queue.run(async () => {
        const matches = await Bun.password.verify(password.normalize('NFC'), hash ?? dummyHash)
        return matches && hash !== undefined
      }),

    /** Whether the hash has a lower cost than BCRYPT_COST. */
    needsRehash: (hash: string): boolean => Number(hash.split('$')[2]) < bcryptCost,

    /**
     * Why the password is too weak; undefined if it is not. NIST SP 800-63B: length, and no password that is easy to
     * guess; no composition rules.
     */
    findWeakness: async (password: string, email: string): Promise<string | undefined> => {
      const normal = password.normalize('NFC')
      if (countCodePoints(normal) < lengthMin) return `must have at least ${lengthMin} characters`
      // Loaded at the first use: a process without sign-ups does not need it.
      if (normalizeEmail(password) === normalizeEmail(email)) return 'is the e-mail itself'
      const { isGuessable } = await import('./strength.ts')
      return isGuessable(normal) ? 'is easy to guess' : undefined
    },
  }
}

export type PasswordHasher = ReturnType<typeof createPasswordHasher>

const createQueue = (running: number, waitingMax: number) => {
  let free = running
  let refused = 0
  const waiting: (() => void)[] = []

  const run = async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free--
    else if (waiting.length < waitingMax)
      await new Promise<void>((proceed) => waiting.push(proceed))
    else {
      refused++
      throwProblem('unavailable', { headers: { 'retry-after': '1' } })
    }

    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }

  const load = () => ({
    hashing: running - free,
    waiting: waiting.length,
    waitingMax,
    refused,
  })
  return { run, load }
}

/** 422 `weak-password` for a new password that is too weak. */
export const requireStrongPassword = async (
  passwords: PasswordHasher,
  password: string,
  email: string,
  pointer: string,
): Promise<void> => {
  const detail = await passwords.findWeakness(password, email)
  if (detail !== undefined)
    throwProblem('weak-password', { errors: [{ in: 'body', pointer, detail }] })
}

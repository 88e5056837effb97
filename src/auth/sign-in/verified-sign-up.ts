import { throwProblem } from '../../http/problem.ts'
import { normalizeEmail } from '../../schema/email.ts'
import type { EmailVerificationRepository } from '../email-verification/repository.ts'
import type { LinkLimit } from '../link-limit.ts'
import type { PasswordHasher } from '../passwords/hasher.ts'
import type { SignInRepository } from './repository.ts'
import type { Registration } from './schema.ts'

type Needs = {
  signIns: SignInRepository
  verifications: EmailVerificationRepository
  passwords: PasswordHasher
  isOverLinkLimit: LinkLimit
}
type Found = Awaited<ReturnType<SignInRepository['credentials']>>

/**
 * Sign-up with EMAIL_VERIFICATION=required, and the message to a user who signs in before.
 *
 * A sign-up does the same work whether the address has an account or not: one read, one verification, one hash, and one
 * statement with the same rows. Only the message tells the owner of the address.
 */
export const createVerifiedSignUp = ({
  signIns,
  verifications,
  passwords,
  isOverLinkLimit,
}: Needs) => {
  const templateFor = (found: Found, isSamePassword: boolean) => {
    if (found === undefined) return 'verify-email'
    if (!found.is_verification_due) return 'account-exists'
    // The owner of the address chooses between the passwords.
    return isSamePassword ? 'verify-email' : 'sign-up-again'
  }

  return {
    signUp: async ({ email, password, name = null }: Registration): Promise<void> => {
      const recipient = normalizeEmail(email)
      const isOverLimit = await isOverLinkLimit(recipient)
      const password_hash = await passwords.hash(password)
      const tryOnce = async (): Promise<boolean> => {
        const found = await signIns.credentials(email)
        const isSamePassword = await passwords.verify(password, found?.password_hash)
        const template = isOverLimit ? 'none' : templateFor(found, isSamePassword)
        const account = { email: recipient, password_hash, name, isKnown: found !== undefined }
        return verifications.signUp(account, template)
      }
      // Another sign-up took the address in the meantime: the second attempt finds its account.
      if (!(await tryOnce()) && !(await tryOnce()))
        throwProblem('unavailable', { headers: { 'retry-after': '1' } })
    },

    /** Sends the link again, to a user with the right password. */
    sendAgain: async ({ id, email }: { id: string; email: string }): Promise<void> => {
      const template = (await isOverLinkLimit(normalizeEmail(email))) ? 'none' : 'verify-email'
      await verifications.send(id, template, email)
    },
  }
}

export type VerifiedSignUp = ReturnType<typeof createVerifiedSignUp>

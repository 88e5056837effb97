import { type RateLimitStore, RateLimitStoreUnavailable } from '../../rate-limit/store.ts'
import type { Supervisor } from './channel.ts'

/** The counters in the memory of the supervisor: exact for all workers. */
export const createSupervisorStore = (supervisor: Supervisor): RateLimitStore => {
  const answered = async <T>(call: Promise<T>): Promise<T> => {
    try {
      return await call
    } catch {
      throw new RateLimitStoreUnavailable('deadline')
    }
  }

  return {
    add: async (key, windowMs, limit) => {
      const counted = await answered(supervisor.add(key, windowMs, limit))
      if ('unavailable' in counted) throw new RateLimitStoreUnavailable(counted.unavailable)
      return counted
    },
    decrement: (key) => answered(supervisor.decrement(key)),
    reset: (key) => answered(supervisor.reset(key)),
    // The memory is always there. Each count has its own deadline.
    ping: async () => {},
    close: async () => {},
  }
}

import type { Totals } from './report.ts'
import { type ChaosUser, signUp } from './user.ts'

export type Load = Awaited<ReturnType<typeof startLoad>>

type Settings = { port: number; people?: number; thinkMs?: number }

/** Users who write and read all the time, each one request after the other. */
export const startLoad = async (
  totals: Totals,
  { port, people: count = 24, thinkMs = 15 }: Settings,
) => {
  const people: ChaosUser[] = []
  for (let at = 0; at < count; at++) people.push(await signUp(port))

  let working: Promise<unknown> | undefined
  let resting = true
  const work = async (person: ChaosUser) => {
    while (!resting) {
      await person.step(totals)
      await Bun.sleep(thinkMs * (0.5 + Math.random()))
    }
  }
  const resume = () => {
    resting = false
    working = Promise.all(people.map(work))
  }
  const rest = async () => {
    resting = true
    await working
  }

  resume()
  return {
    people,
    rest,
    resume,
    /** Stops the load, repeats writes without a response, and checks that all acknowledged writes are stored. */
    check: async () => {
      await rest()
      await Promise.all(people.map((person) => person.settle(totals)))
      await Promise.all(people.map((person) => person.audit(totals)))
    },
    leave: async () => {
      await rest()
      for (const person of people) person.leave()
    },
  }
}

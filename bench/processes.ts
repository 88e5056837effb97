import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks per second (`getconf CLK_TCK`), a constant for Linux user space. */
const ticksPerSecond = 100

type Stat = { pid: number; parent: number; own: number; ended: number }

const statOf = (pid: number): Stat | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name is in parentheses and may contain any character.
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number)
    const [, parent = 0] = fields
    const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11)
    return { pid, parent, own: utime + stime, ended: cutime + cstime }
  } catch {
    return undefined
  }
}

const treeOf = (root: number): Stat[] => {
  const all = readdirSync('/proc').flatMap((name) =>
    /^\d+$/.test(name) ? (statOf(Number(name)) ?? []) : [],
  )
  const tree = all.filter(({ pid }) => pid === root)
  for (const stat of tree) tree.push(...all.filter(({ parent }) => parent === stat.pid))
  return tree
}

/** CPU seconds of a process and its descendants, including ended ones. */
export const cpuSecondsOf = (root: number): number =>
  treeOf(root).reduce((sum, { own, ended }) => sum + own + ended, 0) / ticksPerSecond

/** Resident memory of a process and its descendants, in MB. */
export const rssMbOf = (root: number): number =>
  treeOf(root).reduce((sum, { pid }) => {
    try {
      const [, kb = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
      return sum + Number(kb) / 1024
    } catch {
      return sum
    }
  }, 0)

/** No route needs more than 4. Validation is recursive: 64 KiB of brackets took it 11 seconds. */
const depthMax = 32

export const depthDetail = `must not be nested deeper than ${depthMax}`

/** Whether arrays and objects in a JSON text are nested deeper than the limit. */
export const exceedsDepth = (json: string): boolean => {
  let depth = 0
  let inText = false
  for (let at = 0; at < json.length; at += 1) {
    const mark = json[at]
    if (mark === '"') inText = !inText
    else if (inText) at += mark === '\\' ? 1 : 0
    else if (mark === '[' || mark === '{') depth += 1
    else if (mark === ']' || mark === '}') depth -= 1
    if (depth > depthMax) return true
  }
  return false
}

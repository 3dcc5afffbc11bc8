/** Tells the parent process the result of a contestant. */
export function report(result: object): void {
  const rssMiB = Math.round(process.resourceUsage().maxRSS / 1024)
  process.stdout.write(`${JSON.stringify({ ...result, rssMiB })}\n`)
}

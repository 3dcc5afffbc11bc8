/** Control characters, noncharacters, and halves of surrogate pairs. */
const disallowed = /[\p{Cc}\p{Cs}\p{NChar}]/u

/** Whether it is a String of the specification. */
export function isAllowed(text: string): boolean {
  return !disallowed.test(text)
}

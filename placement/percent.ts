/** Digits behind the point that are shown at most, and those beyond which no more help. */
const DIGITS = 2;
const DIGITS_MAX = 6;

/**
 * A share in [0, 1] as a percentage for people, like 99.75 %: with up to two digits behind the point, and with more where it would otherwise look
 * the same as 0, 100 % or a bound that it is compared with.
 */
export function percent(share: number, ...bounds: readonly number[]): string {
  const others = [0, 1, ...bounds].filter((bound) => bound !== share);
  for (let digits = DIGITS; digits < DIGITS_MAX; digits++) {
    const text = rounded(share, digits);
    if (others.every((bound) => rounded(bound, DIGITS_MAX) !== text)) return `${text} %`;
  }
  return `${rounded(share, DIGITS_MAX)} %`;
}

function rounded(share: number, digits: number): string {
  return String(Number((share * 100).toFixed(digits)));
}

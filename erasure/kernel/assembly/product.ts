const MASK = memory.data<u8>([15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15], 16);

/**
 * 15 in every byte. Read from memory, because V8 builds a constant anew, out of several instructions, wherever a loop
 * uses it; a value that was loaded stays in a register. One row codes half as fast again for it.
 */
// @ts-ignore: decorator
@inline
export function nibbleMask(): v128 {
  return v128.load(MASK);
}

/**
 * Indexes are always 0...15, where the relaxed swizzle is defined to equal the strict one on every machine; it saves
 * the saturating add that the strict one costs on x86.
 */
// @ts-ignore: decorator
@inline
export function lookup(table: v128, index: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? i8x16.relaxed_swizzle(table, index) : i8x16.swizzle(table, index);
}

/** sum + coefficient * x, where the tables are the coefficient's and x is split into its nibbles. */
// @ts-ignore: decorator
@inline
export function addProduct(sum: v128, tableLow: v128, tableHigh: v128, low: v128, high: v128): v128 {
  return v128.xor(sum, v128.xor(lookup(tableLow, low), lookup(tableHigh, high)));
}

// @ts-ignore: decorator
@inline
export function lowNibbles(x: v128, mask: v128): v128 {
  return v128.and(x, mask);
}

/** Shifts 16-bit lanes: x86 has no shift of bytes, and the mask clears what crosses over anyway. */
// @ts-ignore: decorator
@inline
export function highNibbles(x: v128, mask: v128): v128 {
  return v128.and(i16x8.shr_u(x, 4), mask);
}

import { addProduct, highNibbles, lookup, lowNibbles, nibbleMask } from './product';

// A single row leaves registers free: columns go four at a time, with their eight tables held in registers all along the
// slices, and the sums wait in `output` from one group of columns to the next.

export function oneRow(columns: usize, tables: usize, input: usize, output: usize, stride: usize, bytes: usize): void {
  if (columns >= 4) {
    setFour(tables, input, output, stride, bytes);
    tables += 128;
    input += stride * 4;
    columns -= 4;
  } else {
    memory.fill(output, 0, bytes);
  }
  while (columns >= 4) {
    addFour(tables, input, output, stride, bytes);
    tables += 128;
    input += stride * 4;
    columns -= 4;
  }
  if (columns >= 2) {
    addTwo(tables, input, output, stride, bytes);
    tables += 64;
    input += stride * 2;
    columns -= 2;
  }
  if (columns == 1) addOne(tables, input, output, bytes);
}

function setFour(tables: usize, input: usize, output: usize, stride: usize, bytes: usize): void {
  four(true, tables, input, output, stride, bytes);
}

function addFour(tables: usize, input: usize, output: usize, stride: usize, bytes: usize): void {
  four(false, tables, input, output, stride, bytes);
}

/** @param first whether `output` holds no sums yet; a constant, so that each caller is compiled without the choice */
// @ts-ignore: decorator
@inline
function four(first: bool, tables: usize, input: usize, output: usize, stride: usize, bytes: usize): void {
  const mask = nibbleMask();
  const low0 = v128.load(tables);
  const high0 = v128.load(tables, 16);
  const low1 = v128.load(tables, 32);
  const high1 = v128.load(tables, 48);
  const low2 = v128.load(tables, 64);
  const high2 = v128.load(tables, 80);
  const low3 = v128.load(tables, 96);
  const high3 = v128.load(tables, 112);
  let input1 = input + stride;
  let input2 = input1 + stride;
  let input3 = input2 + stride;
  const end = output + bytes;
  while (output < end) {
    let a = product(v128.load(input), low0, high0, mask);
    if (!first) a = v128.xor(a, v128.load(output));
    a = add(a, v128.load(input1), low1, high1, mask);
    a = add(a, v128.load(input2), low2, high2, mask);
    a = add(a, v128.load(input3), low3, high3, mask);
    v128.store(output, a);
    let b = product(v128.load(input, 16), low0, high0, mask);
    if (!first) b = v128.xor(b, v128.load(output, 16));
    b = add(b, v128.load(input1, 16), low1, high1, mask);
    b = add(b, v128.load(input2, 16), low2, high2, mask);
    b = add(b, v128.load(input3, 16), low3, high3, mask);
    v128.store(output, b, 16);
    input += 32;
    input1 += 32;
    input2 += 32;
    input3 += 32;
    output += 32;
  }
}

function addTwo(tables: usize, input: usize, output: usize, stride: usize, bytes: usize): void {
  const mask = nibbleMask();
  const low0 = v128.load(tables);
  const high0 = v128.load(tables, 16);
  const low1 = v128.load(tables, 32);
  const high1 = v128.load(tables, 48);
  for (let offset: usize = 0; offset < bytes; offset += 16) {
    const source = input + offset;
    const target = output + offset;
    const sum = add(v128.load(target), v128.load(source), low0, high0, mask);
    v128.store(target, add(sum, v128.load(source + stride), low1, high1, mask));
  }
}

function addOne(tables: usize, input: usize, output: usize, bytes: usize): void {
  const mask = nibbleMask();
  const low = v128.load(tables);
  const high = v128.load(tables, 16);
  for (let offset: usize = 0; offset < bytes; offset += 16) {
    const target = output + offset;
    v128.store(target, add(v128.load(target), v128.load(input + offset), low, high, mask));
  }
}

// @ts-ignore: decorator
@inline
function product(x: v128, low: v128, high: v128, mask: v128): v128 {
  return v128.xor(lookup(low, lowNibbles(x, mask)), lookup(high, highNibbles(x, mask)));
}

// @ts-ignore: decorator
@inline
function add(sum: v128, x: v128, low: v128, high: v128, mask: v128): v128 {
  return addProduct(sum, low, high, lowNibbles(x, mask), highNibbles(x, mask));
}

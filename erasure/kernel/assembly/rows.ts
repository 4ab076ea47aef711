import { addProduct, highNibbles, lowNibbles, nibbleMask } from './product';

// One function for each number of rows from two on, written out, because the sums must stay in registers, of which x86
// has 16: four rows of 32 bytes fill them. Unrolling over columns was measured to be slower.

export function twoRows(columns: usize, tables: usize, input: usize, output: usize, stride: usize, bytes: usize): void {
  const mask = nibbleMask();
  for (let offset: usize = 0; offset < bytes; offset += 32) {
    let table = tables;
    let source = input + offset;
    let sum0a = i8x16.splat(0);
    let sum0b = i8x16.splat(0);
    let sum1a = i8x16.splat(0);
    let sum1b = i8x16.splat(0);
    for (let column: usize = 0; column < columns; column++) {
      const a = v128.load(source);
      const aLow = lowNibbles(a, mask);
      const aHigh = highNibbles(a, mask);
      const b = v128.load(source, 16);
      const bLow = lowNibbles(b, mask);
      const bHigh = highNibbles(b, mask);
      const low0 = v128.load(table);
      const high0 = v128.load(table, 16);
      sum0a = addProduct(sum0a, low0, high0, aLow, aHigh);
      sum0b = addProduct(sum0b, low0, high0, bLow, bHigh);
      const low1 = v128.load(table, 32);
      const high1 = v128.load(table, 48);
      sum1a = addProduct(sum1a, low1, high1, aLow, aHigh);
      sum1b = addProduct(sum1b, low1, high1, bLow, bHigh);
      table += 64;
      source += stride;
    }
    const target = output + offset;
    v128.store(target, sum0a);
    v128.store(target, sum0b, 16);
    v128.store(target + stride, sum1a);
    v128.store(target + stride, sum1b, 16);
  }
}

export function threeRows(columns: usize, tables: usize, input: usize, output: usize, stride: usize, bytes: usize): void {
  const mask = nibbleMask();
  for (let offset: usize = 0; offset < bytes; offset += 32) {
    let table = tables;
    let source = input + offset;
    let sum0a = i8x16.splat(0);
    let sum0b = i8x16.splat(0);
    let sum1a = i8x16.splat(0);
    let sum1b = i8x16.splat(0);
    let sum2a = i8x16.splat(0);
    let sum2b = i8x16.splat(0);
    for (let column: usize = 0; column < columns; column++) {
      const a = v128.load(source);
      const aLow = lowNibbles(a, mask);
      const aHigh = highNibbles(a, mask);
      const b = v128.load(source, 16);
      const bLow = lowNibbles(b, mask);
      const bHigh = highNibbles(b, mask);
      const low0 = v128.load(table);
      const high0 = v128.load(table, 16);
      sum0a = addProduct(sum0a, low0, high0, aLow, aHigh);
      sum0b = addProduct(sum0b, low0, high0, bLow, bHigh);
      const low1 = v128.load(table, 32);
      const high1 = v128.load(table, 48);
      sum1a = addProduct(sum1a, low1, high1, aLow, aHigh);
      sum1b = addProduct(sum1b, low1, high1, bLow, bHigh);
      const low2 = v128.load(table, 64);
      const high2 = v128.load(table, 80);
      sum2a = addProduct(sum2a, low2, high2, aLow, aHigh);
      sum2b = addProduct(sum2b, low2, high2, bLow, bHigh);
      table += 96;
      source += stride;
    }
    const target = output + offset;
    v128.store(target, sum0a);
    v128.store(target, sum0b, 16);
    v128.store(target + stride, sum1a);
    v128.store(target + stride, sum1b, 16);
    v128.store(target + stride * 2, sum2a);
    v128.store(target + stride * 2, sum2b, 16);
  }
}

export function fourRows(columns: usize, tables: usize, input: usize, output: usize, stride: usize, bytes: usize): void {
  const mask = nibbleMask();
  for (let offset: usize = 0; offset < bytes; offset += 32) {
    let table = tables;
    let source = input + offset;
    let sum0a = i8x16.splat(0);
    let sum0b = i8x16.splat(0);
    let sum1a = i8x16.splat(0);
    let sum1b = i8x16.splat(0);
    let sum2a = i8x16.splat(0);
    let sum2b = i8x16.splat(0);
    let sum3a = i8x16.splat(0);
    let sum3b = i8x16.splat(0);
    for (let column: usize = 0; column < columns; column++) {
      const a = v128.load(source);
      const aLow = lowNibbles(a, mask);
      const aHigh = highNibbles(a, mask);
      const b = v128.load(source, 16);
      const bLow = lowNibbles(b, mask);
      const bHigh = highNibbles(b, mask);
      const low0 = v128.load(table);
      const high0 = v128.load(table, 16);
      sum0a = addProduct(sum0a, low0, high0, aLow, aHigh);
      sum0b = addProduct(sum0b, low0, high0, bLow, bHigh);
      const low1 = v128.load(table, 32);
      const high1 = v128.load(table, 48);
      sum1a = addProduct(sum1a, low1, high1, aLow, aHigh);
      sum1b = addProduct(sum1b, low1, high1, bLow, bHigh);
      const low2 = v128.load(table, 64);
      const high2 = v128.load(table, 80);
      sum2a = addProduct(sum2a, low2, high2, aLow, aHigh);
      sum2b = addProduct(sum2b, low2, high2, bLow, bHigh);
      const low3 = v128.load(table, 96);
      const high3 = v128.load(table, 112);
      sum3a = addProduct(sum3a, low3, high3, aLow, aHigh);
      sum3b = addProduct(sum3b, low3, high3, bLow, bHigh);
      table += 128;
      source += stride;
    }
    const target = output + offset;
    v128.store(target, sum0a);
    v128.store(target, sum0b, 16);
    v128.store(target + stride, sum1a);
    v128.store(target + stride, sum1b, 16);
    v128.store(target + stride * 2, sum2a);
    v128.store(target + stride * 2, sum2b, 16);
    v128.store(target + stride * 3, sum3a);
    v128.store(target + stride * 3, sum3b, 16);
  }
}

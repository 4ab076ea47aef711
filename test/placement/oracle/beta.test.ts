import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { betaQuantile, regularisedBeta } from '../../../placement/oracle/beta.ts';

/** I_x(a, b) of whole a and b is a binomial tail: a plain sum, exact to rounding. */
function binomialTail(x: number, a: number, b: number): number {
  const n = a + b - 1;
  let sum = 0;
  for (let j = a; j <= n; j++) {
    let term = 1;
    for (let i = 1; i <= j; i++) term *= ((n - j + i) / i) * x;
    sum += term * (1 - x) ** (n - j);
  }
  return sum;
}

describe('the regularised incomplete beta function', () => {
  test('is the binomial tail for whole numbers', () => {
    const whole = fc.integer({ min: 1, max: 60 });
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 0.99, noNaN: true }), whole, whole, (x, a, b) => {
        expect(regularisedBeta(x, a, b)).toBeCloseTo(binomialTail(x, a, b), 11);
      }),
    );
  });

  test('has its closed forms: x^a for b = 1, arcsine for a = b = 1/2, and the symmetry', () => {
    for (const x of [0.001, 0.3, 0.96, 0.9999]) {
      for (const a of [1, 2.5, 101, 1001]) expect(regularisedBeta(x, a, 1)).toBeCloseTo(x ** a, 11);
      expect(regularisedBeta(x, 0.5, 0.5)).toBeCloseTo((2 / Math.PI) * Math.asin(Math.sqrt(x)), 11);
      expect(regularisedBeta(x, 900, 30.5) + regularisedBeta(1 - x, 30.5, 900)).toBeCloseTo(1, 11);
    }
  });
});

describe('the quantile', () => {
  test('of flawless audits is 0.05^(1/(n+1))', () => {
    for (const n of [1, 10, 73, 100, 1000]) {
      expect(betaQuantile(0.05, n + 1, 1)).toBeCloseTo(0.05 ** (1 / (n + 1)), 12);
    }
    // 100 audits passed: the bound that ends vetting lies above the limit of 0.96.
    expect(betaQuantile(0.05, 101, 1)).toBeCloseTo(0.970775, 6);
  });

  test('agrees with textbook tables: F quantiles, of which the beta quantile is a form', () => {
    // F(0.95; 4, 10) = 3.478050 and F(0.95; 10, 20) = 2.347878 (NIST tables: 3.478, 2.348): x = d1 F / (d1 F + d2)
    const ofF = (f: number, d1: number, d2: number): number => (d1 * f) / (d1 * f + d2);
    expect(betaQuantile(0.95, 2, 5)).toBeCloseTo(ofF(3.47805, 4, 10), 5);
    expect(betaQuantile(0.95, 5, 10)).toBeCloseTo(ofF(2.347878, 10, 20), 5);
  });

  test('inverts the function', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        fc.double({ min: 1, max: 1000, noNaN: true }),
        fc.double({ min: 1, max: 1000, noNaN: true }),
        (probability, a, b) => {
          expect(regularisedBeta(betaQuantile(probability, a, b), a, b)).toBeCloseTo(probability, 9);
        },
      ),
    );
  });
});
